package embedded

import (
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"
)

// turn has the shape of a plain chat turn: local activities for the
// bookkeeping, one activity for the model.
func turn(ctx workflow.Context, name string) (text string, err error) {
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 2 * time.Second})
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	for range 2 {
		if err := workflow.ExecuteLocalActivity(local, greet, name).Get(ctx, &text); err != nil {
			return "", err
		}
	}
	if err := workflow.ExecuteActivity(ctx, greet, name).Get(ctx, &text); err != nil {
		return "", err
	}
	err = workflow.ExecuteLocalActivity(local, greet, name).Get(ctx, &text)
	return text, err
}

// BenchmarkTurn compares the two profiles; the activities do nothing, so the
// time is Temporal's.
func BenchmarkTurn(b *testing.B) {
	for name, profile := range map[string]Profile{"tuned": Tuned, "startdev": StartDev} {
		b.Run(name, func(b *testing.B) {
			server := mustStart(b, Config{Dir: b.TempDir(), Profile: profile})
			connected, stop := mustWorker(b, server)
			defer stop()
			mustRun(b, connected, turn)
			var times []time.Duration
			for b.Loop() {
				began := time.Now()
				mustRun(b, connected, turn)
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.ReportMetric(milliseconds(times[len(times)/2]), "p50-ms")
			b.ReportMetric(milliseconds(times[len(times)*99/100]), "p99-ms")
		})
	}
}

// BenchmarkStart is the time from nothing to the first completed workflow.
func BenchmarkStart(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			startToFirst(b, b.TempDir())
		}
	})
	b.Run("existing", func(b *testing.B) {
		folder := b.TempDir()
		startToFirst(b, folder)
		for b.Loop() {
			startToFirst(b, folder)
		}
	})
}

func startToFirst(b *testing.B, folder string) {
	b.Helper()
	server := mustStart(b, Config{Dir: folder})
	connected, stop := mustWorker(b, server)
	mustRun(b, connected, turn)
	b.StopTimer()
	stop()
	server.Stop()
	b.StartTimer()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
