// Package provider makes what the program's telemetry is sent with: the
// registry behind /metrics, the exporter of traces (OTLP over HTTP), and what
// Temporal's client and worker need to be a part of both. Only cmd imports it;
// everyone else is handed a prometheus.Registerer and a trace.TracerProvider.
// It sets none of OpenTelemetry's or Prometheus's globals.
package provider

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"runa/telemetry"
)

// Config says what is measured and where traces go.
type Config struct {
	// Version of the program, in runa_build_info and in traces. Default
	// "unknown".
	Version string
	// Tracing sends traces; nil sends none, which costs nothing.
	Tracing *Tracing
	// Log takes what goes wrong with the sending; nil discards it.
	Log *slog.Logger
}

// Telemetry is what the parts of the program are given. It is safe for
// concurrent use.
type Telemetry struct {
	// Registry takes metrics and is what Handler shows.
	Registry *prometheus.Registry
	// Traces makes tracers. It is never nil.
	Traces trace.TracerProvider
	// Observer is for the activities.
	Observer *telemetry.Observer

	metrics      client.MetricsHandler
	interceptors []interceptor.ClientInterceptor
	shutdown     func(context.Context) error
}

// New makes the telemetry of a process. Close ends it. A collector that does
// not answer is no error: spans are lost then, and counted.
func New(ctx context.Context, cfg Config) (*Telemetry, error) {
	if cfg.Version == "" {
		cfg.Version = "unknown"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Telemetry{Registry: telemetry.NewRegistry(cfg.Version), Traces: noop.NewTracerProvider()}
	t.metrics = newTemporalMetrics(t.Registry)
	if cfg.Tracing != nil {
		if err := t.openTracing(ctx, cfg); err != nil {
			return nil, fmt.Errorf("tracing: %w", err)
		}
	}
	t.Observer = telemetry.NewObserver(telemetry.ObserverConfig{Metrics: t.Registry, Traces: t.Traces})
	return t, nil
}

// Interceptors go into client.Options.Interceptors. Workers that are made with
// the client take them over, so they must not be given to a worker again.
func (t *Telemetry) Interceptors() []interceptor.ClientInterceptor { return t.interceptors }

// MetricsHandler goes into client.Options.MetricsHandler; workers take it from
// the client.
func (t *Telemetry) MetricsHandler() client.MetricsHandler { return t.metrics }

// Handler answers GET /metrics.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{})
}

// closeWithin bounds Close: a collector that is away must not hold a shutdown.
const closeWithin = 3 * time.Second

// Close sends the spans that have ended, for a few seconds at most. It comes
// after all that makes spans was closed.
func (t *Telemetry) Close(ctx context.Context) error {
	if t.shutdown == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	if err := t.shutdown(ctx); err != nil {
		return fmt.Errorf("end tracing: %w", err)
	}
	return nil
}
