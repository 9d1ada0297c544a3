// Package worker runs workflows and activities on their task queues. It holds
// no logic of its own.
package worker

import (
	"cmp"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"runa/activities"
	"runa/workflows"
)

// Config says what a worker does and sizes it. A zero field is its default.
type Config struct {
	// Queues are what to work for: Turns, Crawls. Default both.
	Queues []string
	// TurnSlots is how many model and tool calls run at a time. Default 100 for
	// each processor, at least 200: they wait for others most of the time.
	TurnSlots int
	// CrawlSlots is how many batches of crawls run at a time. Default 2 for
	// each processor: extracting text is work for it.
	CrawlSlots int
	// Build names the program's build in histories. Default "unknown". (By
	// itself the SDK would hash the whole binary for it at each start.)
	Build string
}

// Queues of Config.
const (
	Turns  = "turns"
	Crawls = "crawls"
)

func (c Config) withDefaults() Config {
	if len(c.Queues) == 0 {
		c.Queues = []string{Turns, Crawls}
	}
	processors := runtime.GOMAXPROCS(0)
	c.TurnSlots = cmp.Or(c.TurnSlots, max(200, 100*processors))
	c.CrawlSlots = cmp.Or(c.CrawlSlots, 2*processors)
	c.Build = cmp.Or(c.Build, "unknown")
	return c
}

func (c Config) options(slots int) worker.Options {
	return worker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		WorkerStopTimeout:                  stopTimeout,
		StickyScheduleToStartTimeout:       stickyTimeout,
		DeploymentOptions: worker.DeploymentOptions{
			Version: worker.WorkerDeploymentVersion{DeploymentName: "runa", BuildID: c.Build},
		},
	}
}

// stopTimeout is how long a shutdown lets activities finish before it tells
// them to stop; a process has 30 s in all.
const stopTimeout = 20 * time.Second

// stickyTimeout is how long a workflow task waits for the worker that has the
// workflow in its memory before any worker may take it. A worker that lives
// takes it in milliseconds; by default a crash would cost those tasks 5 s.
const stickyTimeout = 2 * time.Second

// Worker polls the task queues.
type Worker struct{ parts []worker.Worker }

// Start begins to poll. Stop must be called to end it.
func Start(c client.Client, acts *activities.Activities, cfg Config) (*Worker, error) {
	cfg = cfg.withDefaults()
	w := &Worker{}
	for _, queue := range cfg.Queues {
		name, slots := workflows.TurnQueue, cfg.TurnSlots
		if queue == Crawls {
			name, slots = workflows.CrawlQueue, cfg.CrawlSlots
		}
		part := worker.New(c, name, cfg.options(slots))
		Register(part, acts)
		if err := part.Start(); err != nil {
			w.Stop()
			return nil, fmt.Errorf("start worker of %s: %w", queue, err)
		}
		w.parts = append(w.parts, part)
	}
	return w, nil
}

// Register names what a worker can do.
func Register(r worker.Registry, acts *activities.Activities) {
	r.RegisterWorkflow(workflows.Turn)
	r.RegisterWorkflow(workflows.Crawl)
	r.RegisterWorkflow(workflows.Purge)
	r.RegisterWorkflow(workflows.Reindex)
	r.RegisterWorkflow(workflows.Export)
	r.RegisterWorkflow(workflows.Sweep)
	r.RegisterActivity(acts)
}

// Stop ends the polling, lets running activities finish for a while, and tells
// the rest to stop: they are tried again elsewhere.
func (w *Worker) Stop() {
	var stopped sync.WaitGroup
	for _, part := range w.parts {
		stopped.Go(part.Stop)
	}
	stopped.Wait()
}
