package provider_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/api"
	"runa/embedded"
	"runa/llm"
	"runa/schemas"
	"runa/seal"
	"runa/telemetry"
	"runa/telemetry/provider"
	"runa/worker"
	"runa/workflows"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

// secrets are what a chat of these tests is made of, none of which may be in a
// trace or a metric.
var secrets = []string{"ZEBRA-question", "ZEBRA-reply", "ZEBRA-argument", "ZEBRA-result", "ZEBRA-failure", "ZEBRA-state"}

// chatter is a model that calls the tool "lookup" once, then fails once for
// now, then answers.
type chatter struct {
	mu     sync.Mutex
	failed bool
}

func (c *chatter) generate(_ context.Context, req *llm.Request) (*llm.Response, error) {
	usage := schemas.Usage{ModelCalls: 1, InputTokens: 11, OutputTokens: 7}
	if last := req.Messages[len(req.Messages)-1]; last.Role != llm.RoleTool {
		call := llm.Call{Name: "lookup", Arguments: json.RawMessage(`{"text":"ZEBRA-argument"}`)}
		return &llm.Response{Calls: []llm.Call{call}, Usage: usage, Model: "scripted-1"}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failed {
		c.failed = true
		return nil, &llm.Error{Code: schemas.ModelUnavailable, Message: "ZEBRA-failure", Retryable: true}
	}
	return &llm.Response{Text: "ZEBRA-reply", Usage: usage, Model: "scripted-1"}, nil
}

// program is all of Runa with its telemetry, on an engine of its own.
type program struct {
	*provider.Telemetry
	url, key string
	stop     func()
	// toolSaw are the headers that the tool got.
	toolSaw http.Header
}

func start(t *testing.T, tracing *provider.Tracing) *program {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	telemetry, err := provider.New(t.Context(), provider.Config{Version: "test", Tracing: tracing, Log: quiet})
	require.NoError(t, err)
	p := &program{Telemetry: telemetry}
	engine, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Logger: quiet})
	require.NoError(t, err)
	sealer, err := seal.Load(t.TempDir()+"/keyset.json", "")
	require.NoError(t, err)
	temporal, err := client.DialContext(t.Context(), client.Options{
		HostPort: engine.Address(), Namespace: "runa", Logger: log.NewStructuredLogger(quiet),
		DataConverter: sealer.DataConverter(), FailureConverter: sealer.FailureConverter(),
		Interceptors: p.Interceptors(), MetricsHandler: p.MetricsHandler(),
	})
	require.NoError(t, err)
	starter := &workflows.Client{Temporal: temporal}
	var server *api.Server
	model := &chatter{}
	bench := activitiestest.New(t, func(c *activities.Config) {
		c.Observer, c.Engine = p.Observer, starter
		c.Model = &activitiestest.Model{GenerateFunc: model.generate}
		c.Changed = func(turn string) { server.TurnChanged(turn) }
	})
	_, key, err := bench.Store.CreateKey(t.Context(), activitiestest.Product, "test")
	require.NoError(t, err)
	server, err = api.New(api.Config{
		Store: bench.Store, Engine: starter, Log: quiet, Metrics: p.Registry, Traces: p.Traces,
		Searcher: &activities.Retriever{Store: bench.Store, Index: bench.Index},
	})
	require.NoError(t, err)
	w, err := worker.Start(temporal, bench.Activities, worker.Config{})
	require.NoError(t, err)
	listener := httptest.NewServer(server.Handler())
	p.url, p.key = listener.URL, key
	p.addTool(t, bench)
	p.stop = sync.OnceFunc(func() {
		server.Close()
		listener.Close()
		w.Stop()
		temporal.Close()
		engine.Stop()
	})
	t.Cleanup(p.stop)
	return p
}

func (p *program) addTool(t *testing.T, bench *activitiestest.Bench) {
	t.Helper()
	tool := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.toolSaw = r.Header.Clone()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"found":"ZEBRA-result"}`)
	}))
	t.Cleanup(tool.Close)
	bench.Tool(t, schemas.ToolSpec{
		Name: "lookup", Description: "Looks up.", Endpoint: tool.URL, Method: "POST", Effect: schemas.EffectRead,
		Parameters: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`),
	})
}

