// Package bench measures what Runa costs: a turn beside the same turn on an
// engine as it comes, and the whole process. `make bench` runs it. Figures are
// printed; compare ratios of one run only.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"

	"runa/activities"
	analyticssqlite "runa/analytics/sqlite"
	"runa/api"
	"runa/crawl"
	"runa/embedded"
	"runa/llm"
	"runa/outbound"
	"runa/schemas"
	"runa/seal"
	searchsqlite "runa/search/sqlite"
	"runa/store"
	"runa/tool"
	"runa/worker"
	"runa/workflows"
)

// instant is a model that costs no time: a message "N" makes N rounds of one
// tool call each, then it is done.
type instant struct{}

// Name implements llm.Model.
func (instant) Name() string { return "instant" }

// Generate implements llm.Model.
func (instant) Generate(_ context.Context, req *llm.Request, _ func(string)) (*llm.Response, error) {
	wanted, rounds := 0, 0
	for _, m := range req.Messages {
		switch m.Role {
		case llm.RoleUser:
			wanted, _ = strconv.Atoi(strings.TrimSpace(m.Text)) // a message that is no number wants none
			rounds = 0
		case llm.RoleTool:
			rounds++
		}
	}
	if rounds < wanted {
		return &llm.Response{Calls: []llm.Call{{Name: "tick", Arguments: json.RawMessage(`{}`)}}}, nil
	}
	return &llm.Response{Text: "done"}, nil
}

// plainStart takes the eager start, which is a part of the tuning, out of a
// client's requests.
type plainStart struct {
	interceptor.ClientInterceptorBase
}

// InterceptClient implements interceptor.ClientInterceptor.
func (*plainStart) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return &plainStarter{interceptor.ClientOutboundInterceptorBase{Next: next}}
}

type plainStarter struct {
	interceptor.ClientOutboundInterceptorBase
}

// ExecuteWorkflow implements interceptor.ClientOutboundInterceptor.
func (p *plainStarter) ExecuteWorkflow(ctx context.Context, in *interceptor.ClientExecuteWorkflowInput) (client.WorkflowRun, error) {
	in.Options.EnableEagerStart = false
	return p.Next.ExecuteWorkflow(ctx, in)
}

// stack is the program without its model, on an engine of a profile.
type stack struct {
	url, key string
}

func newStack(b *testing.B, profile embedded.Profile) *stack {
	b.Helper()
	ctx, dir := b.Context(), b.TempDir()
	quiet := slog.New(slog.DiscardHandler)
	sealer, err := seal.Load(filepath.Join(dir, "keyset.json"), "")
	require.NoError(b, err)
	st, err := store.Open(ctx, store.Config{Path: filepath.Join(dir, "runa.db"), Migrate: true, Sealer: sealer})
	require.NoError(b, err)
	index, err := searchsqlite.Open(ctx, searchsqlite.Config{Path: filepath.Join(dir, "search.db")})
	require.NoError(b, err)
	figures, err := analyticssqlite.Open(ctx, analyticssqlite.Config{Dir: filepath.Join(dir, "analytics")})
	require.NoError(b, err)
	engine, err := embedded.Start(ctx, embedded.Config{Dir: dir, Profile: profile})
	require.NoError(b, err)
	options := client.Options{
		HostPort: engine.Address(), Namespace: "runa", Logger: log.NewStructuredLogger(quiet),
		DataConverter: sealer.DataConverter(), FailureConverter: sealer.FailureConverter(),
	}
	if profile == embedded.StartDev {
		options.Interceptors = []interceptor.ClientInterceptor{&plainStart{}}
	}
	temporal, err := client.DialContext(ctx, options)
	require.NoError(b, err)
	policy, err := outbound.NewPolicy([]string{"127.0.0.0/8"})
	require.NoError(b, err)
	tools := tool.New(tool.Config{Client: policy.Client(outbound.ClientConfig{})})
	fetcher, err := crawl.New(crawl.Config{Client: policy.Client(outbound.ClientConfig{})})
	require.NoError(b, err)
	starter := &workflows.Client{Temporal: temporal}
	server, err := api.New(api.Config{
		Store: st, Engine: starter, Analytics: figures, Log: quiet, RatePerSecond: 1e6, RateBurst: 1e6,
		Searcher: &activities.Retriever{Store: st, Index: index}, Tester: &activities.ToolTester{Store: st, Tools: tools},
		Decode: sealer.OpenPayloads,
	})
	require.NoError(b, err)
	w, err := worker.Start(temporal, activities.New(activities.Config{
		Store: st, Index: index, Analytics: figures, Model: instant{}, Tools: tools, Fetcher: fetcher,
		Engine: starter, Log: quiet, Changed: server.TurnChanged,
	}), worker.Config{})
	require.NoError(b, err)
	require.NoError(b, starter.StartHousekeeping(ctx))
	listener := httptest.NewServer(server.Handler())
	ticks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }))
	b.Cleanup(func() {
		ticks.Close()
		server.Close()
		listener.Close()
		w.Stop()
		temporal.Close()
		engine.Stop()
		_ = figures.Close() // the folder is thrown away
		_ = index.Close()
		_ = st.Close()
	})
	s := &stack{url: listener.URL, key: "bench-key-0123456789-0123456789-0123"}
	_, err = st.Bootstrap(ctx, s.key, "")
	require.NoError(b, err)
	s.post(b, "/v1/tools", schemas.ToolSpec{Name: "tick", Description: "Ticks.", Endpoint: ticks.URL, Method: "GET"})
	return s
}

// turn sends a message that makes the model call the tool so many times.
func (s *stack) turn(b *testing.B, session string, calls int) {
	s.post(b, "/v1/chat", map[string]any{"sessionId": session, "message": strconv.Itoa(calls)})
}

func (s *stack) post(b *testing.B, path string, body any) {
	b.Helper()
	text, err := json.Marshal(body)
	require.NoError(b, err)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url+path, bytes.NewReader(text))
	require.NoError(b, err)
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.NoError(b, resp.Body.Close())
	require.Equal(b, http.StatusOK, resp.StatusCode, "%s", answer)
}
