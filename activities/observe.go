package activities

import (
	"context"
	"errors"

	"runa/llm"
	"runa/schemas"
	"runa/store"
	"runa/telemetry"
)

// What the observer is told: ids, counts and codes, never text.

func place(product string, turn store.TurnRecord, step int) telemetry.Place {
	return telemetry.Place{Product: product, Session: turn.Session, Turn: turn.ID, Step: step}
}

// answer is how a call to the model ended.
func answer(resp *llm.Response, err error) telemetry.Answer {
	if err != nil {
		return telemetry.Answer{Failure: failure(err)}
	}
	return telemetry.Answer{
		Model: resp.Model, InputTokens: resp.Usage.InputTokens, OutputTokens: resp.Usage.OutputTokens, ToolCalls: len(resp.Calls),
	}
}

// failure names an error without its text.
func failure(err error) string {
	var model *llm.Error
	switch {
	case errors.As(err, &model):
		return string(model.Code)
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return string(schemas.Internal)
}

// retrieved is the outcome of a turn's search, where ctx is the turn's own.
func retrieved(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return telemetry.RetrievalOK
	case ctx.Err() != nil:
		return telemetry.RetrievalCanceled
	}
	return telemetry.RetrievalDegraded
}

// callCode is the code of a tool's failure, "" for none.
func callCode(e *schemas.CallError) string {
	if e == nil {
		return ""
	}
	return e.Code
}

// settled is the reason that a page shows.
func settled(reason schemas.PageReason, duplicate bool) schemas.PageReason {
	if duplicate {
		return schemas.ReasonDuplicate
	}
	return reason
}

// ended tells of a turn that was closed, from its row. A turn is closed all
// the same when nobody can tell.
func (a *Activities) ended(ctx context.Context, key TurnKey) {
	times, err := a.config.Store.TurnTimes(ctx, key.Product, key.Turn)
	if err != nil || times.Ended.IsZero() {
		a.config.Log.Debug("the end of a turn was not counted", "turn", key.Turn, "error", err)
		return
	}
	a.config.Observer.TurnEnded(string(times.Status), times.Ended.Sub(times.Created))
}
