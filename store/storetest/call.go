package storetest

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func callTests() tests {
	return tests{
		"the first of many sends":             firstSends,
		"only the sender takes it back":       unsendByClaim,
		"a call ends once":                    finishOnce,
		"many end a call once":                finishAtOnce,
		"a claim brings the tool":             claimBringsTool,
		"a call that is not there":            callMissing,
		"a call of a turn that ended is gone": callGone,
		"the end of a turn ends its calls":    abandoned,
		"a refused call has failed":           refusedCall,
	}
}

func newCall(name string) store.NewCall {
	return store.NewCall{Name: name, Arguments: json.RawMessage(`{}`)}
}

// call runs a turn of north that has asked for one call of a tool.
func (f *fixture) call(t *testing.T, turn string, call store.NewCall) (id string) {
	t.Helper()
	f.open(t, "session of "+turn, turn, schemas.TurnRunning)
	return f.think(t, turn, 1, store.StepOutcome{}, call)[0]
}

func (f *fixture) claim(t *testing.T, turn, call string) store.CallClaim {
	t.Helper()
	c, err := f.ClaimCall(f.ctx, north, turn, call)
	require.NoError(t, err)
	return c
}

func firstSends(t *testing.T, f *fixture) {
	id := f.call(t, "msg_1", newCall("revenue"))
	const n = 50
	var senders, sum atomic.Int64
	err := together(n, func(int) error {
		c, err := f.ClaimCall(f.ctx, north, "msg_1", id)
		if c.Send {
			senders.Add(1)
		}
		sum.Add(c.Claim)
		return err
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, senders.Load())
	require.EqualValues(t, n*(n+1)/2, sum.Load(), "each claim has a number of its own")

	since := f.clock.now()
	f.clock.advance(time.Second)
	c := f.claim(t, "msg_1", id)
	require.False(t, c.Send)
	require.EqualValues(t, n+1, c.Claim)
	require.Equal(t, since, c.Since, "the budget runs from the first claim")
	require.Equal(t, since, c.SentAt)
	require.Equal(t, schemas.CallRunning, c.Status)
	require.Equal(t, "session of msg_1", c.Session)
}

func unsendByClaim(t *testing.T, f *fixture) {
	id := f.call(t, "msg_1", newCall("revenue"))
	sender, other := f.claim(t, "msg_1", id), f.claim(t, "msg_1", id)
	require.True(t, sender.Send)
	require.NoError(t, f.UnsendCall(f.ctx, north, "msg_1", id, other.Claim))
	require.False(t, f.claim(t, "msg_1", id).Send)
	require.NoError(t, f.UnsendCall(f.ctx, north, "msg_1", id, sender.Claim))
	require.True(t, f.turn(t, "msg_1").Calls[0].SentAt.IsZero())
	again := f.claim(t, "msg_1", id)
	require.True(t, again.Send)

	require.NoError(t, f.UnsendCall(f.ctx, north, "msg_1", id, sender.Claim), "an old claim, late")
	require.False(t, f.claim(t, "msg_1", id).Send)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", id, store.CallOutcome{Status: schemas.CallSucceeded}))
	require.NoError(t, f.UnsendCall(f.ctx, north, "msg_1", id, again.Claim))
	require.False(t, f.turn(t, "msg_1").Calls[0].SentAt.IsZero(), "a call that ended was sent")
}

func finishOnce(t *testing.T, f *fixture) {
	id := f.call(t, "msg_1", newCall("revenue"))
	f.claim(t, "msg_1", id)
	f.drain(t)
	ended := f.clock.advance(1500 * time.Millisecond)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", id,
		store.CallOutcome{Status: schemas.CallSucceeded, Result: json.RawMessage(`{"eur":5}`)}))
	f.clock.advance(time.Second)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", id,
		store.CallOutcome{Status: schemas.CallFailed, Error: &schemas.CallError{Code: "http", Message: "late", HTTPStatus: 500}}))

	r := f.turn(t, "msg_1").Calls[0]
	require.Equal(t, schemas.CallSucceeded, r.Status)
	require.JSONEq(t, `{"eur":5}`, string(r.Result))
	require.Nil(t, r.Error)
	require.Equal(t, ended, r.Ended)
	events := f.drainOf(t, schemas.EventToolCall)
	require.Len(t, events, 1)
	require.Equal(t, "revenue", events[0].Subject)
	require.Equal(t, "succeeded", events[0].Outcome)
	require.EqualValues(t, 1500, events[0].DurationMs)

	c := f.claim(t, "msg_1", id)
	require.False(t, c.Send)
	require.EqualValues(t, 1, c.Claim, "a call with an outcome takes no claim")
	require.Equal(t, schemas.CallSucceeded, c.Status)
	require.JSONEq(t, `{"eur":5}`, string(c.Result))
}

