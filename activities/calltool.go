package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"runa/schemas"
	"runa/store"
	"runa/telemetry"
	"runa/tool"
)

// toolBudget is how long a call that cannot be made, or may be made again, is
// tried, from the first try, before its last failure stands. A shutdown of the
// worker spends none of it but time.
const toolBudget = 2 * time.Minute

// CallKey names a call of a turn.
type CallKey struct {
	TurnKey
	Call string `json:"call"`
}

// Errors of calls that package tool does not make.
const (
	codeUnknown     = "unknown"      // nobody can tell its effect
	codeUnknownTool = "unknown_tool" // there is no such tool, or no more
)

// CallTool makes a call and stores how it ended. Of all its runs one sends the
// request first; a later one that finds it sent, without an outcome, sends it
// again under the same key if the tool's effect allows it, and else stores that
// the outcome is unknown. A call with an outcome is left as it is.
func (a *Activities) CallTool(ctx context.Context, in CallKey) error {
	defer heartbeat(ctx)()
	err := a.callTool(ctx, in)
	if stop := interrupted(ctx); err != nil && stop != nil {
		return stop
	}
	return engineError(err)
}

func (a *Activities) callTool(ctx context.Context, in CallKey) error {
	claim, err := a.config.Store.ClaimCall(ctx, in.Product, in.Turn, in.Call)
	if err != nil || !claim.Ended.IsZero() {
		return err
	}
	if claim.Tool == nil && !claim.Send {
		return a.finish(ctx, in, unknown("the tool was removed after the call was sent; it may have taken effect"))
	}
	if claim.Tool == nil {
		return a.finish(ctx, in, store.CallOutcome{
			Status: schemas.CallFailed, Error: &schemas.CallError{Code: codeUnknownTool, Message: "the tool was removed"},
		})
	}
	if !claim.Send && claim.Tool.Effect == schemas.EffectUnsafe {
		return a.finish(ctx, in, unknown("the call was interrupted after it was sent; it may have taken effect"))
	}
	a.config.Fail("call claimed")
	observed, done := a.config.Observer.Tool(ctx, telemetry.Place{
		Product: in.Product, Session: claim.Session, Turn: in.Turn, Step: claim.Step,
	}, claim.Name, in.Call)
	outcome := a.config.Tools.Call(observed, request(in, claim))
	done(string(outcome.Kind), callCode(outcome.Error))
	a.config.Fail("tool answered")
	if ctx.Err() != nil {
		return a.cut(ctx, in, claim, outcome)
	}
	return a.settle(ctx, in, claim, outcome)
}

// request is the same for every try of a call: the key that the tool sees is
// its place in the turn.
func request(in CallKey, claim store.CallClaim) tool.Request {
	return tool.Request{
		Tool: *claim.Tool, Headers: claim.Headers, Arguments: claim.Arguments,
		IdempotencyKey: fmt.Sprintf("%s/%d/%s", in.Turn, claim.Step, in.Call),
		Product:        in.Product, Session: claim.Session, Turn: in.Turn, Call: in.Call,
	}
}

// settle stores what is definitive and asks for another try of what is not.
func (a *Activities) settle(ctx context.Context, in CallKey, claim store.CallClaim, o tool.Outcome) error {
	// A tool that wants to be left alone for longer than the budget has had it.
	spent := time.Since(claim.Since)+o.RetryAfter > toolBudget
	switch {
	case o.Kind == tool.Succeeded:
		return a.finish(ctx, in, store.CallOutcome{Status: schemas.CallSucceeded, Result: o.Result})
	case o.Kind == tool.Lost && claim.Tool.Effect == schemas.EffectUnsafe:
		return a.finish(ctx, in, unknown(o.Error.Message+"; it may have taken effect"))
	case spent && claim.Tool.Effect == schemas.EffectIdempotent && mayHaveTaken(claim, o):
		return a.finish(ctx, in, unknown(o.Error.Message+"; it may have taken effect"))
	case o.Kind == tool.Failed || spent:
		return a.finish(ctx, in, store.CallOutcome{Status: schemas.CallFailed, Error: o.Error})
	}
	a.config.Log.Info("tool call will be tried again", "call", in.Call, "tool", claim.Name, "error", o.Error.Message, "cause", o.Err)
	if o.Kind != tool.Lost {
		// This request did not leave, or was answered: the next try is the first
		// again. The mark of an earlier one that was lost stays.
		if err := a.config.Store.UnsendCall(ctx, in.Product, in.Turn, in.Call, claim.Claim); err != nil {
			return err
		}
	}
	return &schemas.Error{Code: schemas.Unavailable, Message: o.Error.Message, RetryAfter: o.RetryAfter}
}

// mayHaveTaken reports whether this or an earlier try of a call may have had
// its effect: a request left, and no answer says that it had none.
func mayHaveTaken(claim store.CallClaim, o tool.Outcome) bool {
	switch o.Kind {
	case tool.Lost:
		return true
	case tool.Retry, tool.NotSent:
		return !claim.Send
	}
	return false
}

// cut is the end of a call whose activity was told to stop. A request that
// never left may be sent by the next try; what else happened is for it to
// find in the row.
func (a *Activities) cut(ctx context.Context, in CallKey, claim store.CallClaim, o tool.Outcome) error {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	switch o.Kind {
	case tool.Succeeded:
		return a.finish(detached, in, store.CallOutcome{Status: schemas.CallSucceeded, Result: o.Result})
	case tool.Failed:
		return a.finish(detached, in, store.CallOutcome{Status: schemas.CallFailed, Error: o.Error})
	case tool.NotSent:
		if err := a.config.Store.UnsendCall(detached, in.Product, in.Turn, in.Call, claim.Claim); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (a *Activities) finish(ctx context.Context, in CallKey, outcome store.CallOutcome) error {
	if err := a.config.Store.FinishCall(ctx, in.Product, in.Turn, in.Call, outcome); err != nil {
		return err
	}
	a.config.Fail("tool stored")
	a.config.Changed(in.Turn)
	return nil
}

func unknown(message string) store.CallOutcome {
	return store.CallOutcome{Status: schemas.CallUnknown, Error: &schemas.CallError{Code: codeUnknown, Message: message}}
}

// TestTool calls a tool as a turn would, without a turn: once, and never again.
func (r *ToolTester) TestTool(ctx context.Context, product, id string, arguments json.RawMessage) (schemas.ToolCall, error) {
	t, headers, err := r.Store.ToolWithHeaders(ctx, product, id)
	if err != nil {
		return schemas.ToolCall{}, err
	}
	if err := tool.CheckArguments(t, arguments); err != nil {
		return schemas.ToolCall{}, schemas.Invalid("arguments", "%s", schemas.MessageOf(err))
	}
	call := schemas.ToolCall{ID: schemas.NewID(schemas.CallPrefix), Name: t.Name, Arguments: arguments}
	began := time.Now()
	o := r.Tools.Call(ctx, tool.Request{
		Tool: t, Headers: headers, Arguments: arguments, IdempotencyKey: call.ID, Product: product, Call: call.ID,
	})
	call.DurationMs, call.Result, call.Error = time.Since(began).Milliseconds(), o.Result, o.Error
	switch o.Kind {
	case tool.Succeeded:
		call.Status = schemas.CallSucceeded
	case tool.Lost:
		call.Status = schemas.CallUnknown
	default:
		call.Status = schemas.CallFailed
	}
	return call, nil
}

// ToolTester calls tools for their owner, who wants to see that they work.
type ToolTester struct {
	Store *store.Store
	Tools *tool.Caller
}
