package provider_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/telemetry"
	"runa/telemetry/provider"
)

func TestTracingIsRefusedWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, tracing := range map[string]provider.Tracing{
		"a ratio above 1": {Ratio: 1.5}, "a ratio below 0": {Ratio: -1},
		"no URL": {Endpoint: "localhost:4318"}, "no host": {Endpoint: "http://"}, "another scheme": {Endpoint: "ftp://localhost"},
		"a broken URL with a password": {Endpoint: "http://user:hunter2@local host"},
	} {
		_, err := provider.New(t.Context(), provider.Config{Tracing: &tracing})
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hunter2", name)
	}
}

// span makes a span, so that there is something to send.
func span(t *testing.T, p *provider.Telemetry) {
	t.Helper()
	_, done := p.Observer.Tool(t.Context(), telemetry.Place{Turn: "msg_1"}, "lookup", "call_1")
	done("succeeded", "")
}

func TestACollectorThatRefusesIsToldOfOnce(t *testing.T) {
	t.Parallel()
	c := newCollector(t, http.StatusBadRequest)
	var log bytes.Buffer
	p, err := provider.New(t.Context(), provider.Config{
		Tracing: &provider.Tracing{Endpoint: c.URL + "/"}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	flusher, ok := p.Traces.(interface{ ForceFlush(context.Context) error })
	require.True(t, ok)
	for range 3 {
		span(t, p)
		require.NoError(t, flusher.ForceFlush(t.Context()))
	}
	require.Equal(t, 1, strings.Count(log.String(), "traces are lost"), "%s", log.String())
	families, err := p.Registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == telemetry.SpansLost.Name {
			require.InDelta(t, 3, f.GetMetric()[0].GetCounter().GetValue(), 0)
		}
	}
	c.answer = http.StatusOK
	span(t, p)
	require.NoError(t, p.Close(t.Context()))
	require.Contains(t, log.String(), "takes traces again")
}

func TestACollectorThatIsAwayHoldsNoShutdown(t *testing.T) {
	t.Parallel()
	c := newCollector(t, http.StatusOK)
	c.Close()
	p, err := provider.New(t.Context(), provider.Config{Tracing: &provider.Tracing{Endpoint: c.URL}})
	require.NoError(t, err)
	span(t, p)
	began := time.Now()
	_ = p.Close(t.Context()) // whether it fails is the collector's affair
	require.Less(t, time.Since(began), 5*time.Second)
}

func TestNothingIsSentWithoutTracing(t *testing.T) {
	t.Parallel()
	p, err := provider.New(t.Context(), provider.Config{})
	require.NoError(t, err)
	span(t, p)
	require.Empty(t, p.Interceptors())
	require.NoError(t, p.Close(t.Context()))
}

func TestARatioKeepsAPart(t *testing.T) {
	t.Parallel()
	c := newCollector(t, http.StatusOK)
	p, err := provider.New(t.Context(), provider.Config{Tracing: &provider.Tracing{Endpoint: c.URL, Ratio: 0.1}})
	require.NoError(t, err)
	for range 1000 {
		span(t, p)
	}
	require.NoError(t, p.Close(t.Context()))
	require.Greater(t, len(c.spans), 40)
	require.Less(t, len(c.spans), 200)
}
