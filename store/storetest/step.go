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

func stepTests() tests {
	return tests{
		"claims are numbered":               claimsNumbered,
		"only the newest claim stores":      newestStores,
		"a stored outcome is final":         outcomeFinal,
		"a turn that does not run is gone":  stepsGone,
		"an outcome comes back whole":       outcomeWhole,
		"a retrieval is recorded once":      retrievalOnce,
		"a degraded retrieval marks a turn": retrievalDegraded,
		"usage counts every claim":          usageCounts,
		"many claims, one outcome":          claimsAtOnce,
		"a turn's view":                     turnView,
	}
}

func claimsNumbered(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	since := f.clock.now()
	for n := range 3 {
		claim, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
		require.NoError(t, err)
		require.Equal(t, store.StepClaim{Claim: int64(n + 1), Since: since}, claim)
		f.clock.advance(time.Second)
	}
	claim, err := f.ClaimStep(f.ctx, north, "msg_1", 2, nil)
	require.NoError(t, err)
	require.Equal(t, store.StepClaim{Claim: 1, Since: f.clock.now()}, claim, "each step counts its own")
}

func newestStores(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	for range 2 {
		_, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
		require.NoError(t, err)
	}
	_, err := f.StoreStep(f.ctx, north, "msg_1", 1, 1, store.StepOutcome{Text: "late"}, []store.NewCall{newCall("revenue")})
	requireCode(t, schemas.Unavailable, err)
	require.Nil(t, f.turn(t, "msg_1").Steps[0].Outcome)
	require.Empty(t, f.turn(t, "msg_1").Calls)

	stored, err := f.StoreStep(f.ctx, north, "msg_1", 1, 2, store.StepOutcome{Text: "mine"}, nil)
	require.NoError(t, err)
	require.Equal(t, store.StepOutcome{Text: "mine"}, stored)
	stored, err = f.StoreStep(f.ctx, north, "msg_1", 1, 1, store.StepOutcome{Text: "late"}, []store.NewCall{newCall("revenue")})
	require.NoError(t, err)
	require.Equal(t, store.StepOutcome{Text: "mine"}, stored, "the one who comes late gets what is there")
	require.Empty(t, f.turn(t, "msg_1").Calls)

	_, err = f.StoreStep(f.ctx, north, "msg_1", 2, 1, store.StepOutcome{Text: "never claimed"}, nil)
	requireCode(t, schemas.Gone, err)
}

func outcomeFinal(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	began := f.clock.now()
	claim, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
	require.NoError(t, err)
	ended := f.clock.advance(time.Second)
	_, err = f.StoreStep(f.ctx, north, "msg_1", 1, claim.Claim, store.StepOutcome{Text: "first"}, nil)
	require.NoError(t, err)

	f.clock.advance(time.Second)
	claim, err = f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
	require.NoError(t, err)
	require.Equal(t, store.StepClaim{Claim: 1, Since: began, Outcome: &store.StepOutcome{Text: "first"}}, claim)
	stored, err := f.StoreStep(f.ctx, north, "msg_1", 1, claim.Claim, store.StepOutcome{Text: "second"}, nil)
	require.NoError(t, err)
	require.Equal(t, "first", stored.Text)
	require.Equal(t, []store.StepRecord{
		{N: 1, Claims: 1, Began: began, Ended: ended, Outcome: &store.StepOutcome{Text: "first"}},
	}, f.turn(t, "msg_1").Steps)
}

func stepsGone(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_ended", schemas.TurnRunning)
	claim, err := f.ClaimStep(f.ctx, north, "msg_ended", 1, nil)
	require.NoError(t, err)
	f.end(t, "msg_ended")
	f.open(t, "s", "msg_running", schemas.TurnRunning)
	f.open(t, "s", "msg_queued", schemas.TurnQueued)
	for _, turn := range []string{"msg_ended", "msg_queued", "msg_none"} {
		_, err := f.ClaimStep(f.ctx, north, turn, 1, &store.Retrieval{Began: f.clock.now()})
		requireCode(t, schemas.Gone, err)
		_, err = f.StoreStep(f.ctx, north, turn, 1, claim.Claim, store.StepOutcome{Text: "late"}, nil)
		requireCode(t, schemas.Gone, err)
	}
	require.Empty(t, f.turn(t, "msg_queued").Steps)
	ended := f.turn(t, "msg_ended")
	require.Len(t, ended.Steps, 1)
	require.Nil(t, ended.Steps[0].Outcome)
	require.Empty(t, ended.Reply)
}

