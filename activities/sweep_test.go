package activities_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/schemas"
)

// sweeping is a bench whose engine keeps a log; open are the turns that have
// a workflow.
func sweeping(t *testing.T, open ...string) (b *activitiestest.Bench, log func() []string) {
	t.Helper()
	var done []string
	note := func(what string) error {
		done = append(done, what)
		return nil
	}
	b = activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Changed = func(turn string) { _ = note("changed " + turn) }
		cfg.Engine = &activitiestest.Engine{
			TurnOpenFunc: func(_ context.Context, _, turn string) (bool, error) {
				for _, one := range open {
					if one == turn {
						return true, nil
					}
				}
				return false, nil
			},
			OfferPlaceFunc:  func(_ context.Context, _, turn string) error { return note("offer " + turn) },
			StartCrawlFunc:  func(_ context.Context, _, source string, _ int64) error { return note("crawl " + source) },
			StartPurgeFunc:  func(_ context.Context, _, source string) error { return note("purge " + source) },
			StartExportFunc: func(context.Context) error { return note("export") },
		}
	})
	return b, func() []string {
		last := done
		done = nil
		return last
	}
}

func sweep(t *testing.T, b *activitiestest.Bench) error {
	t.Helper()
	_, err := environment(t.Context(), b).ExecuteActivity(b.Sweep)
	return err
}

// leaveAlone makes everything look as if nothing had touched it for minutes.
func leaveAlone(t *testing.T, b *activitiestest.Bench) {
	t.Helper()
	alter(t, b, `UPDATE turns SET touched_at = touched_at - 120000`)
	alter(t, b, `UPDATE sources SET touched_at = touched_at - 120000`)
}

func TestSweepEndsATurnWithoutWorkflow(t *testing.T) {
	t.Parallel()
	b, log := sweeping(t, "msg_2")
	lost, next := b.Opened(t, "s", "msg_1", "hello"), b.Opened(t, "s", "msg_2", "hello again")
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export"}, log(), "what was touched is left alone")
	alter(t, b, `UPDATE turns SET touched_at = touched_at - 120000 WHERE id = 'msg_1'`)
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export", "changed msg_1", "offer msg_2"}, log())
	turn := turnOf(t, b, lost)
	require.Equal(t, schemas.TurnFailed, turn.Status)
	require.Equal(t, schemas.Interrupted, turn.Error.Code)
	require.Equal(t, schemas.TurnRunning, turnOf(t, b, next).Status, "the place went on")
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export"}, log(), "a second sweep finds nothing")
}

func TestSweepTellsWhoWaitsForALastTurn(t *testing.T) {
	t.Parallel()
	b, log := sweeping(t)
	b.Opened(t, "s", "msg_1", "hello")
	leaveAlone(t, b)
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export", "changed msg_1"}, log())
}

func TestSweepWakesAQueuedTurn(t *testing.T) {
	t.Parallel()
	b, log := sweeping(t, "msg_1", "msg_2")
	_, err := b.Store.ClaimStep(t.Context(), product, b.Opened(t, "s", "msg_1", "hello").Turn, 1, nil)
	require.NoError(t, err)
	queued := b.Opened(t, "s", "msg_2", "hello again")
	leaveAlone(t, b)
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export", "offer msg_2"}, log(), "a turn that works is left to its workflow")
	require.Equal(t, schemas.TurnQueued, turnOf(t, b, queued).Status)
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export"}, log(), "for the next minute it has been looked after")
}

// The sweep before was cut after it gave the place on and before it said so.
func TestSweepTellsATurnThatHasItsPlace(t *testing.T) {
	t.Parallel()
	b, log := sweeping(t, "msg_1")
	b.Opened(t, "s", "msg_1", "hello")
	leaveAlone(t, b)
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export", "offer msg_1"}, log())
}

func TestSweepRestartsCrawlsAndPurges(t *testing.T) {
	t.Parallel()
	b, log := sweeping(t)
	crawl, purge := b.Source(t, "http://a.test/", quick()), b.Source(t, "http://b.test/", quick())
	ready := b.Source(t, "http://c.test/", quick())
	require.NoError(t, b.Store.FinishCrawl(t.Context(), product, ready.Source, ready.Run, schemas.SourceReady, ""))
	require.NoError(t, b.Store.DeleteSource(t.Context(), product, purge.Source))
	leaveAlone(t, b)
	require.NoError(t, sweep(t, b))
	require.ElementsMatch(t, []string{"crawl " + crawl.Source, "purge " + purge.Source, "export"}, log())
	require.NoError(t, sweep(t, b))
	require.Equal(t, []string{"export"}, log())
}

