package activities

import (
	"context"
	"time"

	"runa/schemas"
)

// StopCrawl cancels the crawl of a source and succeeds once it has ended. Run
// again, it asks again.
func (a *Activities) StopCrawl(ctx context.Context, in schemas.PurgeInput) error {
	ended, err := a.config.Engine.StopCrawl(ctx, in.Product, in.Source)
	if err != nil {
		return err
	}
	if !ended {
		return engineError(schemas.Errorf(schemas.Unavailable, "the crawl has not ended yet"))
	}
	return nil
}

// PurgeWait returns how long a fetch that was under way at the delete may
// still write to the index. Run again, it is the rest of that time.
func (a *Activities) PurgeWait(ctx context.Context, in schemas.PurgeInput) (time.Duration, error) {
	until, err := a.config.Store.PurgeReady(ctx, in.Product, in.Source)
	return max(0, time.Until(until)), err
}

// PurgeIndex deletes a source's chunks and returns how many are left. Run
// again, it deletes what is left.
func (a *Activities) PurgeIndex(ctx context.Context, in schemas.PurgeInput) (left int, err error) {
	defer heartbeat(ctx)()
	if err := a.config.Index.Delete(ctx, in.Product, selection(in.Source, "", 0)); err != nil {
		return 0, err
	}
	return a.config.Index.Count(ctx, in.Product, selection(in.Source, "", 0))
}

// ForgetSource deletes the pages and texts of a purged source. Run again, it
// changes nothing.
func (a *Activities) ForgetSource(ctx context.Context, in schemas.PurgeInput) error {
	defer heartbeat(ctx)()
	if err := a.config.Store.ForgetSource(ctx, in.Product, in.Source); err != nil {
		return engineError(err)
	}
	a.config.Log.Info("source purged", "source", in.Source)
	return nil
}
