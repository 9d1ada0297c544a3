package telemetry

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// ObserverConfig says where an observer's metrics and spans go.
type ObserverConfig struct {
	// Metrics takes the metrics; nil is nobody.
	Metrics prometheus.Registerer
	// Traces takes the spans; nil is nobody.
	Traces trace.TracerProvider
}

// Observer is told what the activities do and makes metrics and spans of it.
// It is safe for concurrent use.
type Observer struct {
	tracer                                   trace.Tracer
	turns, firstSteps, models, tools, search *prometheus.HistogramVec
	tokens, pages                            *prometheus.CounterVec
}

// NewObserver makes an observer and registers its metrics.
func NewObserver(cfg ObserverConfig) *Observer {
	if cfg.Traces == nil {
		cfg.Traces = noop.NewTracerProvider()
	}
	o := &Observer{
		tracer: cfg.Traces.Tracer(Scope),
		turns:  TurnSeconds.NewHistogram(), firstSteps: TurnFirstStepSeconds.NewHistogram(),
		models: ModelSeconds.NewHistogram(), tools: ToolSeconds.NewHistogram(), search: RetrievalSeconds.NewHistogram(),
		tokens: ModelTokens.NewCounter(), pages: CrawlPages.NewCounter(),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(o.turns, o.firstSteps, o.models, o.tools, o.search, o.tokens, o.pages)
	}
	return o
}

// Place is where in a turn something happens.
type Place struct {
	Product, Session, Turn string
	Step                   int
}

func (p Place) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		KeyProduct.String(p.Product), KeyConversation.String(p.Session), KeyTurn.String(p.Turn), KeyStep.Int(p.Step),
	}
}

// Answer is how a call to a model ended.
type Answer struct {
	// Failure is the code of what went wrong; "" is an answer.
	Failure string
	// Model is the one that answered, as it names itself.
	Model                     string
	InputTokens, OutputTokens int
	ToolCalls                 int
}

// Chat is told that a model is asked, by the setting that selects it, and,
// through done, how that ended.
func (o *Observer) Chat(ctx context.Context, at Place, model string) (_ context.Context, done func(Answer)) {
	began := time.Now()
	provider, name := splitModel(model)
	ctx, span := o.tracer.Start(ctx, ChatSpan(model), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(at.attributes()...),
		trace.WithAttributes(KeyOperation.String(operationChat), KeyProvider.String(provider), KeyRequestModel.String(name)))
	return ctx, func(a Answer) {
		o.models.WithLabelValues(model, cmp.Or(a.Failure, "ok")).Observe(time.Since(began).Seconds())
		if a.Failure == "" {
			o.tokens.WithLabelValues(model, "input").Add(float64(a.InputTokens))
			o.tokens.WithLabelValues(model, "output").Add(float64(a.OutputTokens))
			span.SetAttributes(KeyModel.String(a.Model), KeyInputTokens.Int(a.InputTokens),
				KeyOutputTokens.Int(a.OutputTokens), KeyToolCalls.Int(a.ToolCalls))
		}
		end(span, a.Failure)
	}
}

// Tool is told that a tool is called and, through done, what became of the
// request and with which code it failed, "" for none.
func (o *Observer) Tool(ctx context.Context, at Place, tool, call string) (_ context.Context, done func(outcome, failure string)) {
	began := time.Now()
	ctx, span := o.tracer.Start(ctx, ToolSpan(tool), trace.WithAttributes(at.attributes()...),
		trace.WithAttributes(KeyOperation.String(operationTool), KeyToolName.String(tool), KeyToolCall.String(call)))
	return ctx, func(outcome, failure string) {
		o.tools.WithLabelValues(outcome).Observe(time.Since(began).Seconds())
		span.SetAttributes(KeyOutcome.String(outcome))
		end(span, failure)
	}
}

// Retrieval is told that a turn's knowledge is searched and, through done,
// with which outcome (ok, degraded or canceled) and how many passages.
func (o *Observer) Retrieval(ctx context.Context, at Place) (_ context.Context, done func(outcome string, passages int)) {
	began := time.Now()
	ctx, span := o.tracer.Start(ctx, RetrievalSpan, trace.WithAttributes(at.attributes()...),
		trace.WithAttributes(KeyOperation.String(operationRetrieval)))
	return ctx, func(outcome string, passages int) {
		o.search.WithLabelValues(outcome).Observe(time.Since(began).Seconds())
		span.SetAttributes(KeyOutcome.String(outcome), KeyPassages.Int(passages))
		failure := outcome
		if outcome == RetrievalOK {
			failure = ""
		}
		end(span, failure)
	}
}

// Outcomes of a retrieval.
const (
	RetrievalOK       = "ok"
	RetrievalDegraded = "degraded"
	RetrievalCanceled = "canceled"
)

// end ends a span by a failure's code; the failure's text stays out of it.
func end(span trace.Span, failure string) {
	if failure != "" {
		span.SetAttributes(KeyErrorType.String(failure))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// FirstStep is told that a turn asks the model for the first time, so long
// after it was taken in.
func (o *Observer) FirstStep(after time.Duration) {
	o.firstSteps.WithLabelValues().Observe(max(0, after.Seconds())) // clocks differ between processes
}

// TurnEnded is told that a turn ended with a status, so long after it was
// taken in.
func (o *Observer) TurnEnded(status string, after time.Duration) {
	o.turns.WithLabelValues(status).Observe(max(0, after.Seconds()))
}

// Page is told that a crawl settled a page for a reason.
func (o *Observer) Page(reason string) { o.pages.WithLabelValues(reason).Inc() }
