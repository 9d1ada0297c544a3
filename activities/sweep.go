package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"runa/analytics"
	"runa/schemas"
	"runa/store"
)

const (
	// sweepAfter is how long a thing must have been left alone to be looked at.
	sweepAfter = time.Minute
	sweepLimit = 500
	// sweepPace spreads the questions to the engine: thousands of turns that
	// wait for a slot are looked at without taking the processors from those
	// that run. A sweep of all it may find takes ten seconds.
	sweepPace = 20 * time.Millisecond
	// draftAge outlasts any wait for a worker.
	draftAge = 7 * 24 * time.Hour
)

// Sweep finds what a lost signal or a lost workflow left behind, and sets it
// going again or ends it. It asks for each workflow by its id. Run again, it
// finds less.
func (a *Activities) Sweep(ctx context.Context) error {
	defer heartbeat(ctx)()
	since := time.Now().Add(-sweepAfter)
	if err := a.config.Engine.StartExport(ctx); err != nil {
		return err
	}
	if err := a.sweepSources(ctx, since); err != nil {
		return err
	}
	if err := a.config.Store.DropDrafts(ctx, time.Now().Add(-draftAge)); err != nil {
		return err
	}
	return a.sweepTurns(ctx, since)
}

// sweepTurns looks at one turn after the other. One that fails goes behind the
// others and keeps none of them from being looked at.
func (a *Activities) sweepTurns(ctx context.Context, since time.Time) error {
	turns, err := a.config.Store.StaleTurns(ctx, since, sweepLimit)
	if err != nil {
		return err
	}
	var failed []error
	for _, t := range turns {
		if err := a.sweepTurn(ctx, t); err != nil {
			failed = append(failed, fmt.Errorf("turn %s: %w", t.Turn, err), a.config.Store.TouchTurn(ctx, t.Product, t.Turn))
		}
		if err := sleep(ctx, sweepPace); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// sweepTurn ends a turn whose workflow is gone, and wakes one that waits for
// its place, or has it and was not told.
func (a *Activities) sweepTurn(ctx context.Context, t store.StaleTurn) error {
	open, err := a.config.Engine.TurnOpen(ctx, t.Product, t.Turn)
	if err != nil {
		return err
	}
	if open {
		if !t.Begun {
			if err := a.config.Engine.OfferPlace(ctx, t.Product, t.Turn); err != nil {
				return err
			}
		}
		return a.config.Store.TouchTurn(ctx, t.Product, t.Turn)
	}
	record, err := a.config.Store.Turn(ctx, t.Product, t.Turn)
	if schemas.CodeOf(err) == schemas.NotFound || record.Status.Final() {
		return nil // it ended, or was erased, while the others were looked at
	}
	if err != nil {
		return err
	}
	a.config.Log.Warn("turn has lost its workflow", "turn", t.Turn)
	next, err := a.config.Store.CloseTurn(ctx, t.Product, t.Turn, store.Closing{
		Status: schemas.TurnFailed, Intent: analytics.Intent,
		Error: schemas.Errorf(schemas.Interrupted, "the turn was interrupted and could not be taken up again"),
	})
	if err != nil {
		return err
	}
	a.config.Changed(t.Turn)
	a.ended(ctx, TurnKey{Product: t.Product, Turn: t.Turn})
	if next == "" {
		return nil
	}
	return a.config.Engine.OfferPlace(ctx, t.Product, next)
}

// sweepSources starts the crawls and purges that no workflow looks after.
func (a *Activities) sweepSources(ctx context.Context, since time.Time) error {
	sources, err := a.config.Store.StaleSources(ctx, since, sweepLimit)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if s.Deleted {
			err = a.config.Engine.StartPurge(ctx, s.Product, s.Source)
		} else {
			err = a.config.Engine.StartCrawl(ctx, s.Product, s.Source, s.Run)
		}
		if err != nil {
			return err
		}
		if err := a.config.Store.TouchSource(ctx, s.Product, s.Source); err != nil {
			return err
		}
	}
	return nil
}
