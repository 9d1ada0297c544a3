package embedded

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/common/primitives"
)

const queue = "test"

// waiting runs an activity, waits for the signal and returns both texts.
func waiting(ctx workflow.Context, name string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	var greeting, signal string
	if err := workflow.ExecuteActivity(ctx, greet, name).Get(ctx, &greeting); err != nil {
		return "", err
	}
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &signal)
	return greeting + " " + signal, nil
}

func greeting(ctx workflow.Context, name string) (text string, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	err = workflow.ExecuteActivity(ctx, greet, name).Get(ctx, &text)
	return text, err
}

func greet(_ context.Context, name string) (string, error) { return "hello " + name, nil }

func mustStart(tb testing.TB, config Config) *Server {
	tb.Helper()
	server, err := Start(tb.Context(), config)
	require.NoError(tb, err)
	tb.Cleanup(server.Stop)
	return server
}

// mustWorker connects a client and a worker; stop ends both.
func mustWorker(tb testing.TB, server *Server) (connected client.Client, stop func()) {
	tb.Helper()
	return mustWorkerOn(tb, client.Options{HostPort: server.Address(), Namespace: "runa"})
}

func mustWorkerOn(tb testing.TB, options client.Options) (connected client.Client, stop func()) {
	tb.Helper()
	options.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	connected, err := client.DialContext(tb.Context(), options)
	require.NoError(tb, err)
	w := worker.New(connected, queue, worker.Options{})
	w.RegisterWorkflow(waiting)
	w.RegisterWorkflow(greeting)
	w.RegisterWorkflow(turn)
	w.RegisterActivity(greet)
	require.NoError(tb, w.Start())
	return connected, func() {
		w.Stop()
		connected.Close()
	}
}

func mustRun(tb testing.TB, connected client.Client, workflow any) string {
	tb.Helper()
	options := client.StartWorkflowOptions{TaskQueue: queue, EnableEagerStart: true}
	run, err := connected.ExecuteWorkflow(tb.Context(), options, workflow, "you")
	require.NoError(tb, err)
	var text string
	require.NoError(tb, run.Get(tb.Context(), &text))
	return text
}

// testLogger writes all levels to buffer.
func testLogger(buffer *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(buffer, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestWorkflowGoesOnAfterRestart(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	config := Config{Dir: t.TempDir(), Logger: testLogger(&log)}

	first := mustStart(t, config)
	require.NoError(t, first.Ping(t.Context()))
	connected, stop := mustWorker(t, first)
	options := client.StartWorkflowOptions{ID: "w", TaskQueue: queue, EnableEagerStart: true}
	_, err := connected.ExecuteWorkflow(t.Context(), options, waiting, "you")
	require.NoError(t, err)
	require.Equal(t, "hello you", mustRun(t, connected, greeting))
	stop()
	began := time.Now()
	first.Stop()
	require.Less(t, time.Since(began), stopTimeout)
	require.Error(t, first.Ping(t.Context()))

	second := mustStart(t, config)
	connected, stop = mustWorker(t, second)
	defer stop()
	require.NoError(t, connected.SignalWorkflow(t.Context(), "w", "", "go", "again"))
	var text string
	require.NoError(t, connected.GetWorkflow(t.Context(), "w", "").Get(t.Context(), &text))
	require.Equal(t, "hello you again", text)
	second.Stop()
	require.Empty(t, log.String(), "a healthy server logs nothing")
	require.Empty(t, second.Failed())
}

func TestServersSideBySide(t *testing.T) {
	t.Parallel()
	a := mustStart(t, Config{Dir: t.TempDir()})
	b := mustStart(t, Config{Dir: t.TempDir(), Profile: StartDev})
	require.NotEqual(t, a.Address(), b.Address())
	for _, server := range []*Server{a, b} {
		host, _, err := net.SplitHostPort(server.Address())
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1", host)
		connected, stop := mustWorker(t, server)
		defer stop()
		require.Equal(t, "hello you", mustRun(t, connected, greeting))
	}
}

func TestScheduleFires(t *testing.T) {
	t.Parallel()
	server := mustStart(t, Config{Dir: t.TempDir()})
	connected, stop := mustWorker(t, server)
	defer stop()
	handle, err := connected.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID:   "sweep",
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Second}}},
		Action: &client.ScheduleWorkflowAction{
			ID: "sweep", Workflow: greeting, Args: []any{"you"}, TaskQueue: queue,
		},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		described, err := handle.Describe(t.Context())
		return err == nil && len(described.Info.RecentActions) >= 2
	}, 20*time.Second, 50*time.Millisecond)
}

