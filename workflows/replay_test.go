package workflows_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/prototext"

	"runa/schemas"
	"runa/workflows"
)

// paths are the ways that workflows go, each a history in testdata that
// record_test.go recorded from a real server. A change to a workflow must
// replay all of them: turns of this kind may be under way when it is deployed.
var paths = []string{
	"crawl-batches", "crawl-canceled", "crawl-continued", "crawl-continues", "crawl-deleted", "crawl-failed", "crawl-waits",
	"export-continues", "purge", "reindex", "sweep",
	"turn-busy", "turn-calls", "turn-canceled", "turn-canceled-queued", "turn-continued", "turn-continues", "turn-failed",
	"turn-plain", "turn-queued", "turn-queued-timer", "turn-tool",
}

// nondeterministic is Temporal's number for a workflow that does something else
// than its history.
const nondeterministic = "TMPRL1100"

var noLog = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

func historyFile(path string) string { return filepath.Join("testdata", path+".json") }

func TestEveryHistoryIsAPath(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(historyFile("*"))
	require.NoError(t, err)
	var recorded []string
	for _, file := range files {
		recorded = append(recorded, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	slices.Sort(recorded)
	require.Equal(t, paths, recorded)
}

func TestReplay(t *testing.T) {
	t.Parallel()
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			replayer := sdkworker.NewWorkflowReplayer()
			replayer.RegisterWorkflow(workflows.Turn)
			replayer.RegisterWorkflow(workflows.Crawl)
			replayer.RegisterWorkflow(workflows.Purge)
			replayer.RegisterWorkflow(workflows.Reindex)
			replayer.RegisterWorkflow(workflows.Export)
			replayer.RegisterWorkflow(workflows.Sweep)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(noLog, historyFile(path)))
		})
	}
}

// A workflow that does something else first must fail each replay, or
// TestReplay would say nothing.
func TestReplayFailsForAChangedWorkflow(t *testing.T) {
	t.Parallel()
	changed := func(ctx workflow.Context) error { return workflow.Sleep(ctx, time.Second) }
	for _, path := range paths {
		replayer := sdkworker.NewWorkflowReplayer()
		for _, name := range []string{"Turn", "Crawl", "Purge", "Reindex", "Export", "Sweep"} {
			replayer.RegisterWorkflowWithOptions(changed, workflow.RegisterOptions{Name: name})
		}
		require.ErrorContains(t, replayer.ReplayWorkflowHistoryFromJSONFile(noLog, historyFile(path)), nondeterministic, path)
	}
}

// A turn that closes without asking the model differs late, and is found too.
func TestReplayFailsForATurnThatThinksLess(t *testing.T) {
	t.Parallel()
	replayer := sdkworker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(func(ctx workflow.Context, in schemas.TurnInput) error {
		local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Second})
		return workflow.ExecuteLocalActivity(local, "OpenTurn", in).Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "Turn"})
	require.ErrorContains(t, replayer.ReplayWorkflowHistoryFromJSONFile(noLog, historyFile("turn-plain")), nondeterministic)
}

// secret is in every message, page and header of the recording: what is
// someone's must not travel through a history.
const secret = "TOP-SECRET"

func TestHistoriesHoldNoContent(t *testing.T) {
	t.Parallel()
	for _, path := range paths {
		file, err := os.Open(historyFile(path))
		require.NoError(t, err)
		history, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
		require.NoError(t, file.Close())
		require.NoError(t, err, path)
		text := prototext.Format(history)
		require.NotContains(t, text, secret, path)
		if path != "sweep" && path != "reindex" && path != "export-continues" {
			require.Contains(t, text, "prod_a", "ids are there, so payloads can be read here")
		}
	}
}
