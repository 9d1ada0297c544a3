package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"runa/activities"
	"runa/schemas"
)

// Crawl runs one crawl of a source: it fills the frontier with seeds, fetches
// batch by batch until no page is pending and none is leased, and says what
// came of it. The frontier is in the rows; a source that is deleted meanwhile
// ends the crawl.
func Crawl(ctx workflow.Context, in schemas.CrawlInput) error {
	ctx = workflow.WithActivityOptions(ctx, crawling)
	err := crawl(ctx, in)
	if code := typeOf(err); code == schemas.Gone || code == schemas.NotFound {
		return nil
	}
	return err
}

func crawl(ctx workflow.Context, in schemas.CrawlInput) error {
	key := activities.SourceKey{Product: in.Product, Source: in.Source, Run: in.Run}
	finish := activities.FinishCrawlInput{SourceKey: key}
	if !in.Discovered {
		err := workflow.ExecuteActivity(ctx, a.Discover, key).Get(ctx, nil)
		if why, yes := hopeless(err); yes {
			finish.Failure = why
			return workflow.ExecuteActivity(ctx, a.FinishCrawl, finish).Get(ctx, nil)
		}
		if err != nil {
			return err
		}
		in.Discovered = true
	}
	for {
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Crawl, in)
		}
		in.Batch++
		var left activities.FetchBatchResult
		batch := activities.FetchBatchInput{SourceKey: key, Batch: in.Batch}
		if err := workflow.ExecuteActivity(ctx, a.FetchBatch, batch).Get(ctx, &left); err != nil {
			return err
		}
		if left.Done {
			return workflow.ExecuteActivity(ctx, a.FinishCrawl, finish).Get(ctx, nil)
		}
		if err := workflow.Sleep(ctx, left.Wait); err != nil {
			return err
		}
	}
}

// hopeless reports a failure that no retry mends and that is not the source's
// end, and says why in its own words: the engine's are nobody's business.
func hopeless(err error) (why string, yes bool) {
	var e *temporal.ApplicationError
	if !errors.As(err, &e) || !e.NonRetryable() || typeOf(err) == schemas.Gone || typeOf(err) == schemas.NotFound {
		return "", false
	}
	return e.Message(), true
}
