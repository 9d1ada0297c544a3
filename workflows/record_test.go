//go:build record

// Recording needs the whole Temporal server, which takes half a minute to
// link; the tag keeps it out of every other test of this package:
//
//	go test -tags record -run TestRecord ./workflows
//
// writes the histories of testdata anew.

package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/durationpb"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/embedded"
	"runa/llm"
	"runa/schemas"
	"runa/store"
	"runa/worker"
	"runa/workflows"
)

// haste is how much faster the timers of turns and purges run than they say.
const haste = 100

// rig is a real server with a worker, real storage and a scripted model.
type rig struct {
	*activitiestest.Bench
	t        *testing.T
	client   client.Client
	starter  *workflows.Client
	thinking chan string // turns whose model has begun to think for ever
	release  chan struct{}
}

func TestRecord(t *testing.T) {
	sdkworker.SetStickyWorkflowCacheSize(0) // a sticky queue is named after the machine
	t.Run("whole", func(t *testing.T) {
		r := newRig(t, 0)
		r.recordTurns()
		r.recordQueue()
		r.recordCanceled()
		r.recordCrawls()
		r.recordReindex()
		r.recordHousekeeping()
	})
	t.Run("short histories", func(t *testing.T) {
		r := newRig(t, 20)
		r.tools()
		turn := r.turn("s", "msg_rounds", "rounds")
		r.saveChain("turn", r.start(turn))
		r.saveChain("crawl", r.startCrawl(r.site(40, nil)))
	})
}

func newRig(t *testing.T, historyEvents int) *rig {
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), HistoryEvents: historyEvents})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	r := &rig{t: t, thinking: make(chan string, 1), release: make(chan struct{})}
	r.client, err = client.DialContext(t.Context(), client.Options{
		HostPort: server.Address(), Namespace: "runa", Identity: "recorder",
		Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(r.client.Close)
	r.starter = &workflows.Client{Temporal: r.client}
	r.Bench = activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Engine = r.starter
		cfg.Model = &activitiestest.Model{GenerateFunc: r.think}
	})
	for _, queue := range []string{workflows.TurnQueue, workflows.CrawlQueue} {
		w := sdkworker.New(r.client, queue, sdkworker.Options{
			BuildID: "recorded", Interceptors: []interceptor.WorkerInterceptor{&hurry{}}, //nolint:staticcheck // not deployed
			DisableRegistrationAliasing: true,
		})
		worker.Register(w, r.Activities)
		if queue == workflows.TurnQueue {
			w.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{
				Name: "ExportEvents", DisableAlreadyRegisteredCheck: true, // a shift takes ten minutes
			})
		}
		require.NoError(t, w.Start())
		t.Cleanup(w.Stop)
	}
	return r
}

// hurry lets the timers of turns and purges fire soon.
type hurry struct {
	interceptor.WorkerInterceptorBase
}

func (h *hurry) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &hurryInbound{}
	in.Next = next
	return in
}

type hurryInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (h *hurryInbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	hasty := &hurryOutbound{}
	hasty.Next = out
	return h.Next.Init(hasty)
}

type hurryOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (h *hurryOutbound) NewTimer(ctx workflow.Context, d time.Duration) workflow.Future {
	return h.Next.NewTimer(ctx, soon(ctx, d))
}

func (h *hurryOutbound) Sleep(ctx workflow.Context, d time.Duration) error {
	return h.Next.Sleep(ctx, soon(ctx, d))
}

func soon(ctx workflow.Context, d time.Duration) time.Duration {
	if workflow.GetInfo(ctx).WorkflowType.Name == "Crawl" {
		return d // it asks again until it is really late enough
	}
	return d / haste
}