func outcomeWhole(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	want := store.StepOutcome{
		Passages:  []schemas.Hit{{SourceID: "ks_1", DocumentID: "doc_1", URL: "http://a/?b&c=<d>", Title: "T", Heading: "A > B", Text: "x\x00y\n\"", Score: 0.1}},
		Degraded:  true,
		Text:      "ä 漢 \u2028 </script> \x00",
		Citations: []schemas.Citation{{SourceID: "ks_1", DocumentID: "doc_1", URL: "u", Title: "t", Heading: "h"}},
		State:     json.RawMessage(`{"signature":"AAEC","n":12345678901234567890}`),
		Model:     "gemini/x", Usage: schemas.Usage{ModelCalls: 1, InputTokens: 2, OutputTokens: 3},
	}
	calls := f.think(t, "msg_1", 1, want,
		store.NewCall{Tool: "tool_1", Name: "revenue", Arguments: json.RawMessage(`{"period":"May","deep":[1,{"a":null}]}`)}, newCall("users"))
	require.Equal(t, []string{schemas.CallID("msg_1", 1, 0), schemas.CallID("msg_1", 1, 1)}, calls)
	want.Calls = calls
	r := f.turn(t, "msg_1")
	require.Equal(t, &want, r.Steps[0].Outcome)
	require.Equal(t, []store.CallRecord{
		{ID: calls[0], Step: 1, N: 0, Tool: "tool_1", Name: "revenue", Arguments: json.RawMessage(`{"period":"May","deep":[1,{"a":null}]}`), Status: schemas.CallPending},
		{ID: calls[1], Step: 1, N: 1, Name: "users", Arguments: json.RawMessage(`{}`), Status: schemas.CallPending},
	}, r.Calls)
}

func retrievalOnce(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	began := f.clock.now()
	found := store.StepOutcome{Passages: []schemas.Hit{{SourceID: "ks_1", Text: "first"}}}
	ended := f.clock.advance(300 * time.Millisecond)
	claim, err := f.ClaimStep(f.ctx, north, "msg_1", 1, &store.Retrieval{Began: began, Outcome: found})
	require.NoError(t, err)
	require.EqualValues(t, 1, claim.Claim)
	f.clock.advance(time.Second)
	_, err = f.ClaimStep(f.ctx, north, "msg_1", 1, &store.Retrieval{Began: ended, Outcome: store.StepOutcome{Text: "second"}})
	require.NoError(t, err)
	r := f.turn(t, "msg_1")
	require.Len(t, r.Steps, 2)
	require.Equal(t, store.StepRecord{N: store.RetrieveStep, Claims: 1, Began: began, Ended: ended, Outcome: &found}, r.Steps[0])
	require.Equal(t, 2, r.Steps[1].Claims)
	require.False(t, r.Degraded)
	require.Equal(t, 2, r.Usage().ModelCalls, "a retrieval is no model call")
}

func retrievalDegraded(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	_, err := f.ClaimStep(f.ctx, north, "msg_1", 1, &store.Retrieval{Began: f.clock.now(), Outcome: store.StepOutcome{Degraded: true}})
	require.NoError(t, err)
	require.True(t, f.turn(t, "msg_1").Degraded)
	f.end(t, "msg_1")
	events := f.drainOf(t, schemas.EventTurn)
	require.Len(t, events, 1)
	require.True(t, events[0].Degraded)
}

