package workflows

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"runa/activities"
	"runa/schemas"
)

var crawlInput = schemas.CrawlInput{Product: "prod_a", Source: "ks_1", Run: 2}

// newCrawl is a crawl whose batches answer in turn; the last answer stands.
func newCrawl(t *testing.T, batches ...activities.FetchBatchResult) *scene {
	t.Helper()
	s := newScene(t)
	key := activities.SourceKey{Product: "prod_a", Source: "ks_1", Run: 2}
	s.on(a.Discover, func(_ context.Context, in activities.SourceKey) error {
		s.note("discover")
		require.Equal(t, key, in)
		return nil
	}).Maybe()
	s.on(a.FetchBatch, func(_ context.Context, in activities.FetchBatchInput) (activities.FetchBatchResult, error) {
		s.note("batch %d", in.Batch)
		require.Equal(t, key, in.SourceKey)
		answer := batches[0]
		batches = batches[min(1, len(batches)-1):]
		return answer, nil
	}).Maybe()
	s.on(a.FinishCrawl, func(_ context.Context, in activities.FinishCrawlInput) error {
		s.note("finish %q", in.Failure)
		require.Equal(t, key, in.SourceKey)
		return nil
	}).Maybe()
	return s
}

func (s *scene) runCrawl(t *testing.T, in schemas.CrawlInput) error {
	t.Helper()
	s.ExecuteWorkflow(Crawl, in)
	require.True(t, s.IsWorkflowCompleted())
	return s.GetWorkflowError()
}

func TestCrawlSleepsUntilAPageCanBeFetched(t *testing.T) {
	t.Parallel()
	s := newCrawl(t,
		activities.FetchBatchResult{}, activities.FetchBatchResult{Wait: 40 * time.Second}, activities.FetchBatchResult{Done: true})
	require.NoError(t, s.runCrawl(t, crawlInput))
	require.Equal(t, []string{`0s discover`, `0s batch 1`, `0s batch 2`, `40s batch 3`, `40s finish ""`}, s.log)
}

func TestCrawlOfADeletedSourceEnds(t *testing.T) {
	t.Parallel()
	for _, code := range []schemas.Code{schemas.Gone, schemas.NotFound} {
		discover := newScene(t)
		discover.on(a.Discover, func(context.Context, activities.SourceKey) error { return failing(code, "over") })
		require.NoError(t, discover.runCrawl(t, crawlInput), code)

		batch := newScene(t)
		batch.on(a.Discover, func(context.Context, activities.SourceKey) error { return nil })
		batch.on(a.FetchBatch, func(context.Context, activities.FetchBatchInput) (activities.FetchBatchResult, error) {
			return activities.FetchBatchResult{}, failing(code, "over")
		})
		require.NoError(t, batch.runCrawl(t, crawlInput), code)
	}
}

// The reason is shown to the source's owner: it is the error's own words, not
// those of the engine around it.
func TestCrawlThatCannotBeginSaysWhy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.on(a.Discover, func(context.Context, activities.SourceKey) error {
		return failing(schemas.InvalidRequest, "the url cannot be crawled")
	})
	s.on(a.FinishCrawl, func(_ context.Context, in activities.FinishCrawlInput) error {
		s.note("%s", in.Failure)
		return nil
	})
	require.NoError(t, s.runCrawl(t, crawlInput))
	require.Equal(t, []string{"0s the url cannot be crawled"}, s.log)
}

func TestCrawlTriesAgainWhatMayMend(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	tries := 0
	s.on(a.Discover, func(context.Context, activities.SourceKey) error {
		if tries++; tries < 5 {
			return errStore
		}
		return nil
	})
	s.on(a.FetchBatch, func(context.Context, activities.FetchBatchInput) (activities.FetchBatchResult, error) {
		return activities.FetchBatchResult{Done: true}, nil
	})
	s.on(a.FinishCrawl, func(context.Context, activities.FinishCrawlInput) error {
		s.note("finish")
		return nil
	})
	require.NoError(t, s.runCrawl(t, crawlInput))
	require.Equal(t, []string{"15s finish"}, s.log, "1, 2, 4 and 8 seconds between five tries")
}

