package api

import (
	"context"
	"sync"
	"time"

	"runa/schemas"
)

const (
	// capacityAge is for how long a count of the open turns is believed. What
	// this process takes in meanwhile is added to it.
	capacityAge = time.Second
	// capacityRetry is when a product that was refused should come again.
	capacityRetry = 5 * time.Second
)

// capacity refuses new turns when too many are open, so that a flood ends in
// 429 and not in turns that all wait for hours. A product within its equal
// share is never refused: the flood of one is not the outage of another.
type capacity struct {
	max   int
	count func(context.Context) (map[string]int, error)
	now   func() time.Time

	mu      sync.Mutex
	open    map[string]int // by product
	total   int
	counted time.Time
}

func newCapacity(limit int, count func(context.Context) (map[string]int, error)) *capacity {
	return &capacity{max: limit, count: count, now: time.Now}
}

// take counts a turn that is about to be taken in, or refuses it.
func (c *capacity) take(ctx context.Context, product string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.counted) > capacityAge {
		open, err := c.count(ctx)
		if err != nil {
			return err
		}
		c.open, c.total, c.counted = open, 0, c.now()
		for _, n := range open {
			c.total += n
		}
	}
	if c.total >= c.max && c.open[product] >= c.share(product) {
		return &schemas.Error{
			Code: schemas.RateLimited, RetryAfter: capacityRetry,
			Message: "too many turns are open; what was accepted goes on, send new messages later",
		}
	}
	c.open[product]++
	c.total++
	return nil
}

// share is an equal part of the whole for each product that has open turns,
// and at least one turn.
func (c *capacity) share(product string) int {
	products := len(c.open)
	if c.open[product] == 0 {
		products++
	}
	return max(1, c.max/products)
}
