package analyticstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/analytics"
)

// BenchmarkFigures answers over 100,000 messages and 50,000 turns. It tells
// what a batch of the export's size took to write as well.
func BenchmarkFigures(b *testing.B, s analytics.Store) {
	const batches, size = 75, 2000
	p := newProduct()
	began := time.Now()
	for n := range batches {
		batch := newBatch()
		for i := range size {
			after := time.Duration(n)*time.Minute + time.Duration(i)*time.Millisecond
			event := message(p, fmt.Sprint("sess_", n*500+i%500), after)
			if i%3 == 0 {
				event = turn(p, fmt.Sprint("intent_", i%100), after)
			}
			batch.Events = append(batch.Events, event)
		}
		require.NoError(b, s.Write(b.Context(), batch))
	}
	written := time.Since(began)
	for b.Loop() {
		figures(b, s, p, always)
	}
	b.ReportMetric(float64(written.Milliseconds())/batches, "ms/batch")
}
