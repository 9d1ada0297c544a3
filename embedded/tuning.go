package embedded

import (
	"maps"
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

// unlimited stands for rates and counts that a limit makes no sense for: the
// callers are this process, and the disk is the limit.
const unlimited = 100_000

func dynamicConfig(profile Profile) dynamicconfig.StaticClient {
	settings := always()
	if profile == Tuned {
		maps.Copy(settings, tuned())
	}
	return settings
}

// always holds in both profiles.
func always() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// It would report the server's version to Temporal once a day.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
}

// tuned is what Runa runs its own server with.
func tuned() dynamicconfig.StaticClient {
	settings := shared()
	maps.Copy(settings, alone())
	return settings
}

// shared holds for the server of one process and for clusters.
func shared() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// The queues that dispatch the next step and fire timers are read at most
		// 20 times a second for each shard by default: every step would wait up to
		// 50 ms. A read is made when there is something to read, so an idle server
		// stays idle. The visibility queue keeps its 20: nobody waits for it, and
		// larger batches cost less.
		dynamicconfig.TransferProcessorMaxPollRPS.Key():     unlimited,
		dynamicconfig.TransferProcessorMaxPollHostRPS.Key(): unlimited,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():        unlimited,
		dynamicconfig.TimerProcessorMaxPollHostRPS.Key():    unlimited,

		// A worker in this process gets the first workflow task in the answer to
		// its start, and activities in the answer to the task that scheduled them:
		// one trip through matching less for each. Both are on by default now and
		// are stated because the latency depends on them.
		dynamicconfig.EnableEagerWorkflowStart.Key():     true,
		dynamicconfig.EnableActivityEagerExecution.Key(): true,

		// With four partitions (the default) a task may lie in another partition
		// than the poller that waits, and is forwarded after up to 100 ms; and keys
		// take turns within a partition only.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,

		// Tasks with a fairness key take turns by key, so that one product's load
		// does not starve another's. Tasks that were queued without it are drained
		// from where they lie.
		dynamicconfig.MatchingEnableFairness.Key(): true,

		// 2,400 requests a second and 1,200 long polls for each call are limits
		// that keep the tenants of a cluster apart. Here they would only refuse
		// turns that wait.
		dynamicconfig.FrontendRPS.Key():                                         unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():                  unlimited,
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(): unlimited,
		dynamicconfig.HistoryRPS.Key():                                          unlimited,
		dynamicconfig.MatchingRPS.Key():                                         unlimited,

		// The cache of history events, for each shard; the events of running
		// activities are what it is needed for.
		dynamicconfig.EventsCacheMaxSizeBytes.Key(): 256 << 10,
		// The cache of events for replication to other clusters; there are none. It
		// keeps 64 KB whatever is set.
		dynamicconfig.XDCCacheMaxSizeBytes.Key(): 0,

		// 512 goroutines for each queue (the default) wait for few connections to
		// the database; they would only hold their stacks.
		dynamicconfig.TransferProcessorSchedulerWorkerCount.Key():   schedulerWorkers,
		dynamicconfig.TimerProcessorSchedulerWorkerCount.Key():      schedulerWorkers,
		dynamicconfig.VisibilityProcessorSchedulerWorkerCount.Key(): schedulerWorkers,

		// Nothing is replicated to another cluster; 640 goroutines wait for it.
		dynamicconfig.ReplicationProcessorSchedulerWorkerCount.Key():            1,
		dynamicconfig.ReplicationLowPriorityProcessorSchedulerWorkerCount.Key(): 1,

		// The worker that ends the children of a closed workflow through a system
		// workflow is for parents of thousands; without it they are ended directly.
		dynamicconfig.EnableParentClosePolicyWorker.Key(): false,

		// The cache of workflow states is bounded by the number of workflows. The
		// limit in bytes is left off: in v1.32.1 it reads a workflow's size after
		// its lock was released, which the race detector reports and which may
		// crash.
		dynamicconfig.HistoryCacheSizeBasedLimit.Key(): false,
	}
}

// alone is what only the server of one process on SQLite has.
func alone() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// No timer fires earlier than this after it was made, so that the hosts of
		// a cluster may disagree about the time: at 1 s (the default) a retry after
		// 0.2 s comes after 1 s, and a call that a crash cut goes on two seconds
		// later than it could. Here there is one clock; 50 ms still gather the
		// timers of a busy moment into one read.
		dynamicconfig.TimerProcessorMaxTimeShift.Key(): 50 * time.Millisecond,

		// Calls to the database are not limited, which is a file of this process.
		dynamicconfig.FrontendPersistenceMaxQPS.Key(): unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():  unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key(): unlimited,

		// The cache of workflow states takes 128,000 entries by default, which is no
		// plateau at all (temporalio/temporal#8902); a small workflow takes 20 KB,
		// so this is about 20 MB. What falls out is read from the file again when it
		// is needed. A request holds an entry while it runs; beyond a thousand at
		// once some are told to try again, which Temporal's clients do.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 1000,
	}
}

// clusterTuned is what the servers of a cluster run with. Left as Temporal has
// them: the second for which a timer may be late, because hosts disagree about
// the time, and the limits of calls to the database, which is shared.
func clusterTuned() dynamicconfig.StaticClient {
	settings := always()
	maps.Copy(settings, shared())
	// About 200 MB of small workflows in each history process, at most.
	settings[dynamicconfig.HistoryCacheHostLevelMaxSize.Key()] = 10_000
	return settings
}

const schedulerWorkers = 32