// think does what the last user message says, until it has results.
func (r *rig) think(ctx context.Context, req *llm.Request) (*llm.Response, error) {
	last := req.Messages[len(req.Messages)-1]
	rounds, script := 0, ""
	for _, m := range req.Messages {
		switch m.Role {
		case llm.RoleUser:
			script, rounds = strings.TrimSuffix(m.Text, " "+secret), 0
		case llm.RoleTool:
			rounds++
		}
	}
	look := llm.Call{Name: "look", Arguments: json.RawMessage(`{"what":"` + secret + `"}`)}
	switch {
	case script == "slow":
		r.thinking <- script
		select {
		case <-r.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case script == "refuse":
		return nil, &llm.Error{Code: schemas.ModelRefused, Message: "the model refused"}
	case script == "rounds" && rounds < 5, script == "tool" && rounds == 0:
		return &llm.Response{Calls: []llm.Call{look}}, nil
	case script == "calls" && last.Role == llm.RoleUser:
		return &llm.Response{Calls: []llm.Call{
			look, {Name: "nobody", Arguments: json.RawMessage(`{}`)}, look, {Name: "look", Arguments: json.RawMessage(`{"what":7}`)},
		}}, nil
	}
	return &llm.Response{Text: "done " + secret}, nil
}

// tools registers one tool that answers.
func (r *rig) tools() {
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"found":%q}`, secret)
	}))
	r.t.Cleanup(endpoint.Close)
	r.Tool(r.t, schemas.ToolSpec{
		Name: "look", Description: "looks", Endpoint: endpoint.URL + "/{what}", Method: "GET",
		Headers: map[string]string{"Authorization": secret},
	})
}

func turnWorkflow(in schemas.TurnInput) string { return schemas.TurnWorkflowID(in.Product, in.Turn) }

func (r *rig) turn(session, turn, script string) schemas.TurnInput {
	return r.Draft(r.t, session, turn, script+" "+secret)
}

// start starts a turn as the API does, and gives its first run.
func (r *rig) start(in schemas.TurnInput) client.WorkflowRun {
	started, err := r.starter.StartTurn(r.t.Context(), in)
	require.NoError(r.t, err)
	require.True(r.t, started)
	desc, err := r.client.DescribeWorkflowExecution(r.t.Context(), turnWorkflow(in), "")
	require.NoError(r.t, err)
	return r.client.GetWorkflow(r.t.Context(), turnWorkflow(in), desc.GetWorkflowExecutionInfo().GetFirstRunId())
}

func (r *rig) await(in schemas.TurnInput, status schemas.TurnStatus) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		turn, err := r.Store.Turn(r.t.Context(), in.Product, in.Turn)
		return err == nil && turn.Status == status
	}, time.Minute, 10*time.Millisecond, "%s is not %s", in.Turn, status)
}

func (r *rig) recordTurns() {
	r.tools()
	for script, status := range map[string]schemas.TurnStatus{
		"plain": schemas.TurnCompleted, "tool": schemas.TurnCompleted, "calls": schemas.TurnCompleted, "refuse": schemas.TurnFailed,
	} {
		in := r.turn("s_"+script, "msg_"+script, script)
		require.NoError(r.t, r.start(in).Get(r.t.Context(), nil))
		r.await(in, status)
		r.save("turn-"+strings.Replace(script, "refuse", "failed", 1), turnWorkflow(in), "")
	}
	again := r.turn("s_plain", "msg_plain", "plain")
	started, err := r.starter.StartTurn(r.t.Context(), again)
	require.NoError(r.t, err)
	require.False(r.t, started, "the key is used")
	again.BodyHash = "another"
	_, err = r.starter.StartTurn(r.t.Context(), again)
	require.Equal(r.t, schemas.IdempotencyMismatch, schemas.CodeOf(err))
}

// recordQueue fills a session behind a turn that thinks.
func (r *rig) recordQueue() {
	holder := r.turn("s_queue", "msg_holder", "slow")
	held := r.start(holder)
	<-r.thinking
	var waiting []schemas.TurnInput
	for i := range schemas.MaxQueuedTurns {
		in := r.turn("s_queue", fmt.Sprintf("msg_queued%d", i), "plain")
		r.start(in)
		r.await(in, schemas.TurnQueued)
		waiting = append(waiting, in)
	}
	busy := r.turn("s_queue", "msg_busy", "plain")
	require.Error(r.t, r.start(busy).Get(r.t.Context(), nil))
	r.save("turn-busy", turnWorkflow(busy), "")
	r.release <- struct{}{}
	require.NoError(r.t, held.Get(r.t.Context(), nil))
	for _, in := range waiting {
		r.await(in, schemas.TurnCompleted)
	}
	r.save("turn-queued", turnWorkflow(waiting[0]), "")
	r.recordTimer()
}

// recordTimer loses the signal that offers a place.
func (r *rig) recordTimer() {
	ctx := r.t.Context()
	holder := r.Opened(r.t, "s_timer", "msg_without", "plain "+secret)
	in := r.turn("s_timer", "msg_timer", "plain")
	run := r.start(in)
	r.await(in, schemas.TurnQueued)
	_, err := r.Store.CloseTurn(ctx, holder.Product, holder.Turn, store.Closing{Status: schemas.TurnCompleted})
	require.NoError(r.t, err)
	require.NoError(r.t, run.Get(ctx, nil))
	r.save("turn-queued-timer", turnWorkflow(in), "")
}

func (r *rig) recordCanceled() {
	ctx := r.t.Context()
	holder := r.turn("s_cancel", "msg_thinks", "slow")
	thinks := r.start(holder)
	<-r.thinking
	queued := r.turn("s_cancel", "msg_waits", "plain")
	waits := r.start(queued)
	r.await(queued, schemas.TurnQueued)
	require.NoError(r.t, r.client.CancelWorkflow(ctx, turnWorkflow(queued), ""))
	require.NoError(r.t, waits.Get(ctx, nil))
	r.await(queued, schemas.TurnCanceled)
	require.NoError(r.t, r.client.CancelWorkflow(ctx, turnWorkflow(holder), ""))
	require.NoError(r.t, thinks.Get(ctx, nil))
	r.await(holder, schemas.TurnCanceled)
	r.save("turn-canceled-queued", turnWorkflow(queued), "")
	r.save("turn-canceled", turnWorkflow(holder), "")
}

// site is a help centre of n pages, all linked from its root. visit sees each
// request first and may answer it.
func (r *rig) site(n int, visit func(w http.ResponseWriter, req *http.Request) bool) string {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		page, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/page/"))
		switch {
		case visit != nil && visit(w, req):
		case req.URL.Path == "/":
			for i := range n {
				_, _ = fmt.Fprintf(w, `<a href="/page/%d">Page %d</a> `, i, i)
			}
			_, _ = fmt.Fprintf(w, `<h1>Help</h1><p>This is where the help %s of the product begins, with a link to each page.</p>`, secret)
		case err == nil && page < n:
			_, _ = fmt.Fprintf(w, `<h1>Page %d</h1><p>Here it says %s how the thing of number %d is done, step by step.</p>`, page, secret, page)
		default:
			http.NotFound(w, req)
		}
	}))
	r.t.Cleanup(site.Close)
	return site.URL
}

func (r *rig) startCrawl(site string) client.WorkflowRun {
	return r.runCrawl(r.Source(r.t, site, schemas.CrawlOptions{DelayMs: new(0)}))
}

func (r *rig) runCrawl(key activities.SourceKey) client.WorkflowRun {
	ctx := r.t.Context()
	require.NoError(r.t, r.starter.StartCrawl(ctx, key.Product, key.Source, key.Run))
	id := schemas.CrawlWorkflowID(key.Product, key.Source)
	desc, err := r.client.DescribeWorkflowExecution(ctx, id, "")
	require.NoError(r.t, err)
	return r.client.GetWorkflow(ctx, id, desc.GetWorkflowExecutionInfo().GetFirstRunId())
}

func (r *rig) recordReindex() {
	require.NoError(r.t, r.starter.StartReindex(r.t.Context()))
	require.NoError(r.t, r.client.GetWorkflow(r.t.Context(), schemas.ReindexWorkflowID, "").Get(r.t.Context(), nil))
	r.save("reindex", schemas.ReindexWorkflowID, "")
}

func (r *rig) recordCrawls() {
	ctx := r.t.Context()
	batches := r.Source(r.t, r.site(25, nil), schemas.CrawlOptions{DelayMs: new(0)})
	r.recordCrawl("batches", r.runCrawl(batches))

	r.recordCrawl("failed", r.startCrawl(r.site(0, func(w http.ResponseWriter, req *http.Request) bool {
		http.NotFound(w, req)
		return true
	})))
	var failed atomic.Bool
	r.recordCrawl("waits", r.startCrawl(r.site(3, func(w http.ResponseWriter, req *http.Request) bool {
		fails := req.URL.Path == "/page/1" && failed.CompareAndSwap(false, true)
		if fails {
			http.Error(w, "later", http.StatusServiceUnavailable)
		}
		return fails
	})))

	var key activities.SourceKey
	key = r.Source(r.t, r.site(3, func(_ http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/page/1" {
			_ = r.Store.DeleteSource(ctx, key.Product, key.Source)
		}
		return false
	}), schemas.CrawlOptions{DelayMs: new(0)})
	r.recordCrawl("deleted", r.runCrawl(key))

	hanging := make(chan struct{}, 10)
	canceled := r.startCrawl(r.site(0, func(_ http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/" {
			hanging <- struct{}{}
			<-req.Context().Done()
		}
		return false
	}))
	<-hanging
	require.NoError(r.t, r.client.CancelWorkflow(ctx, canceled.GetID(), ""))
	require.Error(r.t, canceled.Get(ctx, nil))
	r.save("crawl-canceled", canceled.GetID(), "")
	r.recordPurge(batches)
}

func (r *rig) recordCrawl(path string, run client.WorkflowRun) {
	require.NoError(r.t, run.Get(r.t.Context(), nil))
	r.save("crawl-"+path, run.GetID(), "")
}

func (r *rig) recordPurge(key activities.SourceKey) {
	ctx := r.t.Context()
	require.NoError(r.t, r.Store.DeleteSource(ctx, key.Product, key.Source))
	require.NoError(r.t, r.starter.StartPurge(ctx, key.Product, key.Source))
	id := schemas.PurgeWorkflowID(key.Product, key.Source)
	require.NoError(r.t, r.client.GetWorkflow(ctx, id, "").Get(ctx, nil))
	r.save("purge", id, "")
}

func (r *rig) recordHousekeeping() {
	ctx := r.t.Context()
	export, err := r.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "export-once", TaskQueue: workflows.TurnQueue}, workflows.Export)
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool {
		desc, err := r.client.DescribeWorkflowExecution(ctx, "export-once", export.GetRunID())
		return err == nil && desc.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
	}, time.Minute, 10*time.Millisecond)
	require.NoError(r.t, r.client.TerminateWorkflow(ctx, "export-once", "", "recorded"))
	r.save("export-continues", "export-once", export.GetRunID())
	sweep, err := r.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "sweep-once", TaskQueue: workflows.TurnQueue}, workflows.Sweep)
	require.NoError(r.t, err)
	require.NoError(r.t, sweep.Get(ctx, nil))
	r.save("sweep", "sweep-once", "")
}

// saveChain awaits a workflow that continues as new, and saves its first run
// and its last.
func (r *rig) saveChain(kind string, run client.WorkflowRun) {
	first := run.GetRunID() // waiting moves on to the next run
	require.NoError(r.t, run.Get(r.t.Context(), nil))
	r.save(kind+"-continues", run.GetID(), first)
	r.save(kind+"-continued", run.GetID(), "")
}

// save writes the history of a run, "" for the newest.
func (r *rig) save(path, id, run string) {
	history := &historypb.History{}
	events := r.client.GetWorkflowHistory(r.t.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(r.t, err)
		if timer := event.GetTimerStartedEventAttributes(); timer != nil && !strings.HasPrefix(path, "crawl") {
			timer.StartToFireTimeout = durationpb.New(timer.GetStartToFireTimeout().AsDuration() * haste)
		}
		history.Events = append(history.Events, event)
	}
	last := history.Events[len(history.Events)-1].EventType
	continues := last == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
	require.Equal(r.t, strings.HasSuffix(path, "-continues"), continues, "%s ends with %s", path, last)
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(history)
	require.NoError(r.t, err)
	require.True(r.t, slices.Contains(paths, path), path)
	require.NoError(r.t, os.MkdirAll("testdata", 0o750))
	require.NoError(r.t, os.WriteFile(filepath.Clean(historyFile(path)), append(text, '\n'), 0o600))
}
