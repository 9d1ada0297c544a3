package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

func setupCapacity(limit int, open map[string]int) (c *capacity, counts *int, at *time.Time) {
	counts, at = new(int), new(time.Time)
	*at = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	c = newCapacity(limit, func(context.Context) (map[string]int, error) {
		*counts++
		copied := map[string]int{}
		for product, n := range open {
			copied[product] = n
		}
		return copied, nil
	})
	c.now = func() time.Time { return *at }
	return c, counts, at
}

func TestCapacityRefusesTheFloodOnly(t *testing.T) {
	t.Parallel()
	c, _, _ := setupCapacity(10, nil)
	for range 10 {
		require.NoError(t, c.take(t.Context(), "flood"))
	}
	err := c.take(t.Context(), "flood")
	require.Equal(t, schemas.RateLimited, schemas.CodeOf(err))
	var e *schemas.Error
	require.ErrorAs(t, err, &e)
	require.Positive(t, e.RetryAfter)
	for range 5 {
		require.NoError(t, c.take(t.Context(), "other"), "half of the whole is another product's")
	}
	require.Error(t, c.take(t.Context(), "other"))
	require.Error(t, c.take(t.Context(), "flood"))
}

// TestCapacityIsBounded adds products to a full house: each gets a share, and
// all of them together no more than a few times the limit.
func TestCapacityIsBounded(t *testing.T) {
	t.Parallel()
	c, _, _ := setupCapacity(1000, nil)
	taken := 0
	for product := range 2000 {
		for c.take(t.Context(), fmt.Sprint(product)) == nil {
			taken++
		}
	}
	require.Less(t, taken, 10*1000)
}

func TestCapacityCountsAgain(t *testing.T) {
	t.Parallel()
	open := map[string]int{"flood": 10}
	c, counts, at := setupCapacity(10, open)
	require.Error(t, c.take(t.Context(), "flood"))
	require.Error(t, c.take(t.Context(), "flood"))
	require.Equal(t, 1, *counts, "a flood costs no query each")
	open["flood"] = 9
	*at = at.Add(capacityAge + time.Millisecond)
	require.NoError(t, c.take(t.Context(), "flood"))
	require.Error(t, c.take(t.Context(), "flood"))
	require.Equal(t, 2, *counts)
}

func TestCapacityUnknown(t *testing.T) {
	t.Parallel()
	failure := errors.New("away")
	c := newCapacity(1, func(context.Context) (map[string]int, error) { return nil, failure })
	require.ErrorIs(t, c.take(t.Context(), "p"), failure)
}
