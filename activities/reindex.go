package activities

import (
	"context"
	"errors"
	"time"

	"runa/schemas"
	"runa/search"
	"runa/store"
)

const (
	// fillShift is how long one run of FillIndex works, so that what a dead
	// worker had done is not done again.
	fillShift = time.Minute
	// fillPages is how many pages are read and put at a time.
	fillPages = 50
	// leasePause is how often the leases are looked at that were there at the
	// start of a rebuild.
	leasePause = 500 * time.Millisecond
	// takeOutTime bounds what is done after a stop; a worker waits for longer.
	takeOutTime = 10 * time.Second
)

// StartRebuild makes the next generation of the index, and ends when what was
// written before it has its record: the walk over the records would miss it.
func (a *Activities) StartRebuild(ctx context.Context, in schemas.ReindexInput) error {
	defer heartbeat(ctx)()
	if err := a.config.Rebuilder.StartRebuild(ctx, in.ID); err != nil {
		return rebuildError(err)
	}
	end, err := a.config.Store.LeasesEnd(ctx)
	for leased := !end.IsZero(); leased && err == nil; {
		if err = sleep(ctx, leasePause); err == nil {
			leased, err = a.config.Store.Leased(ctx, end)
		}
	}
	if stop := interrupted(ctx); err != nil && stop != nil {
		return stop
	}
	return engineError(err)
}

// FillIndex fills the next generation from the records for a while and returns
// how far it came. Run again, it fills in what is there already, which changes
// nothing.
func (a *Activities) FillIndex(ctx context.Context, in schemas.ReindexInput) (schemas.ReindexPosition, error) {
	defer heartbeat(ctx)()
	at := in.Position
	for end := time.Now().Add(fillShift); !at.Done && time.Now().Before(end); {
		next, err := a.fillSome(ctx, in.ID, at)
		if stop := interrupted(ctx); err != nil && stop != nil {
			return at, stop
		}
		if err != nil && at != in.Position {
			return at, nil // what was done is kept; the next run meets the error
		}
		if err != nil {
			return at, rebuildError(err)
		}
		at = next
	}
	return at, nil
}

// rebuildError is engineError, but that a rebuild which is not under way any
// more never will be.
func rebuildError(err error) error {
	if errors.Is(err, search.ErrRebuild) {
		return applicationError(schemas.Conflict, "the rebuild is not under way any more", true, 0)
	}
	return engineError(err)
}

// fillSome fills in the next pages of a product, or goes on to the next product.
func (a *Activities) fillSome(ctx context.Context, id string, at schemas.ReindexPosition) (schemas.ReindexPosition, error) {
	pages, err := a.config.Store.PageTexts(ctx, at.Product, store.PagePlace{Source: at.Source, ID: at.Page}, fillPages)
	if err != nil {
		return at, err
	}
	if len(pages) == 0 {
		product, err := a.config.Store.NextProduct(ctx, at.Product)
		return schemas.ReindexPosition{Product: product, Pages: at.Pages, Done: product == ""}, err
	}
	if err := a.fill(ctx, id, at.Product, pages); err != nil {
		return at, err
	}
	last := pages[len(pages)-1]
	return schemas.ReindexPosition{Product: at.Product, Source: last.Source, Page: last.Document, Pages: at.Pages + len(pages)}, nil
}

// fill puts the passages of pages into the next generation, then takes out
// those whose page changed meanwhile: whoever changed it may have looked for
// them before they were there. Its own new ones it has put there itself.
func (a *Activities) fill(ctx context.Context, id, product string, pages []store.PageText) error {
	var chunks []search.Entry
	refs := make([]store.DocumentRef, len(pages))
	for i, p := range pages {
		refs[i] = p.DocumentRef
		chunks = append(chunks, passages(p.DocumentRef, p.URL, p.Title, p.Markdown)...)
	}
	if err := a.config.Rebuilder.Fill(ctx, id, product, chunks); err != nil {
		return err
	}
	// A stop between the two would leave what changed meanwhile: the next run
	// reads the pages anew and knows nothing of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOutTime)
	defer cancel()
	live, err := a.config.Store.Live(ctx, product, refs)
	if err != nil {
		return err
	}
	for i, ref := range refs {
		if live[i] {
			continue
		}
		which := search.Selection{Source: ref.Source, Document: ref.Document, Version: ref.Version}
		if err := a.config.Rebuilder.DeleteNext(ctx, id, product, which); err != nil {
			return err
		}
	}
	return nil
}

// FinishRebuild puts the next generation in the place of the old one.
func (a *Activities) FinishRebuild(ctx context.Context, in schemas.ReindexInput) error {
	defer heartbeat(ctx)()
	if err := a.config.Rebuilder.FinishRebuild(ctx, in.ID); err != nil {
		return rebuildError(err)
	}
	a.config.Log.Info("the index was filled anew", "pages", in.Position.Pages)
	return nil
}

// AbortRebuild gives the rebuild up.
func (a *Activities) AbortRebuild(ctx context.Context, in schemas.ReindexInput) error {
	defer heartbeat(ctx)()
	return engineError(a.config.Rebuilder.AbortRebuild(ctx, in.ID))
}
