// Package load measures the separate layout beside the single process, and what
// one product feels of another's flood. `make load` runs it, on services that
// RUNA_TEST_… name or that it starts. It prints markdown; docs/performance.md
// keeps a run. Compare figures of one run only.
package load

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/harness"
	"runa/test/runatest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	runatest.Cleanup()
	os.Exit(code)
}

// measured is how long each line of the table is measured, after a tenth of it
// to warm up.
const measured = 10 * time.Second

// process is one of a layout's.
type process struct {
	name string
	pid  int
}

// layout is an installation that can be loaded.
type layout struct {
	name      string
	apis      []*runatest.Runa
	processes []process
	// databases are those on PostgreSQL.
	databases []string
}

// single is everything in one process.
func single(b *testing.B) layout {
	r := runatest.Start(b, runatest.Options{Layout: runatest.Embedded, Env: allow})
	return layout{name: "serve", apis: []*runatest.Runa{r}, processes: []process{{"serve", r.PID()}}}
}

// allow lets the program call the tools of the test.
var allow = []string{"RUNA_OUTBOUND_ALLOW=127.0.0.1"}

// separate is two APIs and two workers on an engine of one process.
func separate(b *testing.B, worker ...string) layout {
	engine := runatest.NewEngine(b)
	temporal := runatest.Spawn(b, engine.Env(), engine.Args("frontend", "history", "matching", "worker")...)
	require.NoError(b, temporal.AwaitReady())
	installation := runatest.NewInstallationOn(b, engine.Address, allow...)
	l := layout{
		name: "2 api, 2 worker", processes: []process{{"temporal", temporal.PID()}},
		databases: append(engine.Databases(), installation.Name()),
	}
	for i := range 2 {
		api := installation.API(b)
		l.apis = append(l.apis, api)
		work := installation.Worker(b, worker...)
		l.processes = append(l.processes, process{fmt.Sprintf("api %d", i+1), api.PID()}, process{fmt.Sprintf("worker %d", i+1), work.PID()})
	}
	return l
}

// BenchmarkLayouts measures turns of many clients at once, each of which sends
// its next message when it has its answer.
func BenchmarkLayouts(b *testing.B) {
	for range b.N {
		fmt.Printf("\n%s\n\n| layout | tool calls | clients | turns/s | p50 ms | p99 ms | load average |\n|---|---|---|---|---|---|---|\n", machine())
		var memory []string
		for _, l := range []layout{single(b), separate(b)} {
			p := harness.NewProduct(b, l.apis, "prod_load", 0)
			p.Open()
			for _, calls := range []int{0, 1} {
				for _, clients := range []int{1, 16, 64} {
					before := loadAverage()
					times, took := turns(b, p, calls, clients)
					fmt.Printf("| %s | %d | %d | %.1f | %.0f | %.0f | %s to %s |\n", l.name, calls, clients,
						float64(len(times))/took.Seconds(), quantile(times, .5), quantile(times, .99), before, loadAverage())
				}
			}
			for _, process := range l.processes {
				memory = append(memory, fmt.Sprintf("| %s | %s | %d |", l.name, process.name, resident(b, process.pid)>>20))
			}
			memory = append(memory, connections(b, l)...)
		}
		fmt.Printf("\n| layout | after the load | MiB resident, or connections |\n|---|---|---|\n%s\n", strings.Join(memory, "\n"))
	}
}

// turns are the times of turns that so many clients waited for.
func turns(b *testing.B, p *harness.Product, calls, clients int) (times []time.Duration, took time.Duration) {
	b.Helper()
	ask := p.Send
	if calls == 0 {
		ask = p.Greet
	}
	run := func(long time.Duration) (all []time.Duration) {
		var mu sync.Mutex
		var group sync.WaitGroup
		end := time.Now().Add(long)
		for range clients {
			group.Go(func() {
				for time.Now().Before(end) {
					began := time.Now()
					answer := ask(60)
					mu.Lock()
					all = append(all, time.Since(began))
					mu.Unlock()
					if answer.Status != 200 {
						b.Errorf("%d %s", answer.Status, answer.Body)
						return
					}
				}
			})
		}
		group.Wait()
		return all
	}
	run(measured / 10)
	began := time.Now()
	return run(measured), time.Since(began)
}

// quantile in milliseconds, by the nearest rank.
func quantile(times []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	rank := min(len(sorted)-1, int(q*float64(len(sorted))))
	return float64(sorted[rank].Microseconds()) / 1000
}

// resident is the memory of a process as Linux counts it, in bytes.
func resident(b *testing.B, pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			require.NoError(b, err)
			return kilobytes << 10
		}
	}
	b.Fatal("no VmRSS in /proc")
	return 0
}
