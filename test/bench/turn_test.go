package bench

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"runa/embedded"
)

// BenchmarkTurn times whole turns, from the request to the answer, of a model
// that costs no time, on the tuned engine and on one as it comes, in turn, so
// that a machine whose speed drifts does so for both.
func BenchmarkTurn(b *testing.B) {
	tuned, untuned := newStack(b, embedded.Tuned), newStack(b, embedded.StartDev)
	for _, kind := range []struct {
		name         string
		calls, turns int
	}{{"plain", 0, 200}, {"1-call", 1, 100}, {"10-calls", 10, 20}} {
		b.Run(kind.name, func(b *testing.B) {
			for range b.N {
				pair(b, tuned, untuned, kind.calls, kind.turns)
			}
		})
	}
	b.Run("16-at-once", func(b *testing.B) {
		for range b.N {
			fast, slow := throughput(b, tuned, 800), throughput(b, untuned, 400)
			b.ReportMetric(fast, "turns/s")
			b.ReportMetric(slow, "untuned-turns/s")
			b.ReportMetric(fast/slow, "times-untuned")
		}
	})
}

// pair times turns on both stacks alternately, after a few to warm up.
func pair(b *testing.B, tuned, untuned *stack, calls, turns int) {
	var fast, slow []time.Duration
	for i := range turns + 5 {
		session := fmt.Sprintf("pair-%d-%d", calls, i)
		f, s := timed(func() { tuned.turn(b, session, calls) }), timed(func() { untuned.turn(b, session, calls) })
		if i >= 5 {
			fast, slow = append(fast, f), append(slow, s)
		}
	}
	b.ReportMetric(quantile(fast, .5), "p50-ms")
	b.ReportMetric(quantile(fast, .99), "p99-ms")
	b.ReportMetric(quantile(slow, .5), "untuned-p50-ms")
	b.ReportMetric(quantile(slow, .99), "untuned-p99-ms")
	b.ReportMetric(quantile(fast, .5)/quantile(slow, .5), "of-untuned-p50")
}

func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

// quantile in milliseconds, by the nearest rank.
func quantile(times []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	rank := min(len(sorted)-1, int(q*float64(len(sorted))))
	return float64(sorted[rank].Microseconds()) / 1000
}

// throughput is plain turns a second with 16 sessions at once.
func throughput(b *testing.B, s *stack, turns int) float64 {
	const sessions = 16
	took := timed(func() {
		var all sync.WaitGroup
		for n := range sessions {
			all.Go(func() {
				for range turns / sessions {
					s.turn(b, fmt.Sprintf("load-%d-%d", turns, n), 0)
				}
			})
		}
		all.Wait()
	})
	return float64(turns) / took.Seconds()
}
