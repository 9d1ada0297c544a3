package embedded

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// processVariable carries the configuration of a cluster's process to this test
// binary, which then is that process.
const processVariable = "RUNA_TEST_CLUSTER_PROCESS"

// startTimeout bounds a start, on a machine that runs all tests at once.
const startTimeout = time.Minute

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(processVariable); ok {
		if err := process(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// process runs services until it is told to stop, and prints the address of the
// frontend once they are ready.
func process(text string) error {
	var config ClusterConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	server, err := StartCluster(starting, config)
	if err != nil {
		return err
	}
	fmt.Println("ready", server.Address())
	select {
	case <-ctx.Done():
		server.Stop()
		return nil
	case err := <-server.Failed():
		return err
	}
}

// mustClusterConfig is a cluster of its own on the server of the tests.
func mustClusterConfig(tb testing.TB) ClusterConfig {
	tb.Helper()
	url := os.Getenv("RUNA_TEST_DATABASE_URL")
	if url == "" {
		tb.Skip("RUNA_TEST_DATABASE_URL is not set; `make test-services` sets it")
	}
	config := ClusterConfig{
		DatabaseURL: url, DatabasePrefix: "t_" + strings.ToLower(rand.Text()) + "_",
		Listen: "127.0.0.1:0", NumHistoryShards: 4, MaxConns: 6,
	}
	tb.Cleanup(func() {
		for _, name := range []string{"temporal", "temporal_visibility"} {
			mustExec(tb, url, "DROP DATABASE IF EXISTS "+quoted(config.DatabasePrefix+name)+" WITH (FORCE)")
		}
	})
	return config
}

// mustExec runs one statement on the database of url.
func mustExec(tb testing.TB, url, statement string) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	connection, err := pgx.Connect(ctx, url)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, connection.Close(ctx)) }()
	_, err = connection.Exec(ctx, statement)
	require.NoError(tb, err)
}

func mustStartCluster(tb testing.TB, config ClusterConfig) *Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	server, err := StartCluster(ctx, config)
	require.NoError(tb, err)
	tb.Cleanup(server.Stop)
	return server
}

// child is a process of a cluster.
type child struct {
	command *exec.Cmd
	address string
	log     *lockedBuffer
}

// startChild starts services in a process of their own; ready waits for them.
func startChild(tb testing.TB, config ClusterConfig, services ...string) (started *child, ready func()) {
	tb.Helper()
	config.Services = services
	text, err := json.Marshal(config)
	require.NoError(tb, err)
	started = &child{command: exec.Command(os.Args[0]), log: new(lockedBuffer)}
	started.command.Env = append(os.Environ(), processVariable+"="+string(text))
	started.command.Stderr = started.log
	output, err := started.command.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, started.command.Start())
	tb.Cleanup(started.kill)
	return started, func() {
		tb.Helper()
		line, err := bufio.NewReader(output).ReadString('\n')
		require.NoError(tb, err, "%v: %s", services, started.log)
		started.address = strings.TrimSpace(strings.TrimPrefix(line, "ready"))
	}
}

func (c *child) kill() {
	_ = c.command.Process.Kill()
	_, _ = c.command.Process.Wait()
}

// lockedBuffer may be written and read at once.
type lockedBuffer struct {
	lock sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.String()
}

func TestClusterInOneProcess(t *testing.T) {
	t.Parallel()
	config := mustClusterConfig(t)
	began := time.Now()
	first := mustStartCluster(t, config)
	t.Logf("ready on a fresh database after %s", time.Since(began))
	require.NoError(t, first.Ping(t.Context()))
	connected, stop := mustWorker(t, first)
	_, err := connected.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "w", TaskQueue: queue}, waiting, "you")
	require.NoError(t, err)
	require.Equal(t, "hello you", mustRun(t, connected, greeting))
	stop()
	began = time.Now()
	first.Stop()
	require.Less(t, time.Since(began), stopTimeout)
	require.Error(t, first.Ping(t.Context()))

	config.Retention = 5 * time.Hour
	began = time.Now()
	second := mustStartCluster(t, config)
	t.Logf("ready on the same database after %s", time.Since(began))
	connected, stop = mustWorker(t, second)
	defer stop()
	require.NoError(t, connected.SignalWorkflow(t.Context(), "w", "", "go", "again"))
	require.NoError(t, connected.GetWorkflow(t.Context(), "w", "").Get(t.Context(), nil))
	require.Eventually(t, func() bool {
		list, err := connected.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Completed'"})
		return err == nil && len(list.Executions) == 2
	}, 10*time.Second, 50*time.Millisecond)
	found, err := connected.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: "runa"})
	require.NoError(t, err)
	require.Equal(t, 5*time.Hour, found.Config.WorkflowExecutionRetentionTtl.AsDuration())
}
