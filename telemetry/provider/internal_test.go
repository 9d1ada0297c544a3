package provider

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

func TestTheTextOfAnErrorStaysOutOfItsSpan(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"model_unavailable": temporal.NewApplicationError("the model said ZEBRA", "model_unavailable"),
		"canceled":          temporal.NewCanceledError("ZEBRA"),
		"timeout":           context.DeadlineExceeded,
		"error":             errors.New("ZEBRA"),
		"":                  &workflow.ContinueAsNewError{},
	} {
		recorder := tracetest.NewSpanRecorder()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("")
		span := startDiscreet(t.Context(), tracer, "RunWorkflow:Turn")
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		span.End()
		ended := recorder.Ended()[0]
		require.Empty(t, ended.Events())
		require.Empty(t, ended.Status().Description)
		if want == "" {
			require.Equal(t, codes.Unset, ended.Status().Code, "a workflow that goes on has not failed")
			require.Empty(t, ended.Attributes())
			continue
		}
		require.Equal(t, codes.Error, ended.Status().Code)
		require.Equal(t, want, ended.Attributes()[0].Value.AsString())
	}
}

func TestTemporalsTagsBecomeTheLabelsThatAreDocumented(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	m := newTemporalMetrics(r).WithTags(map[string]string{"namespace": "runa", "operation": "none", "workflow_id": "turn/prod_a"})
	m.WithTags(map[string]string{"operation": "StartWorkflowExecution", "status_code": "UNAVAILABLE"}).Counter("temporal_request_failure").Inc(2)
	m.Counter("temporal_request_failure").Inc(1)
	m.Gauge("temporal_sticky_cache_size").Update(3)
	m.Timer("temporal_request_latency").Record(time.Second)
	m.Counter("temporal_of_another_version").Inc(1)
	m.Gauge("temporal_of_another_version").Update(1)
	m.Timer("temporal_of_another_version").Record(1)
	families, err := r.Gather()
	require.NoError(t, err)
	require.Len(t, families, 3, "what is not documented is not shown")
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			for _, label := range metric.GetLabel() {
				require.NotContains(t, label.GetValue(), "prod_a")
				require.Contains(t, []string{"operation", "status_code"}, label.GetName())
			}
		}
	}
}