func TestDamagedVisibilityIsMadeAnew(t *testing.T) {
	t.Parallel()
	config := Config{Dir: t.TempDir()}
	path := filepath.Join(config.Dir, "visibility.db")

	first := mustStart(t, config)
	connected, stop := mustWorker(t, first)
	options := client.StartWorkflowOptions{ID: "w", TaskQueue: queue}
	_, err := connected.ExecuteWorkflow(t.Context(), options, waiting, "you")
	require.NoError(t, err)
	stop()
	first.Stop()

	damage(t, path)
	var log bytes.Buffer
	config.Logger = testLogger(&log)
	second := mustStart(t, config)
	require.Contains(t, log.String(), "made anew")
	connected, stop = mustWorker(t, second)
	defer stop()
	require.NoError(t, connected.SignalWorkflow(t.Context(), "w", "", "go", "again"))
	require.NoError(t, connected.GetWorkflow(t.Context(), "w", "").Get(t.Context(), nil))
	require.Eventually(t, func() bool {
		list, err := connected.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "ExecutionStatus = 'Completed'",
		})
		return err == nil && len(list.Executions) == 1
	}, 10*time.Second, 50*time.Millisecond, "what happens from now on is listed")
}

// damage overwrites all pages of a database but its header, after its journal
// has been moved into it.
func damage(tb testing.TB, path string) {
	tb.Helper()
	db, err := open(path)
	require.NoError(tb, err)
	_, err = db.ExecContext(tb.Context(), "PRAGMA wal_checkpoint(TRUNCATE)")
	require.NoError(tb, err)
	require.NoError(tb, db.Close())
	text, err := os.ReadFile(path)
	require.NoError(tb, err)
	for i := 4096; i < len(text); i++ {
		text[i] ^= 0x5a
	}
	require.NoError(tb, os.WriteFile(path, text, 0o600))
}

func TestRetentionIsApplied(t *testing.T) {
	t.Parallel()
	config := Config{Dir: t.TempDir()}
	for _, retention := range []time.Duration{0, 2 * time.Hour, 2 * time.Hour} {
		config.Retention = retention
		server := mustStart(t, config)
		found, err := server.client.WorkflowService().DescribeNamespace(t.Context(),
			&workflowservice.DescribeNamespaceRequest{Namespace: "runa"})
		require.NoError(t, err)
		want := config.withDefaults().Retention
		require.Equal(t, want, found.Config.WorkflowExecutionRetentionTtl.AsDuration())
		server.Stop()
	}
}

func TestTakenPortIsAnErrorNotAnExit(t *testing.T) {
	t.Parallel()
	config := Config{Dir: t.TempDir()}.withDefaults()
	stores, err := openStores(t.Context(), config)
	require.NoError(t, err)
	for _, service := range services {
		addresses, err := freeAddresses()
		require.NoError(t, err)
		taken, err := net.Listen("tcp", addresses.of(service))
		require.NoError(t, err)
		_, err = launchAt(addresses, config, stores)
		require.ErrorIs(t, err, errFatal, service)
		require.ErrorContains(t, err, "address already in use")
		require.NoError(t, taken.Close())
	}
}

func TestFreeAddressesDiffer(t *testing.T) {
	t.Parallel()
	addresses, err := freeAddresses()
	require.NoError(t, err)
	seen := map[int]primitives.ServiceName{}
	for service, port := range addresses {
		require.NotContains(t, seen, port)
		seen[port] = service
	}
	require.Len(t, seen, 4)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for want, config := range map[string]Config{
		"Dir":       {},
		"no such":   {Dir: filepath.Join(folder, "absent")},
		"folder":    {Dir: file},
		"Retention": {Dir: folder, Retention: time.Minute},
		"Profile":   {Dir: folder, Profile: 7},
	} {
		_, err := Start(t.Context(), config)
		require.ErrorContains(t, err, want)
	}
}

func TestLoggerFatalEndsOnlyItsGoroutine(t *testing.T) {
	t.Parallel()
	log := newServerLogger(slog.New(slog.DiscardHandler))
	err := log.run(func() error {
		log.Fatal("first")
		return fmt.Errorf("not reached")
	})
	require.ErrorIs(t, err, errFatal)
	require.ErrorContains(t, err, "first")
	require.NoError(t, log.run(func() error { return nil }))
}