func usageCounts(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	for range 3 {
		_, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
		require.NoError(t, err)
	}
	f.think(t, "msg_1", 1, store.StepOutcome{Usage: schemas.Usage{InputTokens: 10, OutputTokens: 1}})
	f.think(t, "msg_1", 2, store.StepOutcome{Usage: schemas.Usage{InputTokens: 20, OutputTokens: 2}})
	_, err := f.ClaimStep(f.ctx, north, "msg_1", 3, nil)
	require.NoError(t, err)
	r := f.turn(t, "msg_1")
	require.Equal(t, schemas.Usage{ModelCalls: 6, InputTokens: 30, OutputTokens: 3}, r.Usage())
	f.end(t, "msg_1")
	events := f.drainOf(t, schemas.EventTurn)
	require.Len(t, events, 1)
	require.EqualValues(t, 6, events[0].ModelCalls)
	require.EqualValues(t, 30, events[0].InputTokens)
}

func claimsAtOnce(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	const n = 30
	var gone atomic.Int64
	texts := make([]string, n)
	err := together(n, func(i int) error {
		claim, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
		if err != nil {
			return err
		}
		stored, err := f.StoreStep(f.ctx, north, "msg_1", 1, claim.Claim,
			store.StepOutcome{Text: fmt.Sprint("by ", i)}, []store.NewCall{newCall("revenue")})
		if schemas.CodeOf(err) == schemas.Unavailable {
			gone.Add(1)
			return nil
		}
		texts[i] = stored.Text
		return err
	})
	require.NoError(t, err)
	r := f.turn(t, "msg_1")
	require.NotNil(t, r.Steps[0].Outcome, "the newest claim stores")
	for _, text := range texts {
		if text != "" {
			require.Equal(t, r.Steps[0].Outcome.Text, text)
		}
	}
	require.Less(t, gone.Load(), int64(n))
	require.Len(t, r.Calls, 1)
}

func turnView(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	empty := f.turn(t, "msg_1")
	require.JSONEq(t, `{"id":"msg_1","reply":"","toolCalls":[],"sessionId":"s","status":"running","citations":[],
		"answered":false,"degraded":false,"usage":{"modelCalls":0,"inputTokens":0,"outputTokens":0},"error":null,
		"createdAt":"2026-03-01T10:00:00Z"}`, asJSON(t, empty.View(true)))

	_, err := f.ClaimStep(f.ctx, north, "msg_1", 1, &store.Retrieval{
		Began: f.clock.now(), Outcome: store.StepOutcome{Passages: make([]schemas.Hit, 3)},
	})
	require.NoError(t, err)
	f.clock.advance(250 * time.Millisecond)
	calls := f.think(t, "msg_1", 1, store.StepOutcome{Model: "m", Usage: schemas.Usage{InputTokens: 4, OutputTokens: 2}}, newCall("revenue"))
	_, err = f.ClaimCall(f.ctx, north, "msg_1", calls[0])
	require.NoError(t, err)
	f.clock.advance(250 * time.Millisecond)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", calls[0], store.CallOutcome{Status: schemas.CallSucceeded, Result: json.RawMessage(`{"eur":5}`)}))
	f.think(t, "msg_1", 2, store.StepOutcome{Text: "five"})
	f.end(t, "msg_1")
	r := f.turn(t, "msg_1")
	call := `{"id":"` + calls[0] + `","name":"revenue","arguments":{},"status":"succeeded","result":{"eur":5},"error":null,"durationMs":250}`
	require.JSONEq(t, `{"id":"msg_1","reply":"five","toolCalls":[`+call+`],"sessionId":"s","status":"completed","citations":[],
		"answered":true,"degraded":false,"usage":{"modelCalls":3,"inputTokens":4,"outputTokens":2},"error":null,
		"createdAt":"2026-03-01T10:00:00Z","steps":[
			{"step":0,"kind":"retrieve","attempts":1,"startedAt":"2026-03-01T10:00:00Z","durationMs":0,"passages":3},
			{"step":1,"kind":"model","attempts":2,"startedAt":"2026-03-01T10:00:00Z","durationMs":250,"model":"m","callIds":["`+calls[0]+`"]},
			{"step":2,"kind":"model","attempts":1,"startedAt":"2026-03-01T10:00:00Z","durationMs":0}]}`, asJSON(t, r.View(true)))
	require.Nil(t, r.View(false).Steps)
}
