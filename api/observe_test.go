package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	otelcodes "go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"runa/schemas"
)

// traced is the API with a recorder of its spans.
func traced(t *testing.T) (*bench, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	b := setup(t, func(c *Config) {
		c.Traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	})
	return b, recorder
}

// ask sends a request with headers, in pairs, and returns the status.
func (b *bench) ask(t *testing.T, method, path, body string, headers ...string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, r)
	return w.Code
}

func valuesOf(span sdktrace.ReadOnlySpan) map[string]string {
	values := map[string]string{}
	for _, kv := range span.Attributes() {
		values[string(kv.Key)] = kv.Value.String()
	}
	return values
}

func TestASpanIsNamedByItsRoute(t *testing.T) {
	t.Parallel()
	b, recorder := traced(t)
	require.Equal(t, http.StatusNotFound, b.ask(t, "GET", "/v1/turns/msg_secret", "", "Authorization", "Bearer "+productKey, "X-Request-Id", "r-1"))
	require.Equal(t, http.StatusUnauthorized, b.ask(t, "GET", "/v1/turns/msg_secret", ""))
	spans := recorder.Ended()
	require.Len(t, spans, 2)
	require.Equal(t, "GET /v1/turns/:id", spans[0].Name())
	require.Equal(t, map[string]string{
		"http.request.method": "GET", "http.route": "/v1/turns/:id", "http.response.status_code": "404",
		"runa.request": "r-1", "runa.product": "prod_default",
	}, valuesOf(spans[0]))
	require.Equal(t, otelcodes.Unset, spans[0].Status().Code, "a caller's mistake is not our error")
	require.NotContains(t, valuesOf(spans[1]), "runa.product")
	require.NotEqual(t, spans[0].SpanContext().TraceID(), spans[1].SpanContext().TraceID())
}

func TestProbesAndWhatIsNoRouteAreNotTraced(t *testing.T) {
	t.Parallel()
	b, recorder := traced(t)
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/openapi.yaml", "/v1/nothing/here", "/"} {
		b.ask(t, "GET", path, "")
	}
	b.ask(t, "BREW", "/v1/chat", "")
	require.Empty(t, recorder.Started())
}

func TestACallersTraceIsTheParentAndNothingElseIsTaken(t *testing.T) {
	t.Parallel()
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for traceparent, known := range map[string]bool{
		"00-" + id + "-" + parent + "-01": true, "00-" + id + "-0000000000000000-01": false, "nonsense": false, "": false,
	} {
		b, recorder := traced(t)
		b.ask(t, "GET", "/v1/tools", "", "Traceparent", traceparent, "Tracestate", "vendor=word", "Baggage", "who=me")
		span := recorder.Ended()[0]
		require.Equal(t, known, span.SpanContext().TraceID().String() == id, traceparent)
		require.Equal(t, known, span.Parent().IsValid(), traceparent)
		require.Empty(t, span.SpanContext().TraceState().String())
	}
	b, recorder := traced(t)
	b.ask(t, "GET", "/v1/tools", "", "Traceparent", "00-"+id+"-"+parent+"-00")
	require.Empty(t, recorder.Ended(), "a caller may say that its trace is not kept")
}

func TestAFailureShowsInItsSpanWithoutItsText(t *testing.T) {
	t.Parallel()
	b, recorder := traced(t)
	b.engine.startTurn = func(context.Context, schemas.TurnInput) (bool, error) { panic("ZEBRA") }
	status := b.ask(t, "POST", "/v1/chat", `{"message":"ZEBRA"}`, "Authorization", "Bearer "+productKey)
	require.Equal(t, http.StatusInternalServerError, status)
	span := recorder.Ended()[0]
	require.Equal(t, otelcodes.Error, span.Status().Code)
	require.Empty(t, span.Status().Description)
	require.Empty(t, span.Events())
	require.Equal(t, "500", valuesOf(span)["error.type"])
	for _, value := range valuesOf(span) {
		require.NotContains(t, value, "ZEBRA")
	}
}

func TestAScrapeSurvivesTheRecords(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	scrape := func() string {
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.String()
	}
	text := scrape()
	for _, line := range []string{
		"runa_store_up 1", "runa_outbox_events 0", "runa_outbox_oldest_seconds 0", `runa_turns_open{status="queued"} 0`,
		`runa_turns_open{status="waiting"} 0`, `runa_db_connections_max{pool="write"} 1`, "go_goroutines", "process_open_fds",
	} {
		require.Contains(t, text, line)
	}
	require.NoError(t, b.Store.Close())
	text = scrape()
	require.Contains(t, text, "runa_store_up 0")
	require.NotContains(t, text, "runa_outbox_events", "no figure is better than a wrong one")
}
