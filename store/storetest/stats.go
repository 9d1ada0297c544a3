package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func statsTests() tests {
	return tests{
		"a turn's times":          turnTimes,
		"open turns by status":    openByStatus,
		"the oldest event":        oldestEvent,
		"the pools have counters": poolCounters,
	}
}

func turnTimes(t *testing.T, f *fixture) {
	_, err := f.TurnTimes(f.ctx, north, "msg_1")
	requireCode(t, schemas.NotFound, err)
	began := f.clock.now()
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	times, err := f.TurnTimes(f.ctx, north, "msg_1")
	require.NoError(t, err)
	require.Equal(t, schemas.TurnRunning, times.Status)
	require.True(t, began.Equal(times.Created))
	require.True(t, times.Ended.IsZero())
	ended := f.clock.advance(3 * time.Second)
	_, err = f.CloseTurn(f.ctx, north, "msg_1", store.Closing{Status: schemas.TurnCanceled})
	require.NoError(t, err)
	times, err = f.TurnTimes(f.ctx, north, "msg_1")
	require.NoError(t, err)
	require.Equal(t, schemas.TurnCanceled, times.Status)
	require.True(t, ended.Equal(times.Ended))
	_, err = f.TurnTimes(f.ctx, south, "msg_1")
	requireCode(t, schemas.NotFound, err)
}

func openByStatus(t *testing.T, f *fixture) {
	requireOpen := func(queued, running int) {
		open, err := f.OpenByStatus(f.ctx)
		require.NoError(t, err)
		require.Equal(t, map[schemas.TurnStatus]int{
			schemas.TurnQueued: queued, schemas.TurnRunning: running, schemas.TurnWaiting: 0,
		}, open)
	}
	requireOpen(0, 0)
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	f.open(t, "s", "msg_3", schemas.TurnQueued)
	f.open(t, "s2", "msg_4", schemas.TurnRunning)
	requireOpen(2, 2)
	_, err := f.CloseTurn(f.ctx, north, "msg_4", store.Closing{Status: schemas.TurnCompleted})
	require.NoError(t, err)
	requireOpen(2, 1)
}

func oldestEvent(t *testing.T, f *fixture) {
	requireOldest := func(want time.Time) {
		got, err := f.OldestEvent(f.ctx)
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%v is not %v", got, want)
	}
	requireOldest(time.Time{})
	first := f.clock.now()
	f.emit(t, "msg_1")
	f.clock.advance(time.Minute)
	f.emit(t, "msg_2")
	requireOldest(first)
	f.drain(t)
	requireOldest(time.Time{})
}

func poolCounters(t *testing.T, f *fixture) {
	require.NotEmpty(t, f.Pools())
	open := 0
	for name, pool := range f.Pools() {
		require.NotEmpty(t, name)
		open += pool.OpenConnections
	}
	require.Positive(t, open)
}
