package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/sdk/interceptor"

	"runa/telemetry"
)

// Tracing says where traces go.
type Tracing struct {
	// Endpoint is the base URL of a collector, to which /v1/traces is added,
	// such as http://localhost:4318. Default: what OpenTelemetry's own
	// variables say (OTEL_EXPORTER_OTLP_*, which the exporter reads, headers
	// and certificates too), else http://localhost:4318.
	Endpoint string
	// Ratio of the traces begun here that are kept, above 0 and up to 1.
	// Default 1. A request that comes with a trace is kept as its caller says.
	Ratio float64
	// Service names the process among others, such as runa-worker. Default
	// "runa", unless OTEL_SERVICE_NAME says otherwise.
	Service string
}

func (t Tracing) options() ([]otlptracehttp.Option, error) {
	if t.Ratio < 0 || t.Ratio > 1 {
		return nil, fmt.Errorf("the ratio of traces is from 0 to 1, not %v", t.Ratio)
	}
	if t.Endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the collector's address is a URL such as http://localhost:4318")
	}
	return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(u.JoinPath("v1/traces").String())}, nil
}

func (t *Telemetry) openTracing(ctx context.Context, cfg Config) error {
	tracing := *cfg.Tracing
	options, err := tracing.options()
	if err != nil {
		return err
	}
	if tracing.Ratio == 0 {
		tracing.Ratio = 1
	}
	otlp, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return err
	}
	exporter := &exporter{SpanExporter: otlp, log: cfg.Log, lost: telemetry.SpansLost.NewCounter().WithLabelValues()}
	t.Registry.MustRegister(exporter.lost)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(tracing.Ratio))),
		sdktrace.WithResource(describe(tracing.Service, cfg.Version)),
	)
	temporal, err := newInterceptor(provider)
	if err != nil {
		return errors.Join(err, provider.Shutdown(ctx))
	}
	t.Traces, t.shutdown = provider, provider.Shutdown
	t.interceptors = []interceptor.ClientInterceptor{temporal}
	return nil
}

// describe says what process spans come from. The SDK adds what
// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say.
func describe(service, version string) *resource.Resource {
	if service == "" {
		service = telemetry.Scope
	}
	return resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.version", version))
}

// exporter tells the operator of spans that were lost: once when it begins and
// once when it is over, not with every batch. By itself the SDK would tell a
// global handler, which prints past the log.
type exporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	lost    prometheus.Counter
	failing atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		e.lost.Add(float64(len(spans)))
	}
	switch was := e.failing.Swap(err != nil); {
	case err != nil && !was:
		e.log.Warn("traces are lost: the collector does not take them", "error", err)
	case err == nil && was:
		e.log.Info("the collector takes traces again")
	}
	return nil
}
