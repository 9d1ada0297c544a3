// Package storetest is the conformance suite of package store: it holds a
// database to each sentence of the methods' comments, alone and among many.
// It speaks to the store as the rest of Runa does and knows no SQL, so it says
// nothing of how a database keeps what it is given.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

// Options say which database a test opens and how.
type Options struct {
	// Database names a database, never "": every open of the name in a run
	// reaches the same one, and the first finds it without a schema.
	Database string
	// Now is the store's clock, never nil.
	Now func() time.Time
}

// Run runs the suite. open gives a store with a sealer that seals; the suite
// closes it, sometimes before the test ends.
func Run(t *testing.T, open func(t *testing.T, opts Options) *store.Store) {
	t.Helper()
	for noun, cases := range map[string]tests{
		"products": productTests(), "keys": keyTests(), "conversations": conversationTests(),
		"turns": turnTests(), "sessions": sessionTests(), "waiters": waiterTests(),
		"steps": stepTests(), "calls": callTests(), "tools": toolTests(),
		"sources": sourceTests(), "frontier": frontierTests(), "pages": pageTests(),
		"hosts": hostTests(), "reindex": reindexTests(), "outbox": outboxTests(), "lists": listTests(),
		"isolation": isolationTests(), "database": databaseTests(), "writers": writerTests(), "stats": statsTests(),
	} {
		t.Run(noun, func(t *testing.T) {
			t.Parallel()
			for name, test := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, setup(t, open))
				})
			}
		})
	}
}

type tests map[string]func(*testing.T, *fixture)

// The products that every fixture has.
const (
	north = "prod_north"
	south = "prod_south"
)

// fixture is a store of its own with two products and a clock that stands
// still until the test moves it.
type fixture struct {
	*store.Store
	ctx   context.Context
	clock *clock
	// again opens the same database once more, fresh one that is new: the same
	// one each time.
	again, fresh func(t *testing.T) *store.Store
}

func setup(t *testing.T, open func(*testing.T, Options) *store.Store) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	f := &fixture{ctx: ctx, clock: newClock()}
	database := func() func(*testing.T) *store.Store {
		opts := Options{Database: schemas.NewID("db_"), Now: f.clock.now}
		return func(t *testing.T) *store.Store {
			t.Helper()
			s := open(t, opts)
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
	}
	f.again, f.fresh = database(), database()
	f.Store = f.again(t)
	for _, id := range []string{north, south} {
		_, err := f.CreateProduct(ctx, id, "Product "+id)
		require.NoError(t, err)
	}
	return f
}

// clock is moved by hand. It starts at whole seconds, as answers show them.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// requireCode holds an error to a code of the API.
func requireCode(t *testing.T, want schemas.Code, err error) {
	t.Helper()
	require.Equal(t, want, schemas.CodeOf(err), "%v", err)
}

// asJSON is a value as text, for comparing what holds pointers and times.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// at is a moment as an answer holds it.
func at(t time.Time) schemas.Time { return schemas.Time(t) }

// together runs do n times at once and returns the first error.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			errs[i] = do(i)
		})
	}
	start.Done()
	done.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
	}
	return nil
}

// drain exports all events to a destination, as the exporter does.
func (f *fixture) drain(t *testing.T) []schemas.Event {
	t.Helper()
	var events []schemas.Event
	for {
		batch, err := f.StampBatch(f.ctx, "drain", 100)
		require.NoError(t, err)
		if batch.ID == "" {
			return events
		}
		events = append(events, batch.Events...)
		require.NoError(t, f.AckBatch(f.ctx, "drain", batch.ID))
	}
}

// drainOf is what drain gives of one kind.
func (f *fixture) drainOf(t *testing.T, kind schemas.EventKind) []schemas.Event {
	t.Helper()
	var events []schemas.Event
	for _, e := range f.drain(t) {
		if e.Kind == kind {
			events = append(events, e)
		}
	}
	return events
}
