package search

import (
	"context"
	"errors"
)

// ErrRebuild says that the rebuild is not the one under way.
var ErrRebuild = errors.New("this rebuild is not under way")

// Rebuilder makes an index anew from the records while it serves: after a
// change of how text is analysed, or when the index has lost or kept what it
// should not. At most one rebuild is under way. Each method may be repeated.
//
// The next generation is what the index holds when FinishRebuild returns: what
// was filled in, and what was put meanwhile, less what was deleted. Until then
// Search and Count answer from all that was there before and was put since; an
// index of one file, which is rebuilt in place, may answer from what was filled
// in as well.
type Rebuilder interface {
	// StartRebuild makes an empty next generation. From when it returns, every
	// Put and Delete of every process goes into both; so does a Put or Delete
	// that returns after it. A rebuild of another id that is under way is given
	// up: whoever made it is gone, or meets ErrRebuild.
	//
	// A chunk that was put before is not in the next generation until it is
	// filled in. Its record may be written only a while later, so who fills from
	// the records waits first until no write of before can be without its record.
	StartRebuild(ctx context.Context, id string) error
	// Fill adds chunks to the next generation alone. A chunk that is in it
	// already stays as it is: it was put meanwhile, and is newer. ErrRebuild
	// when id is not under way.
	Fill(ctx context.Context, id, product string, chunks []Entry) error
	// DeleteNext removes chunks from the next generation alone: those that were
	// filled in from records that changed meanwhile. ErrRebuild when id is not
	// under way.
	DeleteNext(ctx context.Context, id, product string, which Selection) error
	// FinishRebuild puts the next generation in the place of the old one, which
	// is gone when it returns. No search fails or finds less for it. A repeated
	// call does nothing; ErrRebuild when id was not under way.
	FinishRebuild(ctx context.Context, id string) error
	// AbortRebuild gives the rebuild up; the index goes on with what it had. An
	// id that is not under way is no error.
	AbortRebuild(ctx context.Context, id string) error
}
