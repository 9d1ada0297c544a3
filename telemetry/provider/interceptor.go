package provider

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"runa/telemetry"
)

// newInterceptor carries traces through workflows. The trace's ids travel in
// the headers of workflows and activities, which are not encrypted and hold
// nothing else. A replay does not look at headers, so tracing may be turned on
// and off while workflows run.
//
// The span of a workflow is made by the worker that runs it, and again by the
// worker that replays it after a crash or when it left the cache: a trace may
// show RunWorkflow twice, or miss the one that a crash cut short.
func newInterceptor(traces trace.TracerProvider) (interceptor.Interceptor, error) {
	return opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: traces.Tracer("temporal-sdk-go"),
		// A signal between turns is a hint; as a span it would tie the trace of
		// one turn to that of the next.
		DisableSignalTracing: true,
		DisableQueryTracing:  true,
		DisableUpdateTracing: true,
		// Baggage is a caller's text.
		DisableBaggage:    true,
		TextMapPropagator: propagation.TraceContext{},
		// By default a header that cannot be read fails the workflow's task,
		// and a trace must never cost a turn.
		AllowInvalidParentSpans: true,
		SpanStarter:             startDiscreet,
	})
}

// startDiscreet starts a span that takes no text of errors.
func startDiscreet(ctx context.Context, t trace.Tracer, name string, opts ...trace.SpanStartOption) trace.Span {
	_, span := t.Start(ctx, name, opts...)
	return &discreet{Span: span}
}

// discreet is a span of Temporal's interceptor, which records an error with
// its text. An error's text may hold what a model or a tool said, so its code
// stands in for it.
type discreet struct {
	trace.Span
	// continued says that the workflow did not fail but goes on in a new run.
	continued bool
}

// RecordError implements trace.Span.
func (d *discreet) RecordError(err error, _ ...trace.EventOption) {
	if d.continued = workflow.IsContinueAsNewError(err); err != nil && !d.continued {
		d.SetAttributes(telemetry.KeyErrorType.String(codeOf(err)))
	}
}

// SetStatus implements trace.Span.
func (d *discreet) SetStatus(code codes.Code, _ string) {
	if !d.continued {
		d.Span.SetStatus(code, "")
	}
}

// codeOf names an error without saying what it says.
func codeOf(err error) string {
	var application *temporal.ApplicationError
	switch {
	case errors.As(err, &application) && application.Type() != "":
		return application.Type()
	case temporal.IsCanceledError(err) || errors.Is(err, context.Canceled):
		return "canceled"
	case temporal.IsTimeoutError(err) || errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "error"
	}
}
