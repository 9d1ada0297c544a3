// Package analytics keeps events and answers questions about them. It never
// sees the text of a conversation, and nothing else of Runa depends on what it
// holds: the records are the truth.
package analytics

import (
	"context"
	"time"

	"runa/schemas"
)

// Store holds the events of all products, each apart from the others.
// Implementations are safe for concurrent use.
type Store interface {
	// Write adds a batch. Each of its events counts once, however often the
	// batch is written and wherever an earlier write of it ended: writing again
	// after an unknown end is safe.
	Write(ctx context.Context, batch Batch) error
	// Figures answers for the product's events with from <= At < to. No event
	// is a Figures of zeros with empty, non-nil lists.
	Figures(ctx context.Context, product string, period Period) (schemas.Figures, error)
	// Ping reports whether the store can answer.
	Ping(ctx context.Context) error
	// Close frees what the store holds.
	Close() error
}

// Batch is a fixed set of events, possibly of several products.
type Batch struct {
	// ID is the deduplication token; the same id always has the same events.
	ID     string
	Events []schemas.Event
}

// Period is half open; a zero bound is none.
type Period struct{ From, To time.Time }
