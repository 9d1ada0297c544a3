// Package workflows is the business process: how a turn, a crawl, a purge, an
// export and a sweep go, deterministic and readable from top to bottom. What
// they do to the world is in package activities; every timeout and retry
// policy is in options.go. It holds no content: the rows do.
package workflows

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"runa/activities"
	"runa/schemas"
	"runa/store"
)

// placeSignal tells a queued turn to look for its place.
const placeSignal = "place"

// a names the activities; only their names are used.
var a *activities.Activities

// Turn answers one message of a user: it opens the turn, waits for its place
// in the session, thinks and calls tools until the model is done, and closes
// the turn. A refusal fails the workflow, which frees its id for another try;
// a turn that was accepted always completes it.
func Turn(ctx workflow.Context, in schemas.TurnInput) error {
	t := turn{in: in, key: activities.TurnKey{Product: in.Product, Turn: in.Turn}}
	opened, err := t.open(ctx)
	if err != nil || opened.Status.Final() {
		return err
	}
	err = t.awaitPlace(ctx, opened.Status)
	if err == nil {
		err = t.work(ctx, opened.NextStep)
	}
	if workflow.IsContinueAsNewError(err) {
		return err
	}
	return t.close(ctx, err)
}

type turn struct {
	in  schemas.TurnInput
	key activities.TurnKey
}

// open takes the turn in. A cancel that comes first is seen after it: a row
// that may be there needs the workflow to close it.
func (t *turn) open(ctx workflow.Context) (store.Opened, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	var opened store.Opened
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, records), a.OpenTurn, t.in).Get(ctx, &opened)
	if err == nil && opened.Refusal != nil {
		err = temporal.NewNonRetryableApplicationError(opened.Refusal.Message, string(opened.Refusal.Code), nil)
	}
	return opened, err
}

// awaitPlace returns when the turn holds its session's place. The signal that
// offers it may be lost, so the turn looks by itself too, ever less often.
func (t *turn) awaitPlace(ctx workflow.Context, status schemas.TurnStatus) error {
	offers := workflow.GetSignalChannel(ctx, placeSignal)
	for pause := placeFirst; status == schemas.TurnQueued; pause = min(2*pause, placeLast) {
		if err := t.continueAsNew(ctx, t.in.Held); err != nil {
			return err
		}
		if err := awaitOffer(ctx, offers, pause); err != nil {
			return err
		}
		local := workflow.WithLocalActivityOptions(ctx, records)
		if err := workflow.ExecuteLocalActivity(local, a.ClaimPlace, t.key).Get(ctx, &status); err != nil {
			return err
		}
	}
	return nil
}

func awaitOffer(ctx workflow.Context, offers workflow.ReceiveChannel, pause time.Duration) error {
	timed, cancel := workflow.WithCancel(ctx)
	defer cancel()
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(offers, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
	selector.AddFuture(workflow.NewTimer(timed, pause), func(workflow.Future) {})
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

// work thinks and calls tools, round by round, until the model is done.
func (t *turn) work(ctx workflow.Context, next int) error {
	began := workflow.Now(ctx)
	for ; ; next++ {
		held := t.in.Held + workflow.Now(ctx).Sub(began)
		if err := t.continueAsNew(ctx, held); err != nil {
			return err
		}
		left := heldTime - held
		if left <= 0 {
			return temporal.NewNonRetryableApplicationError("the turn worked for 24 hours", string(schemas.TurnLimit), nil)
		}
		ctx := workflow.WithActivityOptions(ctx, step(left))
		var decision activities.ThinkResult
		err := workflow.ExecuteActivity(ctx, a.Think, activities.ThinkInput{TurnKey: t.key, Step: next}).Get(ctx, &decision)
		if err != nil || decision.Done {
			return err
		}
		if err := t.callTools(ctx, decision.Calls); err != nil {
			return err
		}
	}
}

// callTools makes the calls of a round side by side and waits for all of them.
// A tool that fails is an outcome, not an error.
func (t *turn) callTools(ctx workflow.Context, calls []string) error {
	futures := make([]workflow.Future, len(calls))
	for i, call := range calls {
		futures[i] = workflow.ExecuteActivity(ctx, a.CallTool, activities.CallKey{TurnKey: t.key, Call: call})
	}
	var failed error
	for _, f := range futures {
		if err := f.Get(ctx, nil); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

// continueAsNew begins a new history when the server says that this one is
// long enough. The new run reads the rows; offers that came are in them.
func (t *turn) continueAsNew(ctx workflow.Context, held time.Duration) error {
	if !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		return nil
	}
	next := t.in
	next.Held = held
	return workflow.NewContinueAsNewError(ctx, Turn, next)
}

// close ends the turn by its outcome and offers the place to the next one. It
// runs to its end also when the turn was canceled.
func (t *turn) close(ctx workflow.Context, outcome error) error {
	in := activities.CloseTurnInput{TurnKey: t.key}
	in.Status, in.Error = verdict(outcome)
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	drain(workflow.GetSignalChannel(ctx, placeSignal))
	var next string
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, records), a.CloseTurn, in).Get(ctx, &next)
	if typeOf(err) == schemas.NotFound {
		return nil // the product was deleted, and the turn with it
	}
	if err != nil || next == "" {
		return err
	}
	offer := workflow.SignalExternalWorkflow(ctx, schemas.TurnWorkflowID(t.in.Product, next), "", placeSignal, nil)
	if err := offer.Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Info("the next turn was not there to be told", "turn", next)
	}
	return nil
}

// drain takes offers that came too late to be of use: after a crash the row
// often gave the place first. Left there, each would be a warning in the log.
func drain(offers workflow.ReceiveChannel) {
	for offers.ReceiveAsync(nil) {
	}
}

// verdict says how a turn ends by what its work returned.
func verdict(outcome error) (schemas.TurnStatus, *schemas.Error) {
	switch {
	case outcome == nil:
		return schemas.TurnCompleted, nil
	case temporal.IsCanceledError(outcome):
		return schemas.TurnCanceled, nil
	case temporal.IsTimeoutError(outcome):
		return schemas.TurnFailed, schemas.Errorf(schemas.TurnLimit, "the turn ran out of time")
	}
	var e *temporal.ApplicationError
	if code := typeOf(outcome); errors.As(outcome, &e) && slices.Contains(reasons, code) {
		return schemas.TurnFailed, schemas.Errorf(code, "%s", e.Message())
	}
	return schemas.TurnFailed, schemas.Errorf(schemas.Internal, "Internal error")
}

// reasons are the codes that say to a caller why a turn failed. The type of
// any other error is Go's name for it, or a word of a newer worker.
var reasons = []schemas.Code{
	schemas.TurnLimit, schemas.ModelUnavailable, schemas.ModelRefused, schemas.RateLimited,
	schemas.NotFound, schemas.Gone, schemas.Unavailable,
}

// typeOf returns the error's code, "" for one that has none.
func typeOf(err error) schemas.Code {
	var e *temporal.ApplicationError
	if !errors.As(err, &e) {
		return ""
	}
	return schemas.Code(e.Type())
}
