package embedded

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

// startChildren starts each service in a process of its own, all at once, and
// returns the frontend's.
func startChildren(tb testing.TB, config ClusterConfig, services ...string) map[string]*child {
	tb.Helper()
	children := map[string]*child{}
	var waits []func()
	for i, service := range services {
		started, ready := startChild(tb, config, service)
		children[fmt.Sprintf("%s%d", service, i)] = started
		children[service] = started
		waits = append(waits, ready)
	}
	for _, ready := range waits {
		ready()
	}
	return children
}

// residentMB is the memory of a process.
func residentMB(tb testing.TB, pid int) (megabytes int) {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	_, _ = fmt.Sscanf(strings.TrimSpace(rest), "%d", &megabytes)
	return megabytes / 1024
}

// p50 runs a workflow n times, one after the other.
func p50(tb testing.TB, connected client.Client, workflow any, n int) time.Duration {
	tb.Helper()
	var times []time.Duration
	for range n {
		began := time.Now()
		mustRun(tb, connected, workflow)
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[n/2]
}

// A history process that is killed under load loses nothing that was accepted,
// and the others go on. All start at once on a fresh database.
func TestClusterInFiveProcesses(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	config.NumHistoryShards = 16
	began := time.Now()
	children := startChildren(t, config, "frontend", "history", "history", "matching", "worker")
	t.Logf("five processes ready on a fresh database after %s", time.Since(began))

	server := &Server{address: children["frontend"].address}
	connected, stop := mustWorker(t, server)
	defer stop()
	require.Equal(t, "hello you", mustRun(t, connected, greeting))
	t.Logf("p50 of a workflow with one activity: %s", p50(t, connected, greeting, 20))
	for name, each := range children {
		t.Logf("%s: %d MB", name, residentMB(t, each.command.Process.Pid))
	}

	accepted := mustLoad(t, connected, 200, func(i int) {
		if i == 60 {
			children["history1"].kill()
		}
	})
	require.NotEmpty(t, accepted)
	began = time.Now()
	for _, id := range accepted {
		var text string
		require.NoError(t, connected.GetWorkflow(t.Context(), id, "").Get(t.Context(), &text), id)
		require.Equal(t, "hello you", text)
	}
	t.Logf("%d workflows accepted around the kill, the last ended %s after the last start", len(accepted), time.Since(began))
}

// mustLoad starts n workflows from eight goroutines and returns those that were
// accepted: all, because the client tries again.
func mustLoad(tb testing.TB, connected client.Client, n int, before func(i int)) (accepted []string) {
	tb.Helper()
	var lock sync.Mutex
	group, ctx := errgroup.WithContext(tb.Context())
	group.SetLimit(8)
	for i := range n {
		before(i)
		group.Go(func() error {
			id := fmt.Sprintf("load-%d", i)
			if err := startPatiently(ctx, connected, id); err != nil {
				return fmt.Errorf("start %s: %w", id, err)
			}
			lock.Lock()
			defer lock.Unlock()
			accepted = append(accepted, id)
			return nil
		})
	}
	require.NoError(tb, group.Wait())
	require.Len(tb, accepted, n)
	return accepted
}

// startPatiently starts a workflow within a minute: its shard has a new owner
// only when the old one is known to be dead.
func startPatiently(ctx context.Context, connected client.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := connected.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: queue}, greeting, "you")
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// All processes of a cluster are killed, and new ones go on at once at other
// addresses.
func TestClusterAfterKillOfAll(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	first, ready := startChild(t, config)
	ready()
	connected, stop := mustWorker(t, &Server{address: first.address})
	_, err := connected.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: queue}, waiting, "you")
	require.NoError(t, err)
	first.kill()
	stop()

	began := time.Now()
	second, ready := startChild(t, config)
	ready()
	t.Logf("ready %s after the kill", time.Since(began))
	require.Less(t, time.Since(began), 15*time.Second)
	connected, stop = mustWorker(t, &Server{address: second.address})
	defer stop()
	require.NoError(t, connected.SignalWorkflow(t.Context(), "w", "", "go", "again"))
	require.NoError(t, connected.GetWorkflow(t.Context(), "w", "").Get(t.Context(), nil))
}

// The services of one cluster can also be four servers of one process, and
// start in any order: the worker waits for the frontend.
func TestClusterStartsInAnyOrder(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	servers := make([]*Server, 4)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	var group errgroup.Group
	for i, service := range []string{"worker", "matching", "history", "frontend"} {
		group.Go(func() (err error) {
			config := config
			config.Services = []string{service}
			servers[i], err = StartCluster(ctx, config)
			return err
		})
		time.Sleep(200 * time.Millisecond)
	}
	require.NoError(t, group.Wait())
	for _, server := range servers {
		t.Cleanup(server.Stop)
	}
	require.Empty(t, servers[0].Address())
	require.NoError(t, servers[0].Ping(t.Context()))
	connected, stop := mustWorker(t, servers[3])
	defer stop()
	require.Equal(t, "hello you", mustRun(t, connected, greeting))
	servers[2].Stop()
	require.Error(t, servers[2].Ping(t.Context()))
}
