package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"runa/schemas"
)

// Purge empties a deleted source: it ends the crawl, waits until no fetch that
// had begun can write any more, deletes the passages, and ends when a count
// taken twice says that nothing is left.
func Purge(ctx workflow.Context, in schemas.PurgeInput) error {
	ctx = workflow.WithActivityOptions(ctx, purging)
	if err := workflow.ExecuteActivity(ctx, a.StopCrawl, in).Get(ctx, nil); err != nil {
		return err
	}
	if err := sleepOutLeases(ctx, in); err != nil {
		return err
	}
	for empty := 0; empty < 2; {
		left := 0
		if err := workflow.ExecuteActivity(ctx, a.PurgeIndex, in).Get(ctx, &left); err != nil {
			return err
		}
		if empty++; left > 0 {
			empty = 0
		}
		if empty < 2 {
			if err := workflow.Sleep(ctx, purgePause); err != nil {
				return err
			}
		}
	}
	return workflow.ExecuteActivity(ctx, a.ForgetSource, in).Get(ctx, nil)
}

func sleepOutLeases(ctx workflow.Context, in schemas.PurgeInput) error {
	for {
		var wait time.Duration
		if err := workflow.ExecuteActivity(ctx, a.PurgeWait, in).Get(ctx, &wait); err != nil {
			return err
		}
		if wait == 0 {
			return nil
		}
		if err := workflow.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}
