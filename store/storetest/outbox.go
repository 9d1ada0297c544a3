package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func outboxTests() tests {
	return tests{
		"an empty outbox has no batch":    outboxEmpty,
		"a batch is fixed":                batchFixed,
		"a batch has a limit":             batchLimit,
		"an acknowledgement is one":       ackOnce,
		"only its destination takes it":   ackOfAnother,
		"many ask for the open batch":     stampAtOnce,
		"nothing is lost, nothing double": exportAtOnce,
		"a transaction is held open":      exportHeld,
	}
}

// emit makes one event: the message of a turn that is opened.
func (f *fixture) emit(t *testing.T, turn string) {
	t.Helper()
	f.open(t, "session of "+turn, turn, schemas.TurnRunning)
}

func (f *fixture) stamp(t *testing.T, limit int) store.Batch {
	t.Helper()
	batch, err := f.StampBatch(f.ctx, "analytics", limit)
	require.NoError(t, err)
	return batch
}

func (f *fixture) depth(t *testing.T) int {
	t.Helper()
	n, err := f.OutboxDepth(f.ctx)
	require.NoError(t, err)
	return n
}

func turnsOf(events []schemas.Event) []string {
	turns := []string{}
	for _, e := range events {
		turns = append(turns, e.Turn)
	}
	return turns
}

func outboxEmpty(t *testing.T, f *fixture) {
	require.Empty(t, f.stamp(t, 10).ID)
	require.Zero(t, f.depth(t))
	f.emit(t, "msg_1")
	require.NoError(t, f.AckBatch(f.ctx, "analytics", f.stamp(t, 10).ID))
	require.Equal(t, store.Batch{Events: f.stamp(t, 10).Events}, f.stamp(t, 10))
	require.Empty(t, f.stamp(t, 10).ID)
}

func batchFixed(t *testing.T, f *fixture) {
	f.emit(t, "msg_1")
	f.emit(t, "msg_2")
	first := f.stamp(t, 10)
	require.NotEmpty(t, first.ID)
	require.Equal(t, []string{"msg_1", "msg_2"}, turnsOf(first.Events))
	f.emit(t, "msg_3")
	require.Equal(t, first, f.stamp(t, 10), "what is committed after the stamp is not in the batch")
	require.Equal(t, first, f.stamp(t, 1))
	require.Equal(t, 3, f.depth(t))

	require.NoError(t, f.AckBatch(f.ctx, "analytics", first.ID))
	require.Equal(t, 1, f.depth(t))
	second := f.stamp(t, 10)
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, []string{"msg_3"}, turnsOf(second.Events))
}

func batchLimit(t *testing.T, f *fixture) {
	for i := range 5 {
		f.emit(t, fmt.Sprint("msg_", i))
	}
	var turns []string
	for _, want := range []int{2, 2, 1} {
		batch := f.stamp(t, 2)
		require.Len(t, batch.Events, want)
		turns = append(turns, turnsOf(batch.Events)...)
		require.NoError(t, f.AckBatch(f.ctx, "analytics", batch.ID))
	}
	require.Equal(t, []string{"msg_0", "msg_1", "msg_2", "msg_3", "msg_4"}, turns)
	require.Zero(t, f.depth(t))
}

func ackOnce(t *testing.T, f *fixture) {
	f.emit(t, "msg_1")
	first := f.stamp(t, 10)
	f.emit(t, "msg_2")
	require.NoError(t, f.AckBatch(f.ctx, "analytics", "batch_none"))
	require.Equal(t, first, f.stamp(t, 10))
	require.NoError(t, f.AckBatch(f.ctx, "analytics", first.ID))
	second := f.stamp(t, 10)
	require.NoError(t, f.AckBatch(f.ctx, "analytics", first.ID), "a repeated one closes no later batch")
	require.Equal(t, second, f.stamp(t, 10))
	require.Equal(t, 1, f.depth(t))
}

func ackOfAnother(t *testing.T, f *fixture) {
	f.emit(t, "msg_1")
	mine := f.stamp(t, 10)
	f.emit(t, "msg_2")
	other, err := f.StampBatch(f.ctx, "other", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"msg_2"}, turnsOf(other.Events), "an event goes one way")
	require.NoError(t, f.AckBatch(f.ctx, "other", mine.ID))
	require.Equal(t, mine, f.stamp(t, 10))
	require.Equal(t, 2, f.depth(t))
}

