package analyticstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"runa/analytics"
	"runa/schemas"
)

func batchCountsOnce(t *testing.T, s analytics.Store) {
	ctx := context.Background()
	p := newProduct()
	batch := newBatch(message(p, "a", 0), message(p, "a", time.Minute), turn(p, "pricing", 0))
	require.NoError(t, s.Write(ctx, batch))
	first := figures(t, s, p, always)
	require.Equal(t, 2, first.MessagesTotal)

	require.NoError(t, s.Write(ctx, batch))
	require.Equal(t, first, figures(t, s, p, always), "again")

	write(t, s, message(p, "b", 0))
	require.NoError(t, s.Write(ctx, batch))
	require.Equal(t, 3, figures(t, s, p, always).MessagesTotal, "again, after another batch")

	write(t, s, message(p, "c", 0), message(p, "c", 0))
	require.Equal(t, 5, figures(t, s, p, always).MessagesTotal, "another id is another batch")
}

func batchOfSeveralProducts(t *testing.T, s analytics.Store) {
	ctx := context.Background()
	a, b, c := newProduct(), newProduct(), newProduct()
	batch := newBatch(message(a, "x", 0), message(b, "x", 0), message(a, "x", time.Minute), message(c, "x", 0))
	for range 2 {
		require.NoError(t, s.Write(ctx, batch))
		for product, want := range map[string]int{a: 2, b: 1, c: 1} {
			require.Equal(t, want, figures(t, s, product, always).MessagesTotal)
		}
	}
}

func batchWithoutEvents(t *testing.T, s analytics.Store) {
	require.NoError(t, s.Write(context.Background(), newBatch()))
}

func writeAfterCancel(t *testing.T, s analytics.Store) {
	p := newProduct()
	batch := newBatch(message(p, "a", 0))
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Write(canceled, batch), context.Canceled)
	_, err := s.Figures(canceled, p, always)
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, s.Write(context.Background(), batch))
	require.Equal(t, 1, figures(t, s, p, always).MessagesTotal)
}

// largeBatch is as long as the export makes them and spans products and months,
// by which backends split what they store.
func largeBatch(t *testing.T, s analytics.Store) {
	const rows, products, months = 2000, 4, 5
	ids := make([]string, products)
	for i := range ids {
		ids[i] = newProduct()
	}
	var events []schemas.Event
	for i := range rows {
		month := day.AddDate(0, -(i / products % months), 0)
		events = append(events, message(ids[i%products], fmt.Sprint(i), month.Sub(day)))
	}
	batch := newBatch(events...)
	for range 3 {
		require.NoError(t, s.Write(context.Background(), batch))
		for _, p := range ids {
			require.Equal(t, rows/products, figures(t, s, p, always).MessagesTotal)
		}
	}
	thisMonth := analytics.Period{From: day, To: day.AddDate(0, 1, 0)}
	require.Equal(t, rows/products/months, figures(t, s, ids[0], thisMonth).MessagesTotal)
}

// repeatedLate writes batches again after all the others were written.
func repeatedLate(t *testing.T, s analytics.Store) {
	const batches = 300
	p := newProduct()
	written := make([]analytics.Batch, batches)
	for i := range written {
		written[i] = newBatch(message(p, fmt.Sprint(i), 0))
		require.NoError(t, s.Write(context.Background(), written[i]))
	}
	for i := 0; i < batches; i += 29 {
		require.NoError(t, s.Write(context.Background(), written[i]))
	}
	require.Equal(t, batches, figures(t, s, p, always).MessagesTotal)
}

// oneBatchManyWriters is what a pause brings about: a writer that was believed
// dead goes on beside its successors.
func oneBatchManyWriters(t *testing.T, s analytics.Store) {
	const writers, rows = 8, 100
	p := newProduct()
	var events []schemas.Event
	for i := range rows {
		events = append(events, message(p, fmt.Sprint(i%7), time.Duration(i)*24*time.Hour))
	}
	batch := newBatch(events...)
	var g errgroup.Group
	for range writers {
		g.Go(func() error { return s.Write(context.Background(), batch) })
	}
	require.NoError(t, g.Wait())
	require.Equal(t, rows, figures(t, s, p, always).MessagesTotal)
}

// concurrentUse writes every batch from two goroutines at once while others
// read. A reader never sees part of a batch, and never fewer than before.
func concurrentUse(t *testing.T, s analytics.Store) {
	const products, batches, size = 3, 8, 5
	ids := make([]string, products)
	var writers, readers errgroup.Group
	done := make(chan struct{})
	for i := range ids {
		ids[i] = newProduct()
		readers.Go(func() error { return watch(s, ids[i], size, done) })
	}
	for n := range batches {
		var events []schemas.Event
		for _, p := range ids {
			for range size {
				events = append(events, message(p, fmt.Sprint(n), 0))
			}
		}
		batch := newBatch(events...)
		for range 2 {
			writers.Go(func() error { return s.Write(context.Background(), batch) })
		}
	}
	require.NoError(t, writers.Wait())
	close(done)
	require.NoError(t, readers.Wait())
	for _, p := range ids {
		got := figures(t, s, p, always)
		require.Equal(t, batches*size, got.MessagesTotal)
		require.Equal(t, batches, got.Conversations)
	}
}

// watch reads until done, and at least once.
func watch(s analytics.Store, product string, size int, done <-chan struct{}) error {
	seen := 0
	for {
		f, err := s.Figures(context.Background(), product, always)
		switch {
		case err != nil:
			return err
		case f.MessagesTotal < seen || f.MessagesTotal%size != 0 || f.Conversations*size != f.MessagesTotal:
			return fmt.Errorf("torn read: %d messages, %d conversations, %d messages before", f.MessagesTotal, f.Conversations, seen)
		}
		seen = f.MessagesTotal
		select {
		case <-done:
			return nil
		default:
		}
	}
}

func closedStore(t *testing.T, s analytics.Store) {
	ctx := context.Background()
	p := newProduct()
	write(t, s, message(p, "a", 0))
	require.NoError(t, s.Close())

	_, err := s.Figures(ctx, p, always)
	require.Error(t, err, "figures")
	require.Error(t, s.Write(ctx, newBatch(message(p, "a", 0))), "write")
	require.Error(t, s.Ping(ctx), "ping")
}