// chat asks the question, as a part of a caller's trace, and returns the turn.
func (p *program) chat(t *testing.T) schemas.Turn {
	t.Helper()
	body := `{"message":"ZEBRA-question please","sessionId":"session-1"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/v1/chat", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
	req.Header.Set("Tracestate", "vendor=ZEBRA-state")
	req.Header.Set("Baggage", "who=ZEBRA-state")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
	var turn schemas.Turn
	require.NoError(t, json.Unmarshal(text, &turn))
	require.Equal(t, "ZEBRA-reply", turn.Reply)
	return turn
}

func (p *program) scrape(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

// shown are the metrics that there are, with the labels of each, sorted.
func (p *program) shown(t require.TestingT) map[string][]string {
	families, err := p.Registry.Gather()
	require.NoError(t, err)
	shown := map[string][]string{}
	for _, f := range families {
		shown[f.GetName()] = nil
		for _, label := range f.GetMetric()[0].GetLabel() {
			shown[f.GetName()] = append(shown[f.GetName()], label.GetName())
		}
	}
	return shown
}

func TestAChatIsOneTrace(t *testing.T) {
	t.Parallel()
	c := newCollector(t, http.StatusOK)
	p := start(t, &provider.Tracing{Endpoint: c.URL, Service: "runa-test"})
	turn := p.chat(t)
	p.stop()
	require.NoError(t, p.Close(t.Context()))

	require.Equal(t, "runa-test", c.resource["service.name"])
	require.Equal(t, "test", c.resource["service.version"])
	spans := c.of(t, callersTrace)
	request := spans.named(t, "POST /v1/chat")
	require.Equal(t, callersSpan, hex.EncodeToString(request.GetParentSpanId()), "the caller's span is the parent")
	began := []string{"POST /v1/chat", "StartWorkflow:Turn", "RunWorkflow:Turn"}
	require.Equal(t, append(slices.Clone(began), "StartActivity:CallTool", "RunActivity:CallTool", "execute_tool lookup"),
		spans.path(spans.named(t, "execute_tool lookup")))
	require.Equal(t, append(slices.Clone(began), "StartActivity:Think", "RunActivity:Think", "retrieval"),
		spans.path(spans.named(t, "retrieval")))
	require.Equal(t, append(slices.Clone(began), "StartActivity:CloseTurn", "RunActivity:CloseTurn"),
		spans.path(spans.named(t, "RunActivity:CloseTurn")))

	require.Subset(t, attributes(request.GetAttributes()), map[string]string{
		"http.request.method": "POST", "http.route": "/v1/chat", "http.response.status_code": "200", "runa.product": "prod_a",
	})
	require.Subset(t, attributes(spans.named(t, "execute_tool lookup").GetAttributes()), map[string]string{
		"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup", "gen_ai.conversation.id": "session-1",
		"runa.product": "prod_a", "runa.turn": turn.ID, "runa.step": "1", "runa.outcome": "succeeded",
	})
	var chats []map[string]string
	for _, s := range spans {
		if s.GetName() == "chat scripted" {
			require.Equal(t, append(slices.Clone(began), "StartActivity:Think", "RunActivity:Think", "chat scripted"), spans.path(s))
			chats = append(chats, attributes(s.GetAttributes()))
		}
	}
	require.Len(t, chats, 3, "a call, a failure and a reply")
	require.True(t, slices.ContainsFunc(chats, func(a map[string]string) bool {
		return a["runa.step"] == "2" && a["error.type"] == "model_unavailable"
	}))
	require.True(t, slices.ContainsFunc(chats, func(a map[string]string) bool {
		return a["runa.step"] == "1" && a["runa.tool_calls"] == "1" && a["gen_ai.operation.name"] == "chat" &&
			a["gen_ai.provider.name"] == "scripted" && a["gen_ai.request.model"] == "scripted" && a["gen_ai.response.model"] == "scripted-1" &&
			a["gen_ai.usage.input_tokens"] == "11" && a["gen_ai.usage.output_tokens"] == "7" && a["gen_ai.conversation.id"] == "session-1"
	}))

	for _, secret := range secrets {
		require.NotContains(t, string(c.raw), secret)
	}
	require.NotContains(t, string(c.raw), p.key)
	require.NotEmpty(t, p.toolSaw)
	for _, header := range []string{"Traceparent", "Tracestate", "Baggage"} {
		require.Empty(t, p.toolSaw.Values(header), "a tool is a third party")
	}
}

// unseen are metrics that a chat without a fault does not show.
var unseen = []string{
	"runa_crawl_pages_total", "runa_trace_spans_lost_total", "temporal_request_failure_total",
	"temporal_request_resource_exhausted_total", "temporal_long_request_failure_total", "temporal_workflow_failed_total",
	"temporal_workflow_canceled_total", "temporal_workflow_continue_as_new_total", "temporal_workflow_task_replay_latency_seconds",
	"temporal_workflow_task_execution_failed_total", "temporal_local_activity_execution_failed_total",
	"temporal_sticky_cache_miss_total", "temporal_sticky_cache_total_forced_eviction_total",
}

func TestMetricsAreThoseThatAreDocumented(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	require.Empty(t, p.Interceptors(), "tracing that is off is not in the way")
	p.chat(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		shown := p.shown(c)
		missing := slices.DeleteFunc(telemetry.MetricNames(), func(name string) bool {
			_, found := shown[name]
			return found || slices.Contains(unseen, name)
		})
		require.Empty(c, missing)
	}, 10*time.Second, 50*time.Millisecond)

	for name, labels := range p.shown(t) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		i := slices.IndexFunc(telemetry.Metrics(), func(m telemetry.Metric) bool { return m.Name == name })
		require.NotEqual(t, -1, i, "%s is not documented", name)
		documented := slices.Clone(telemetry.Metrics()[i].Labels)
		slices.Sort(documented)
		require.Equal(t, documented, labels, name)
	}
	text := p.scrape(t)
	for _, line := range []string{
		`runa_turn_seconds_count{status="completed"} 1`, `runa_turn_first_step_seconds_count 1`,
		`runa_model_call_seconds_count{model="scripted",outcome="model_unavailable"} 1`,
		`runa_model_call_seconds_count{model="scripted",outcome="ok"} 2`,
		`runa_model_tokens_total{direction="input",model="scripted"} 22`, `runa_tool_call_seconds_count{outcome="succeeded"} 1`,
		`runa_retrieval_seconds_count{outcome="ok"} 1`, `runa_store_up 1`, `runa_turns_open{status="running"} 0`,
		`temporal_worker_task_slots_available{task_queue="runa-crawl",worker_type="ActivityWorker"}`,
		`temporal_activity_execution_failed_total{activity_type="Think",task_queue="runa"} 1`,
	} {
		require.Contains(t, text, line)
	}
	// No export runs here, so the chat's events wait.
	require.Regexp(t, `(?m)^runa_outbox_events [1-9]`, text)
	require.Regexp(t, `(?m)^runa_outbox_oldest_seconds [0-9.e-]*[1-9]`, text)
	for _, secret := range append([]string{"prod_a", "msg_", "session-1", "lookup", p.key}, secrets...) {
		require.NotContains(t, text, secret, "no label is a product's or a caller's word")
	}
}
