package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestRetryIsPrompt sees that a short pause before a retry is short: by
// Temporal's defaults no timer fires within its first second.
func TestRetryIsPrompt(t *testing.T) {
	t.Parallel()
	connected, stop := mustWorker(t, mustStart(t, Config{Dir: t.TempDir()}))
	defer stop()
	const attempts = 5
	fail := func(ctx context.Context) error {
		if activity.GetInfo(ctx).Attempt < attempts {
			return errors.New("not yet")
		}
		return nil
	}
	retrying := func(ctx workflow.Context) error {
		return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: 10 * time.Second,
			RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 20 * time.Millisecond, BackoffCoefficient: 1},
		}), fail).Get(ctx, nil)
	}
	w := worker.New(connected, "retry", worker.Options{})
	w.RegisterWorkflow(retrying)
	w.RegisterActivity(fail)
	require.NoError(t, w.Start())
	defer w.Stop()
	began := time.Now()
	run, err := connected.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "retry"}, retrying)
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	require.Less(t, time.Since(began), attempts*500*time.Millisecond)
}

// TestFolderOfAnyName sees that the files are in their folder, whatever its
// name means in a URI.
func TestFolderOfAnyName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "100%25 of #1?x=y")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for range 2 {
		server := mustStart(t, Config{Dir: dir})
		connected, stop := mustWorker(t, server)
		require.Equal(t, "hello you", mustRun(t, connected, greeting))
		stop()
		server.Stop()
	}
	require.FileExists(t, filepath.Join(dir, "temporal.db"))
	require.FileExists(t, filepath.Join(dir, "visibility.db"))
	beside, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, beside, 1)
}