func finishAtOnce(t *testing.T, f *fixture) {
	id := f.call(t, "msg_1", newCall("revenue"))
	err := together(20, func(i int) error {
		if i%4 == 3 {
			_, err := f.ClaimCall(f.ctx, north, "msg_1", id)
			return err
		}
		return f.FinishCall(f.ctx, north, "msg_1", id,
			store.CallOutcome{Status: schemas.CallSucceeded, Result: json.RawMessage(fmt.Sprint(i))})
	})
	require.NoError(t, err)
	require.Len(t, f.drainOf(t, schemas.EventToolCall), 1)
}

func claimBringsTool(t *testing.T, f *fixture) {
	spec := toolSpec("revenue")
	tool, err := f.CreateTool(f.ctx, north, spec, store.Idempotency{})
	require.NoError(t, err)
	other, err := f.CreateTool(f.ctx, south, spec, store.Idempotency{})
	require.NoError(t, err)
	call := newCall("revenue")
	call.Tool = tool.ID
	id := f.call(t, "msg_1", call)
	c := f.claim(t, "msg_1", id)
	require.Equal(t, asJSON(t, tool), asJSON(t, c.Tool))
	require.Equal(t, spec.Headers, c.Headers)
	require.JSONEq(t, `{}`, string(c.Arguments))

	require.NoError(t, f.DeleteTool(f.ctx, north, tool.ID))
	c = f.claim(t, "msg_1", id)
	require.Nil(t, c.Tool)
	require.Nil(t, c.Headers)
	require.Equal(t, "revenue", c.Name, "the call stays as it is")

	call.Tool = other.ID
	require.Nil(t, f.claim(t, "msg_2", f.call(t, "msg_2", call)).Tool, "another product's tool is not there")
	require.Nil(t, f.claim(t, "msg_3", f.call(t, "msg_3", newCall("revenue"))).Tool)
}

func callMissing(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	_, err := f.ClaimCall(f.ctx, north, "msg_1", "call_none")
	requireCode(t, schemas.NotFound, err)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", "call_none", store.CallOutcome{Status: schemas.CallFailed}))
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_none", "call_none", store.CallOutcome{Status: schemas.CallFailed}))
	require.NoError(t, f.UnsendCall(f.ctx, north, "msg_1", "call_none", 1))
	require.Empty(t, f.drainOf(t, schemas.EventToolCall))
}

func callGone(t *testing.T, f *fixture) {
	id := f.call(t, "msg_1", newCall("revenue"))
	f.end(t, "msg_1")
	_, err := f.ClaimCall(f.ctx, north, "msg_1", id)
	requireCode(t, schemas.Gone, err)
	_, err = f.ClaimCall(f.ctx, north, "msg_none", id)
	requireCode(t, schemas.Gone, err)
}

func abandoned(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	calls := f.think(t, "msg_1", 1, store.StepOutcome{}, newCall("pending"), newCall("sent"), newCall("unsent"), newCall("done"))
	f.claim(t, "msg_1", calls[1])
	unsent := f.claim(t, "msg_1", calls[2])
	require.NoError(t, f.UnsendCall(f.ctx, north, "msg_1", calls[2], unsent.Claim))
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", calls[3], store.CallOutcome{Status: schemas.CallFailed}))
	f.clock.advance(time.Second)
	_, err := f.CloseTurn(f.ctx, north, "msg_1", store.Closing{Status: schemas.TurnCanceled})
	require.NoError(t, err)

	statuses := map[string]schemas.CallStatus{}
	for _, c := range f.turn(t, "msg_1").Calls {
		statuses[c.Name] = c.Status
		require.False(t, c.Ended.IsZero())
		require.Equal(t, c.Name != "done", c.Error != nil)
	}
	require.Equal(t, map[string]schemas.CallStatus{
		"pending": schemas.CallCanceled, "sent": schemas.CallUnknown, "unsent": schemas.CallCanceled, "done": schemas.CallFailed,
	}, statuses)
	require.Len(t, f.drainOf(t, schemas.EventToolCall), 4)

	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", calls[1], store.CallOutcome{Status: schemas.CallSucceeded}))
	require.Equal(t, schemas.CallUnknown, f.turn(t, "msg_1").Calls[1].Status, "an answer after the end comes too late")
	require.Empty(t, f.drain(t))
}

func refusedCall(t *testing.T, f *fixture) {
	call := newCall("no_such_tool")
	call.Refused = &schemas.CallError{Code: "unknown_tool", Message: "there is no tool no_such_tool"}
	id := f.call(t, "msg_1", call)
	r := f.turn(t, "msg_1").Calls[0]
	require.Equal(t, schemas.CallFailed, r.Status)
	require.Equal(t, call.Refused, r.Error)
	require.True(t, r.SentAt.IsZero())
	require.Zero(t, f.view(t, "msg_1").ToolCalls[0].DurationMs)
	require.False(t, f.claim(t, "msg_1", id).Send)
	events := f.drainOf(t, schemas.EventToolCall)
	require.Len(t, events, 1)
	require.Equal(t, "failed", events[0].Outcome)
}
