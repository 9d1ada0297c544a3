package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

// waiterTests are of those who look at turns from outside: the callers that
// wait for them and the sweep.
func waiterTests() tests {
	return tests{
		"states come in the order asked":   statesInOrder,
		"a version grows with each change": versionGrows,
		"many wait in one question":        manyWait,
		"stale turns, the longest first":   staleTurns,
		"a touch is a sign of life":        touchIsLife,
	}
}

func (f *fixture) state(t *testing.T, turn string) store.TurnState {
	t.Helper()
	states, err := f.TurnStates(f.ctx, []store.TurnRef{{Product: north, Turn: turn}})
	require.NoError(t, err)
	require.Len(t, states, 1)
	return states[0]
}

func statesInOrder(t *testing.T, f *fixture) {
	states, err := f.TurnStates(f.ctx, nil)
	require.NoError(t, err)
	require.Empty(t, states)

	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	in := f.draft(t, "s", "msg_3", "not opened yet")
	states, err = f.TurnStates(f.ctx, []store.TurnRef{
		{Product: north, Turn: "msg_2"},
		{Product: north, Turn: "msg_3", Draft: in.Draft},
		{Product: north, Turn: "msg_1", Draft: "draft_gone"},
		{Product: south, Turn: "msg_1"},
		{Product: north, Turn: "msg_2"},
	})
	require.NoError(t, err)
	require.Len(t, states, 5)
	require.Equal(t, schemas.TurnQueued, states[0].Status)
	require.Equal(t, store.TurnState{}, states[1])
	require.Equal(t, schemas.TurnRunning, states[2].Status)
	require.Equal(t, store.TurnState{}, states[3], "another product's turn is not there")
	require.Equal(t, states[0], states[4])
}

func versionGrows(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_0", schemas.TurnRunning)
	f.open(t, "s", "msg_1", schemas.TurnQueued)
	version := f.state(t, "msg_1").Version
	require.Positive(t, version)
	grows := func(what string) {
		t.Helper()
		now := f.state(t, "msg_1").Version
		require.Greater(t, now, version, what)
		version = now
	}
	f.end(t, "msg_0")
	grows("the place")
	claim, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
	require.NoError(t, err)
	grows("a claim")
	stored, err := f.StoreStep(f.ctx, north, "msg_1", 1, claim.Claim, store.StepOutcome{}, []store.NewCall{newCall("revenue")})
	require.NoError(t, err)
	grows("a step with calls")
	_, err = f.ClaimCall(f.ctx, north, "msg_1", stored.Calls[0])
	require.NoError(t, err)
	grows("a call under way")
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", stored.Calls[0], store.CallOutcome{Status: schemas.CallSucceeded}))
	grows("a call's end")
	f.end(t, "msg_1")
	grows("the end")
	f.end(t, "msg_1")
	require.Equal(t, version, f.state(t, "msg_1").Version)
}

func manyWait(t *testing.T, f *fixture) {
	f.fill(t)
	refused := f.draft(t, "s", "msg_refused", "one too many")
	_, err := f.OpenTurn(f.ctx, refused)
	require.NoError(t, err)
	refs := make([]store.TurnRef, 20_000)
	for i := range refs {
		refs[i] = store.TurnRef{Product: north, Turn: fmt.Sprint("msg_none_", i), Draft: fmt.Sprint("draft_none_", i)}
	}
	refs[7] = store.TurnRef{Product: north, Turn: "msg_0"}
	refs[19_999] = store.TurnRef{Product: north, Turn: "msg_refused", Draft: refused.Draft}
	states, err := f.TurnStates(f.ctx, refs)
	require.NoError(t, err)
	require.Equal(t, schemas.TurnRunning, states[7].Status)
	require.Equal(t, schemas.ConversationBusy, states[19_999].Refusal.Code)
	for i, s := range states {
		if i != 7 && i != 19_999 {
			require.Equal(t, store.TurnState{}, s)
		}
	}
}

func staleTurns(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_running", schemas.TurnRunning)
	f.clock.advance(time.Second)
	f.open(t, "s", "msg_queued", schemas.TurnQueued)
	f.clock.advance(time.Second)
	f.open(t, "done", "msg_done", schemas.TurnRunning)
	f.end(t, "msg_done")
	f.clock.advance(time.Second)
	since := f.clock.now()
	f.open(t, "young", "msg_young", schemas.TurnRunning)

	stale, err := f.StaleTurns(f.ctx, since, 10)
	require.NoError(t, err)
	require.Equal(t, []store.StaleTurn{
		{Product: north, Turn: "msg_running", Status: schemas.TurnRunning},
		{Product: north, Turn: "msg_queued", Status: schemas.TurnQueued},
	}, stale)
	stale, err = f.StaleTurns(f.ctx, since, 1)
	require.NoError(t, err)
	require.Len(t, stale, 1)
	require.Equal(t, "msg_running", stale[0].Turn)
}

func touchIsLife(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	isStale := func() bool {
		stale, err := f.StaleTurns(f.ctx, f.clock.now(), 10)
		require.NoError(t, err)
		return len(stale) == 1
	}
	signs := map[string]func() error{
		"touch": func() error { return f.TouchTurn(f.ctx, north, "msg_1") },
		"claim": func() error {
			_, err := f.ClaimStep(f.ctx, north, "msg_1", 1, nil)
			return err
		},
	}
	for name, sign := range signs {
		f.clock.advance(time.Minute)
		require.True(t, isStale(), name)
		require.NoError(t, sign())
		require.False(t, isStale(), name)
	}
}
