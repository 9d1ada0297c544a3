// Package search finds passages of a product's knowledge. It is an index and
// decides nothing: which sources and document versions are alive is for the
// records to say.
package search

import (
	"context"

	"runa/schemas"
)

// Index holds chunks and finds them. Implementations are safe for concurrent
// use, and every method sees one product only. An index that cannot be reached
// answers any error within the context's deadline; nothing is half applied
// that repeating the call would not mend.
type Index interface {
	// Put adds chunks, replacing those of the same ID: a repeated Put changes
	// nothing. Nil says that they are durable and will be found. A vector that
	// is not valid is an error, and nothing is put.
	Put(ctx context.Context, product string, chunks []Entry) error
	// Delete removes the chunks that match; none is not an error. Nil says
	// that they are gone and will not be found.
	Delete(ctx context.Context, product string, which Selection) error
	// Count counts the chunks that match.
	Count(ctx context.Context, product string, which Selection) (int, error)
	// Search returns at most q.Limit matches, best first, equal scores by
	// chunk id: by the words of q.Text, by the nearness of q.Vector, or by both.
	// No match is an empty slice.
	Search(ctx context.Context, product string, q Query) ([]Match, error)
	// Ping reports whether the index can answer.
	Ping(ctx context.Context) error
	// Close frees what the index holds.
	Close() error
}

// Selection names chunks of one source.
type Selection struct {
	// Source is required.
	Source string
	// Document narrows to one document; "" is all of the source.
	Document string
	// Version narrows to one version; 0 is all of them.
	Version int64
	// KeepVersion spares the chunks of this version; 0 spares none.
	KeepVersion int64
}

// Query is a question to the index.
type Query struct {
	// Text is the user's question, verbatim, in any language.
	Text string
	// Vector of Text, from the embedder that made the chunks'; nil searches by
	// words alone. Chunks without one of its space are found by words only.
	Vector *Vector
	// Sources are the sources to look in; none finds nothing.
	Sources []string
	// Limit is the greatest number of matches, 1 to 200.
	Limit int
}

// Match is a chunk and how well it fits; scores compare within one answer.
type Match struct {
	schemas.Chunk
	Score float64
}
