package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Task queues.
const (
	// TurnQueue carries the turns and the small jobs around them.
	TurnQueue = "runa"
	// CrawlQueue has slots of its own, so that a crawl of any size delays no
	// chat.
	CrawlQueue = "runa-crawl"
)

// fairly gives each product an equal share of a queue that is full, however
// much of it one of them has filled. Activities inherit it from their workflow.
func fairly(product string) temporal.Priority {
	return temporal.Priority{PriorityKey: 3, FairnessKey: product, FairnessWeight: 1}
}

// first goes before all turns and crawls: a job that serves everyone, and that
// takes one slot.
var first = temporal.Priority{PriorityKey: 1}

const (
	// TaskTimeout is how long a workflow task waits for a worker that died.
	// All workers' tasks are short; the default of 10 s would be what a person
	// waits after a crash.
	TaskTimeout = 3 * time.Second
	// beat is how long an activity may be silent: what everyone waits for after
	// a worker died. The SDK sends a beat each 0.8 of it, which costs a write.
	beat = 3 * time.Second
	// heldTime is how long a turn may work in all; waiting for its place is
	// not counted.
	heldTime = 24 * time.Hour
	// placeFirst and placeLast bound the pause after which a queued turn looks
	// for its place by itself: the signal that offers it is only a hint.
	placeFirst = 30 * time.Second
	placeLast  = 10 * time.Minute
	// purgePause lets a fetch that began before the delete, and whose lease no
	// row shows any more, come to its end.
	purgePause = 90 * time.Second
	// exportShifts is how many shifts of the export share a history.
	exportShifts = 20
)

// forEver outlasts every outage.
const forEver = 10 * 365 * 24 * time.Hour

// records is for local activities: SQL and nothing else. They are retried for
// ever, since a turn that was accepted ends only by its row; the short timeout
// keeps a stuck statement from holding the workflow task. The SDK takes that
// timeout for the end of all retries too unless another is named.
var records = workflow.LocalActivityOptions{
	StartToCloseTimeout:    2 * time.Second,
	ScheduleToCloseTimeout: forEver,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second,
	},
}

// step is for model and tool calls. Attempts are unlimited: what ends them is
// the budget of time in the row, which a worker's shutdown does not spend. The
// heartbeat timeout is what a person waits for after a worker died, and how
// long a cancel takes (the SDK sends a beat each 0.8 of it). A cancel is waited
// for, so that the call's row is true when the turn closes. left is the rest
// of the turn's held time: queueing for a worker is not failing.
func step(left time.Duration) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: left,
		StartToCloseTimeout:    min(left, time.Hour),
		HeartbeatTimeout:       beat,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second,
		},
	}
}

// crawling is for the activities of a crawl. A batch is over within its minute;
// robots.txt may take its ten. An index or a database that is away is waited
// for, however long.
var crawling = workflow.ActivityOptions{
	TaskQueue:           CrawlQueue,
	StartToCloseTimeout: 15 * time.Minute,
	HeartbeatTimeout:    beat,
	WaitForCancellation: true,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
	},
}

// purging is like crawling, and asks for the end of the crawl every few
// seconds.
var purging = workflow.ActivityOptions{
	TaskQueue:           CrawlQueue,
	StartToCloseTimeout: 10 * time.Minute,
	HeartbeatTimeout:    10 * time.Second,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 1.5, MaximumInterval: 30 * time.Second,
	},
}

// reindexing outlasts a shift of the walk; an index or a database that is away
// is waited for. It takes a slot of the crawls, which it is like.
var reindexing = workflow.ActivityOptions{
	TaskQueue:           CrawlQueue,
	StartToCloseTimeout: 10 * time.Minute,
	HeartbeatTimeout:    10 * time.Second,
	WaitForCancellation: true,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second,
	},
}

// exporting outlasts a shift of the export; a dead worker is noticed by its
// beat, since figures must not lag. The store of analytics may be away for
// long.
var exporting = workflow.ActivityOptions{
	StartToCloseTimeout: 15 * time.Minute,
	HeartbeatTimeout:    beat,
	WaitForCancellation: true,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second,
	},
}

// sweeping is over in seconds; the next sweep comes anyway.
var sweeping = workflow.ActivityOptions{
	StartToCloseTimeout: 5 * time.Minute,
	HeartbeatTimeout:    10 * time.Second,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 3},
}
