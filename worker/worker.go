// Package worker runs workflows and activities on their task queues. It holds
// no logic of its own.
package worker

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"runa/activities"
	"runa/workflows"
)

// Config sizes a worker. A zero field is its default.
type Config struct {
	// TurnSlots is how many model and tool calls run at a time. Default 200:
	// they wait for others most of the time.
	TurnSlots int
	// CrawlSlots is how many batches of crawls run at a time. Default 4:
	// extracting text is work for the processor.
	CrawlSlots int
	// Build names the program's build in histories. Default "unknown". (By
	// itself the SDK would hash the whole binary for it at each start.)
	Build string
}

func (c Config) options(slots int) worker.Options {
	return worker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		WorkerStopTimeout:                  stopTimeout,
		StickyScheduleToStartTimeout:       stickyTimeout,
		DeploymentOptions: worker.DeploymentOptions{
			Version: worker.WorkerDeploymentVersion{DeploymentName: "runa", BuildID: cmp.Or(c.Build, "unknown")},
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
type Worker struct{ turns, crawls worker.Worker }

// Start begins to poll. Stop must be called to end it.
func Start(c client.Client, acts *activities.Activities, cfg Config) (*Worker, error) {
	w := &Worker{
		turns:  worker.New(c, workflows.TurnQueue, cfg.options(cmp.Or(cfg.TurnSlots, 200))),
		crawls: worker.New(c, workflows.CrawlQueue, cfg.options(cmp.Or(cfg.CrawlSlots, 4))),
	}
	Register(w.turns, acts)
	Register(w.crawls, acts)
	if err := w.turns.Start(); err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	if err := w.crawls.Start(); err != nil {
		w.turns.Stop()
		return nil, fmt.Errorf("start worker: %w", err)
	}
	return w, nil
}

// Register names what a worker can do.
func Register(r worker.Registry, acts *activities.Activities) {
	r.RegisterWorkflow(workflows.Turn)
	r.RegisterWorkflow(workflows.Crawl)
	r.RegisterWorkflow(workflows.Purge)
	r.RegisterWorkflow(workflows.Export)
	r.RegisterWorkflow(workflows.Sweep)
	r.RegisterActivity(acts)
}

// Stop ends the polling, lets running activities finish for a while, and tells
// the rest to stop: they are tried again elsewhere.
func (w *Worker) Stop() {
	done := make(chan struct{})
	go func() {
		w.crawls.Stop()
		close(done)
	}()
	w.turns.Stop()
	<-done
}
