package embedded

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkCluster is a workflow with one activity on PostgreSQL, and the plain
// turn; the activities do nothing, so the time is Temporal's.
func BenchmarkCluster(b *testing.B) {
	for name, services := range map[string][][]string{
		"one":  {nil},
		"four": {{"frontend"}, {"history"}, {"matching"}, {"worker"}},
	} {
		b.Run(name, func(b *testing.B) {
			config := mustClusterConfig(b)
			config.NumHistoryShards = 64
			children, waits := make([]*child, len(services)), make([]func(), len(services))
			for i := range services {
				children[i], waits[i] = startChild(b, config, services[i]...)
			}
			for _, ready := range waits {
				ready()
			}
			connected, stop := mustWorker(b, &Server{address: children[0].address})
			defer stop()
			for workflow, shape := range map[string]any{"greeting": greeting, "turn": turn} {
				mustRun(b, connected, shape)
				b.Run(workflow, func(b *testing.B) {
					var times []time.Duration
					for b.Loop() {
						began := time.Now()
						mustRun(b, connected, shape)
						times = append(times, time.Since(began))
					}
					slices.Sort(times)
					b.ReportMetric(milliseconds(times[len(times)/2]), "p50-ms")
					b.ReportMetric(milliseconds(times[len(times)*99/100]), "p99-ms")
					megabytes := 0
					for _, each := range children {
						megabytes += residentMB(b, each.command.Process.Pid)
					}
					b.ReportMetric(float64(megabytes), "MB")
				})
			}
		})
	}
}
