package storetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

func hostTests() tests {
	return tests{
		"slots are a delay apart":         slotsApart,
		"many takers are spaced":          slotsAtOnce,
		"who has no patience gets none":   slotPatience,
		"a host that asks to wait is let": hostHeld,
		"robots.txt is kept":              robotsKept,
	}
}

const host = "help.example"

func slotsApart(t *testing.T, f *fixture) {
	const delay = 250 * time.Millisecond
	start := f.clock.now()
	for i := range 4 {
		got, taken, err := f.TakeSlot(f.ctx, host, delay, time.Minute)
		require.NoError(t, err)
		require.True(t, taken)
		require.Equal(t, start.Add(time.Duration(i)*delay), got)
	}
	got, _, err := f.TakeSlot(f.ctx, "other.example", delay, 0)
	require.NoError(t, err)
	require.Equal(t, start, got, "another host is free")
	now := f.clock.advance(time.Hour)
	got, taken, err := f.TakeSlot(f.ctx, host, delay, 0)
	require.NoError(t, err)
	require.True(t, taken)
	require.Equal(t, now, got, "a host at rest is free at once")
}

func slotsAtOnce(t *testing.T, f *fixture) {
	const delay = 100 * time.Millisecond
	start := f.clock.now()
	var mu sync.Mutex
	var slots []time.Time
	err := together(50, func(int) error {
		slot, taken, err := f.TakeSlot(f.ctx, host, delay, time.Hour)
		mu.Lock()
		defer mu.Unlock()
		if taken {
			slots = append(slots, slot)
		}
		return err
	})
	require.NoError(t, err)
	require.Len(t, slots, 50)
	slices.SortFunc(slots, time.Time.Compare)
	for i, slot := range slots {
		require.Equal(t, start.Add(time.Duration(i)*delay), slot)
	}
}

func slotPatience(t *testing.T, f *fixture) {
	start := f.clock.now()
	_, taken, err := f.TakeSlot(f.ctx, host, 10*time.Second, 0)
	require.NoError(t, err)
	require.True(t, taken)
	for range 3 { // asking books nothing
		free, taken, err := f.TakeSlot(f.ctx, host, 10*time.Second, 9*time.Second)
		require.NoError(t, err)
		require.False(t, taken)
		require.Equal(t, start.Add(10*time.Second), free)
	}
	slot, taken, err := f.TakeSlot(f.ctx, host, 10*time.Second, 10*time.Second)
	require.NoError(t, err)
	require.True(t, taken)
	require.Equal(t, start.Add(10*time.Second), slot)
}

func hostHeld(t *testing.T, f *fixture) {
	until := f.clock.now().Add(time.Minute)
	require.NoError(t, f.HoldHost(f.ctx, host, until))
	require.NoError(t, f.HoldHost(f.ctx, host, until.Add(-30*time.Second)), "an earlier time changes nothing")
	free, taken, err := f.TakeSlot(f.ctx, host, time.Second, time.Second)
	require.NoError(t, err)
	require.False(t, taken)
	require.Equal(t, until, free)
	slot, taken, err := f.TakeSlot(f.ctx, host, time.Second, time.Hour)
	require.NoError(t, err)
	require.True(t, taken)
	require.Equal(t, until, slot)
}

func robotsKept(t *testing.T, f *fixture) {
	status, body, err := f.Robots(f.ctx, host)
	require.NoError(t, err)
	require.Zero(t, status)
	require.Empty(t, body)
	_, _, err = f.TakeSlot(f.ctx, host, time.Second, 0)
	require.NoError(t, err)
	status, _, err = f.Robots(f.ctx, host)
	require.NoError(t, err)
	require.Zero(t, status, "a host that is known and not read")
	for _, text := range []string{"User-agent: *\nDisallow: /private\n", "", "now: ä"} {
		require.NoError(t, f.SaveRobots(f.ctx, host, 200+len(text), []byte(text)))
		status, body, err = f.Robots(f.ctx, host)
		require.NoError(t, err)
		require.Equal(t, 200+len(text), status)
		require.Equal(t, text, string(body))
	}
	require.NoError(t, f.SaveRobots(f.ctx, host, 200, []byte("Disallow: /\x00\xff\n")))
	_, body, err = f.Robots(f.ctx, host)
	require.NoError(t, err)
	require.Equal(t, "Disallow: /\uFFFD\uFFFD\n", string(body))
	slot, _, err := f.TakeSlot(f.ctx, host, time.Second, time.Hour)
	require.NoError(t, err)
	require.Equal(t, f.clock.now().Add(time.Second), slot, "reading robots.txt books nothing")
	_, _, err = f.Robots(f.ctx, schemas.NewID("host."))
	require.NoError(t, err)
}