func TestSweepDropsOldDrafts(t *testing.T) {
	t.Parallel()
	b, _ := sweeping(t)
	old, fresh := b.Draft(t, "s", "msg_1", "old"), b.Draft(t, "s", "msg_2", "fresh")
	alter(t, b, `UPDATE drafts SET created_at = created_at - 8 * 86400000 WHERE id = ?`, old.Draft)
	require.NoError(t, sweep(t, b))
	opened, err := b.Store.OpenTurn(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, schemas.Gone, opened.Refusal.Code)
	opened, err = b.Store.OpenTurn(t.Context(), fresh)
	require.NoError(t, err)
	require.Nil(t, opened.Refusal)
}

// An engine that is away must not make the sweep end turns.
func TestSweepLeavesWhatItCannotAskAbout(t *testing.T) {
	t.Parallel()
	b := activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Engine = &activitiestest.Engine{
			TurnOpenFunc:    func(context.Context, string, string) (bool, error) { return false, errors.New("engine is away") },
			StartExportFunc: func(context.Context) error { return nil },
		}
	})
	key := b.Opened(t, "s", "msg_1", "hello")
	leaveAlone(t, b)
	require.ErrorContains(t, sweep(t, b), "engine is away")
	require.Equal(t, schemas.TurnRunning, turnOf(t, b, key).Status)
}

// One turn that cannot be looked at keeps no other from it.
func TestSweepGoesOnBehindATurnThatFails(t *testing.T) {
	t.Parallel()
	b := activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Engine = &activitiestest.Engine{
			TurnOpenFunc: func(_ context.Context, _, turn string) (bool, error) {
				if turn == "msg_1" {
					return false, errors.New("its row makes no sense")
				}
				return false, nil
			},
			StartExportFunc: func(context.Context) error { return nil },
		}
	})
	sick, lost := b.Opened(t, "a", "msg_1", "hello"), b.Opened(t, "b", "msg_2", "hello")
	leaveAlone(t, b)
	require.ErrorContains(t, sweep(t, b), "msg_1")
	require.Equal(t, schemas.TurnRunning, turnOf(t, b, sick).Status)
	require.Equal(t, schemas.TurnFailed, turnOf(t, b, lost).Status)
	require.NoError(t, sweep(t, b), "it went behind the others")
}

func TestTurnIsOpenedPlacedAndClosedOnce(t *testing.T) {
	t.Parallel()
	b, log := sweeping(t)
	ctx := t.Context()
	in := b.Draft(t, "s", "msg_1", "hello")
	for range 2 {
		opened, err := b.OpenTurn(ctx, in)
		require.NoError(t, err)
		require.Equal(t, schemas.TurnRunning, opened.Status)
		require.Equal(t, 1, opened.NextStep)
	}
	second := b.Opened(t, "s", "msg_2", "hello again")
	status, err := b.ClaimPlace(ctx, second)
	require.NoError(t, err)
	require.Equal(t, schemas.TurnQueued, status)
	for range 2 {
		next, err := b.CloseTurn(ctx, activities.CloseTurnInput{
			TurnKey: activities.TurnKey{Product: product, Turn: "msg_1"}, Status: schemas.TurnCompleted,
		})
		require.NoError(t, err)
		require.Equal(t, "msg_2", next)
	}
	status, err = b.ClaimPlace(ctx, second)
	require.NoError(t, err)
	require.Equal(t, schemas.TurnRunning, status)
	require.Equal(t, []string{
		"changed msg_1", "changed msg_1", "changed msg_2", "changed msg_1", "changed msg_1", "changed msg_2",
	}, log())
	require.NoError(t, b.Store.DeleteProduct(ctx, product))
	_, err = b.ClaimPlace(ctx, second)
	requireFailure(t, err, schemas.NotFound, true)
	_, err = b.CloseTurn(ctx, activities.CloseTurnInput{TurnKey: second, Status: schemas.TurnCompleted})
	requireFailure(t, err, schemas.NotFound, true)
}