func TestCrawlContinuesAsNewWithItsPlace(t *testing.T) {
	t.Parallel()
	s := newCrawl(t, activities.FetchBatchResult{Wait: time.Second})
	s.RegisterDelayedCallback(func() { s.SetContinueAsNewSuggested(true) }, 2500*time.Millisecond)
	err := s.runCrawl(t, crawlInput)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &again)
	var in schemas.CrawlInput
	require.NoError(t, s.decode(again, &in))
	require.Equal(t, schemas.CrawlInput{Product: "prod_a", Source: "ks_1", Run: 2, Batch: 3, Discovered: true}, in)

	next := newCrawl(t, activities.FetchBatchResult{Done: true})
	require.NoError(t, next.runCrawl(t, in))
	require.Equal(t, []string{`0s batch 4`, `0s finish ""`}, next.log)
}

func TestCrawlCanceledFinishesNothing(t *testing.T) {
	t.Parallel()
	s := newCrawl(t, activities.FetchBatchResult{Wait: time.Hour})
	s.RegisterDelayedCallback(s.CancelWorkflow, time.Minute)
	err := s.runCrawl(t, crawlInput)
	require.True(t, temporal.IsCanceledError(err), "%v", err)
	require.Equal(t, []string{"0s discover", "0s batch 1"}, s.log)
}

// newPurge is a purge that finds these numbers of chunks left, one after
// another.
func newPurge(t *testing.T, left ...int) *scene {
	t.Helper()
	s := newScene(t)
	stops, waits := 0, []time.Duration{40 * time.Second, 0}
	s.on(a.StopCrawl, func(context.Context, schemas.PurgeInput) error {
		if stops++; stops < 3 {
			return temporal.NewApplicationError("not yet", string(schemas.Unavailable))
		}
		s.note("stopped")
		return nil
	})
	s.on(a.PurgeWait, func(context.Context, schemas.PurgeInput) (time.Duration, error) {
		s.note("wait %s", waits[0])
		wait := waits[0]
		waits = waits[1:]
		return wait, nil
	})
	s.on(a.PurgeIndex, func(context.Context, schemas.PurgeInput) (int, error) {
		s.note("left %d", left[0])
		n := left[0]
		left = left[1:]
		return n, nil
	})
	s.on(a.ForgetSource, func(_ context.Context, in schemas.PurgeInput) error {
		require.Equal(t, schemas.PurgeInput{Product: "prod_a", Source: "ks_1"}, in)
		s.note("forget")
		return nil
	})
	return s
}

// purgeStart is 1 s and 1.5 s between the tries of StopCrawl, rounded.
const purgeStart = 2500 * time.Millisecond

func TestPurgeCountsTwiceAndWaits(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]int{"empty at once": {0, 0}, "late writes": {0, 3, 0, 0}, "slow": {5, 2, 0, 0}} {
		s := newPurge(t, left...)
		s.ExecuteWorkflow(Purge, schemas.PurgeInput{Product: "prod_a", Source: "ks_1"})
		require.NoError(t, s.GetWorkflowError(), name)
		at := func(d time.Duration) time.Duration { return (purgeStart + d).Round(time.Second) }
		want := []string{
			fmt.Sprintf("%s stopped", at(0)), fmt.Sprintf("%s wait 40s", at(0)), fmt.Sprintf("%s wait 0s", at(40*time.Second)),
		}
		for i, n := range left {
			want = append(want, fmt.Sprintf("%s left %d", at(40*time.Second+time.Duration(i)*purgePause), n))
		}
		want = append(want, fmt.Sprintf("%s forget", at(40*time.Second+time.Duration(len(left)-1)*purgePause)))
		require.Equal(t, want, s.log, name)
	}
}

func TestExportWorksInShifts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	shifts := 0
	s.OnActivity(a.ExportEvents, anyArgument).Return(func(context.Context) error {
		shifts++
		return nil
	})
	s.ExecuteWorkflow(Export)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, s.GetWorkflowError(), &again)
	require.Equal(t, exportShifts, shifts)
}

func TestSweepIsTriedThreeTimes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	tries := 0
	s.OnActivity(a.Sweep, anyArgument).Return(func(context.Context) error {
		tries++
		return errStore
	})
	s.ExecuteWorkflow(Sweep)
	require.ErrorContains(t, s.GetWorkflowError(), errStore.Error())
	require.Equal(t, 3, tries)
}
