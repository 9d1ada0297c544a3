package embedded

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/common/dynamicconfig"
)

// fairness is a worker with few slots for activities that notes the order in
// which they run, by the key of the workflow that asked for them.
type fairness struct {
	lock  sync.Mutex
	order []string
	gate  chan struct{}
}

func (f *fairness) note(ctx context.Context, key string) error {
	select {
	case <-f.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	f.order = append(f.order, key)
	return nil
}

func (f *fairness) keys() []string {
	f.lock.Lock()
	defer f.lock.Unlock()
	return slices.Clone(f.order)
}

// many asks for n activities at once and sets no key on them: they have the
// workflow's.
func (f *fairness) many(ctx workflow.Context, key string, n int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: "few", StartToCloseTimeout: 5 * time.Minute, DisableEagerExecution: true,
	})
	var futures []workflow.Future
	for range n {
		futures = append(futures, workflow.ExecuteActivity(ctx, "note", key))
	}
	for _, future := range futures {
		if err := future.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// mustFairness starts the worker; f's activities wait for its gate.
func mustFairness(tb testing.TB, connected client.Client) *fairness {
	tb.Helper()
	f := &fairness{gate: make(chan struct{})}
	workflows := worker.New(connected, "many", worker.Options{DisableRegistrationAliasing: true})
	workflows.RegisterWorkflowWithOptions(f.many, workflow.RegisterOptions{Name: "many"})
	require.NoError(tb, workflows.Start())
	tb.Cleanup(workflows.Stop)
	return f
}

func (f *fairness) mustWork(tb testing.TB, connected client.Client) {
	tb.Helper()
	few := worker.New(connected, "few", worker.Options{MaxConcurrentActivityExecutionSize: 4})
	few.RegisterActivity(f.note)
	require.NoError(tb, few.Start())
	tb.Cleanup(few.Stop)
}

func mustMany(tb testing.TB, connected client.Client, key string, n int) client.WorkflowRun {
	tb.Helper()
	run, err := connected.ExecuteWorkflow(tb.Context(), client.StartWorkflowOptions{
		TaskQueue: "many", Priority: temporal.Priority{FairnessKey: key},
	}, "many", key, n)
	require.NoError(tb, err)
	return run
}

// mustBacklog waits until n activities are queued.
func mustBacklog(tb testing.TB, connected client.Client, n int64) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		found, err := connected.DescribeTaskQueueEnhanced(tb.Context(), client.DescribeTaskQueueEnhancedOptions{
			TaskQueue: "few", TaskQueueTypes: []client.TaskQueueType{client.TaskQueueTypeActivity}, ReportStats: true,
		})
		if err != nil {
			return false
		}
		var count int64
		for _, version := range found.VersionsInfo { //nolint:staticcheck // the same
			count += version.TypesInfo[client.TaskQueueTypeActivity].Stats.ApproximateBacklogCount
		}
		return count >= n
	}, time.Minute, 100*time.Millisecond, "%d activities are queued", n)
}

// placeOf runs what waits: the queue of one key is long when a single activity
// of another comes. It returns how many ran before that.
func placeOf(tb testing.TB, connected client.Client, n int) int {
	tb.Helper()
	f := mustFairness(tb, connected)
	// A workflow may have 2,000 activities at once.
	first, other := mustMany(tb, connected, "a", n/2), mustMany(tb, connected, "a", n/2)
	mustBacklog(tb, connected, int64(n))
	second := mustMany(tb, connected, "b", 1)
	mustBacklog(tb, connected, int64(n+1))
	f.mustWork(tb, connected)
	close(f.gate)
	require.NoError(tb, second.Get(tb.Context(), nil))
	place := slices.Index(f.keys(), "b")
	require.NoError(tb, first.Get(tb.Context(), nil))
	require.NoError(tb, other.Get(tb.Context(), nil))
	require.Len(tb, f.keys(), n+1)
	return place
}

// A product with a long queue does not make another wait for all of it.
func TestKeysTakeTurns(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) *Server{
		"sqlite":   func(t *testing.T) *Server { return mustStart(t, Config{Dir: t.TempDir()}) },
		"postgres": func(t *testing.T) *Server { return mustStartCluster(t, mustClusterConfig(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connected, stop := mustWorker(t, start(t))
			t.Cleanup(stop)
			require.Less(t, placeOf(t, connected, 2000), 20)
		})
	}
}

// mustStartUnfair starts a server as it was before keys took turns.
func mustStartUnfair(t *testing.T, config Config) *Server {
	t.Helper()
	config = config.withDefaults()
	stores, err := openStores(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, createNamespace(stores.main, config))
	addresses, err := freeAddresses()
	require.NoError(t, err)
	settings := tuned()
	settings[dynamicconfig.MatchingEnableFairness.Key()] = false
	log := newServerLogger(config.Logger)
	server, err := launchWith(log, config, addresses.frontend(), optionsWith(config, stores, addresses, settings, log))
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	require.NoError(t, server.connect(t.Context(), config))
	return server
}

// Without the setting the other key waits for all; it is what the test above
// would see if the setting did nothing.
func TestKeysWaitWithoutFairness(t *testing.T) {
	t.Parallel()
	connected, stop := mustWorker(t, mustStartUnfair(t, Config{Dir: t.TempDir()}))
	t.Cleanup(stop)
	require.Greater(t, placeOf(t, connected, 300), 280)
}

// What was queued before keys took turns is dispatched by a server with which
// they do.
func TestOldQueueIsDrained(t *testing.T) {
	t.Parallel()
	const n = 300
	config := Config{Dir: t.TempDir()}
	old := mustStartUnfair(t, config)
	connected, stop := mustWorker(t, old)
	f := mustFairness(t, connected)
	first := mustMany(t, connected, "a", n)
	mustBacklog(t, connected, n)
	id := first.GetID()
	stop()
	old.Stop()

	connected, stop = mustWorker(t, mustStart(t, config))
	t.Cleanup(stop)
	again := mustFairness(t, connected)
	second := mustMany(t, connected, "b", 1)
	again.mustWork(t, connected)
	close(again.gate)
	require.NoError(t, second.Get(t.Context(), nil))
	require.NoError(t, connected.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil))
	require.Len(t, again.keys(), n+1)
	require.Empty(t, f.keys())
}
