package telemetry_test

import (
	"database/sql"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"runa/telemetry"
)

func TestMetricsFollowTheRulesOfNames(t *testing.T) {
	t.Parallel()
	name, label := regexp.MustCompile(`^(runa|temporal)_[a-z_]+$`), regexp.MustCompile(`^[a-z_]+$`)
	seen := map[string]bool{}
	for _, m := range telemetry.Metrics() {
		require.Regexp(t, name, m.Name)
		require.NotEmpty(t, m.Help, m.Name)
		require.False(t, seen[m.Name], "%s is there twice", m.Name)
		seen[m.Name] = true
		require.Equal(t, m.Kind == telemetry.Counter, strings.HasSuffix(m.Name, "_total"), m.Name)
		require.Equal(t, m.Kind == telemetry.Histogram, len(m.Buckets) > 0, m.Name)
		for _, l := range m.Labels {
			require.Regexp(t, label, l, m.Name)
		}
	}
	require.Len(t, telemetry.MetricNames(), len(seen))
}

func TestSpansAreNamedByTheConventions(t *testing.T) {
	t.Parallel()
	require.Equal(t, "chat extractive", telemetry.ChatSpan("extractive"))
	require.Equal(t, "chat gemini-2.5-pro", telemetry.ChatSpan("gemini/gemini-2.5-pro"))
	require.Equal(t, "chat meta/llama", telemetry.ChatSpan("openai/meta/llama"))
	require.Equal(t, "execute_tool get_order", telemetry.ToolSpan("get_order"))
	require.Equal(t, "GET /v1/turns/:id", telemetry.HTTPSpan("GET", "/v1/turns/:id"))
}

func TestObserverOfNobody(t *testing.T) {
	t.Parallel()
	o := telemetry.NewObserver(telemetry.ObserverConfig{})
	ctx, done := o.Chat(t.Context(), telemetry.Place{}, "extractive")
	require.NoError(t, ctx.Err())
	done(telemetry.Answer{Failure: "model_unavailable"})
	_, ended := o.Tool(t.Context(), telemetry.Place{}, "tool", "call")
	ended("lost", "timeout")
	_, found := o.Retrieval(t.Context(), telemetry.Place{})
	found(telemetry.RetrievalDegraded, 0)
	o.FirstStep(time.Second)
	o.TurnEnded("completed", time.Second)
	o.Page("indexed")
}

func TestObserverCounts(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	o := telemetry.NewObserver(telemetry.ObserverConfig{Metrics: r})
	_, done := o.Chat(t.Context(), telemetry.Place{}, "gemini/flash")
	done(telemetry.Answer{Failure: "rate_limited", InputTokens: 5})
	_, done = o.Chat(t.Context(), telemetry.Place{}, "gemini/flash")
	done(telemetry.Answer{InputTokens: 3, OutputTokens: 2})
	o.Page("robots")
	o.Page("robots")
	o.TurnEnded("failed", -time.Second)
	text := scrape(t, r)
	for _, line := range []string{
		`runa_model_tokens_total{direction="input",model="gemini/flash"} 3`,
		`runa_model_tokens_total{direction="output",model="gemini/flash"} 2`,
		`runa_model_call_seconds_count{model="gemini/flash",outcome="rate_limited"} 1`,
		`runa_model_call_seconds_count{model="gemini/flash",outcome="ok"} 1`,
		`runa_crawl_pages_total{reason="robots"} 2`,
		`runa_turn_seconds_sum{status="failed"} 0`, // a clock that went back takes nothing away
		`runa_turn_seconds_count{status="failed"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
}

// scrape is what a registry shows.
func scrape(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	require.Equal(t, 200, w.Code)
	return w.Body.String()
}

func TestPools(t *testing.T) {
	t.Parallel()
	pools := telemetry.NewPools(func() map[string]sql.DBStats {
		return map[string]sql.DBStats{"all": {MaxOpenConnections: 9, InUse: 4, Idle: 2, WaitCount: 7, WaitDuration: 1500 * time.Millisecond}}
	})
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(pools))
	text := scrape(t, r)
	for _, line := range []string{
		`runa_db_connections{pool="all",state="in_use"} 4`, `runa_db_connections{pool="all",state="idle"} 2`,
		`runa_db_connections_max{pool="all"} 9`, `runa_db_waits_total{pool="all"} 7`, `runa_db_wait_seconds_total{pool="all"} 1.5`,
	} {
		require.Contains(t, text, line+"\n")
	}
}

func TestARegistryShowsTheProcessOnce(t *testing.T) {
	t.Parallel()
	r := telemetry.NewRegistry("1.2.3")
	require.NotPanics(t, func() { telemetry.ShowProcess(r) })
	families, err := r.Gather()
	require.NoError(t, err)
	names := map[string]int{}
	for _, f := range families {
		names[f.GetName()]++
	}
	require.Equal(t, 1, names["go_goroutines"])
	require.Equal(t, 1, names["runa_build_info"])
}