func stampAtOnce(t *testing.T, f *fixture) {
	for i := range 10 {
		f.emit(t, fmt.Sprint("msg_", i))
	}
	var ids sync.Map
	err := together(20, func(int) error {
		batch, err := f.StampBatch(f.ctx, "analytics", 3)
		if len(batch.Events) != 3 {
			return errors.Join(err, fmt.Errorf("%d events", len(batch.Events)))
		}
		ids.Store(batch.ID, true)
		return err
	})
	require.NoError(t, err)
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n, "one batch is open")
}

// exportAtOnce lets events be made while several exporters work, each of which
// delivers to a destination that knows batches by their id, as analytics does.
func exportAtOnce(t *testing.T, f *fixture) {
	const emitters, each, exporters = 6, 12, 4
	var emitting atomic.Int64
	emitting.Store(emitters)
	d := &destination{batches: map[string][]string{}}
	err := together(emitters+exporters, func(i int) error {
		if i >= emitters {
			return d.export(f.ctx, f.Store, func() bool { return emitting.Load() == 0 })
		}
		defer emitting.Add(-1)
		for n := range each {
			turn := fmt.Sprintf("msg_%d_%d", i, n)
			in, err := newDraft(f.ctx, f.Store, turn, turn, "hello")
			if err != nil {
				return err
			}
			if _, err := f.OpenTurn(f.ctx, in); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, d.export(f.ctx, f.Store, func() bool { return true }))
	require.Zero(t, f.depth(t))
	d.requireEach(t, emitters*each)
}

// exportHeld exports while a transaction that has written an event is open.
// Its event is older than those which others write and commit meanwhile, and
// must not be passed over. A database with one writer lets all wait instead.
func exportHeld(t *testing.T, f *fixture) {
	f.emit(t, "msg_held")
	f.think(t, "msg_held", 1, store.StepOutcome{Text: "reply"})
	other := f.again(t)
	inside, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hold := func(string, []string) string {
		once.Do(func() { close(inside) })
		<-release
		return ""
	}
	d := &destination{batches: map[string][]string{}}
	exported := make(chan struct{})
	err := together(3, func(i int) error {
		switch i {
		case 0:
			_, err := other.CloseTurn(f.ctx, north, "msg_held", store.Closing{Status: schemas.TurnCompleted, Intent: hold})
			return err
		case 1:
			defer close(exported)
			<-inside
			for n := range 5 {
				if err := f.talk(f.Store, fmt.Sprint("msg_", n)); err != nil {
					return err
				}
			}
			return d.export(f.ctx, f.Store, func() bool { return true })
		default:
			select {
			case <-exported:
			case <-time.After(time.Second): // there is one writer
			}
			close(release)
			return nil
		}
	})
	require.NoError(t, err)
	require.NoError(t, d.export(f.ctx, f.Store, func() bool { return true }))
	require.Zero(t, f.depth(t))
	d.requireEach(t, 1+2+5*2) // what opens a turn, its reply and end, five turns without a reply
}

// destination takes each batch once, by its id.
type destination struct {
	mu      sync.Mutex
	batches map[string][]string
}

func (d *destination) export(ctx context.Context, s *store.Store, last func() bool) error {
	for {
		done := last()
		batch, err := s.StampBatch(ctx, "analytics", 5)
		if err != nil {
			return err
		}
		if batch.ID == "" {
			if done {
				return nil
			}
			continue
		}
		if err := d.take(batch); err != nil {
			return err
		}
		if err := s.AckBatch(ctx, "analytics", batch.ID); err != nil {
			return err
		}
	}
}

// requireEach holds what was taken to a number of events, each of them once.
func (d *destination) requireEach(t *testing.T, want int) {
	t.Helper()
	seen := map[string]int{}
	for _, events := range d.batches {
		for _, id := range events {
			seen[id]++
		}
	}
	require.Len(t, seen, want)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

// take holds a batch to its fixed membership. One that was acknowledged while
// it was being read is empty.
func (d *destination) take(batch store.Batch) error {
	var ids []string
	for _, e := range batch.Events {
		ids = append(ids, e.ID)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.batches[batch.ID]
	if ok && len(ids) > 0 && fmt.Sprint(known) != fmt.Sprint(ids) {
		return fmt.Errorf("batch %s has changed: %v, now %v", batch.ID, known, ids)
	}
	if !ok {
		d.batches[batch.ID] = ids
	}
	return nil
}
