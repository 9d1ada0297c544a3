package telemetry

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// Attribute keys of OpenTelemetry's conventions for generative AI, version
// 1.41.0, the last that the general conventions hold before they moved to a
// repository of their own. Their status is "development": another version may
// rename them, and this file is where to follow.
// https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-spans.md
const (
	KeyOperation    = attribute.Key("gen_ai.operation.name")
	KeyProvider     = attribute.Key("gen_ai.provider.name")
	KeyRequestModel = attribute.Key("gen_ai.request.model")
	KeyModel        = attribute.Key("gen_ai.response.model")
	KeyInputTokens  = attribute.Key("gen_ai.usage.input_tokens")
	KeyOutputTokens = attribute.Key("gen_ai.usage.output_tokens")
	KeyConversation = attribute.Key("gen_ai.conversation.id")
	KeyToolName     = attribute.Key("gen_ai.tool.name")
	KeyToolCall     = attribute.Key("gen_ai.tool.call.id")
)

// Attribute keys of the general conventions, of the same version.
const (
	KeyErrorType  = attribute.Key("error.type")
	KeyHTTPMethod = attribute.Key("http.request.method")
	KeyHTTPRoute  = attribute.Key("http.route")
	KeyHTTPStatus = attribute.Key("http.response.status_code")
)

// Attribute keys of our own.
const (
	KeyProduct   = attribute.Key("runa.product")
	KeyTurn      = attribute.Key("runa.turn")
	KeyStep      = attribute.Key("runa.step")
	KeyRequest   = attribute.Key("runa.request")
	KeyOutcome   = attribute.Key("runa.outcome")
	KeyToolCalls = attribute.Key("runa.tool_calls")
	KeyPassages  = attribute.Key("runa.passages")
)

// Operations of the conventions for generative AI.
const (
	operationChat      = "chat"
	operationTool      = "execute_tool"
	operationRetrieval = "retrieval"
)

// Scope names the instrumentation in every span.
const Scope = "runa"

// HTTPSpan names the span of a request by its route's pattern.
func HTTPSpan(method, route string) string { return method + " " + route }

// ChatSpan names the span of a call to a model.
func ChatSpan(model string) string {
	_, model = splitModel(model)
	return operationChat + " " + model
}

// ToolSpan names the span of a call to a tool.
func ToolSpan(tool string) string { return operationTool + " " + tool }

// RetrievalSpan names the span of a search for a turn.
const RetrievalSpan = operationRetrieval

// providers are the values that the conventions give to providers whose name
// in a setting differs.
var providers = map[string]string{"gemini": "gcp.gemini"}

// splitModel takes the setting that selects a model, such as "gemini/NAME",
// apart; a model without a provider is its own.
func splitModel(setting string) (provider, model string) {
	provider, model, found := strings.Cut(setting, "/")
	if !found {
		model = setting
	}
	if known := providers[provider]; known != "" {
		provider = known
	}
	return provider, model
}

// Labels of metrics. Each has a bounded number of values, whatever products
// and callers do.
const (
	labelMethod    = "method"
	labelRoute     = "route"
	labelStatus    = "status"
	labelOutcome   = "outcome"
	labelModel     = "model"
	labelDirection = "direction"
	labelReason    = "reason"
	labelPool      = "pool"
	labelState     = "state"
	labelVersion   = "version"
	labelGo        = "go"
)

// The metrics of Runa itself.
var (
	BuildInfo = Metric{
		Name: "runa_build_info", Kind: Gauge, Labels: []string{labelVersion, labelGo},
		Help: "1, with the program's version and Go's.",
	}
	HTTPSeconds = Metric{
		Name: "runa_http_request_seconds", Kind: Histogram, Labels: []string{labelMethod, labelRoute, labelStatus}, Buckets: long,
		Help: "Time to answer a request, by route and status.",
	}
	TurnSeconds = Metric{
		Name: "runa_turn_seconds", Kind: Histogram, Labels: []string{labelStatus}, Buckets: long,
		Help: "Time from taking a turn in to its end, by the status that it ended with; the count is the turns that ended.",
	}
	TurnFirstStepSeconds = Metric{
		Name: "runa_turn_first_step_seconds", Kind: Histogram, Buckets: long,
		Help: "Time from taking a turn in to its first question to the model: queueing in the session and for a worker, and the search.",
	}
	ModelSeconds = Metric{
		Name: "runa_model_call_seconds", Kind: Histogram, Labels: []string{labelModel, labelOutcome}, Buckets: long,
		Help: "Time of a call to the model; the outcome is ok or the code of the failure.",
	}
	ModelTokens = Metric{
		Name: "runa_model_tokens_total", Kind: Counter, Labels: []string{labelModel, labelDirection},
		Help: "Tokens of calls to the model that were answered, input or output.",
	}
	ToolSeconds = Metric{
		Name: "runa_tool_call_seconds", Kind: Histogram, Labels: []string{labelOutcome}, Buckets: long,
		Help: "Time of a request to a tool, each try by itself: succeeded, failed, retry, not_sent or lost.",
	}
	RetrievalSeconds = Metric{
		Name: "runa_retrieval_seconds", Kind: Histogram, Labels: []string{labelOutcome}, Buckets: short,
		Help: "Time of a turn's search for knowledge; a degraded turn goes on without.",
	}
	CrawlPages = Metric{
		Name: "runa_crawl_pages_total", Kind: Counter, Labels: []string{labelReason},
		Help: "Pages that a crawl settled, by the reason that the page shows.",
	}
	StoreUp = Metric{
		Name: "runa_store_up", Kind: Gauge,
		Help: "1 when the records answered this scrape; else the gauges that are read from them are missing.",
	}
	OutboxEvents = Metric{
		Name: "runa_outbox_events", Kind: Gauge,
		Help: "Events that the analytics store has not taken yet.",
	}
	OutboxOldest = Metric{
		Name: "runa_outbox_oldest_seconds", Kind: Gauge,
		Help: "Age of the oldest event that the analytics store has not taken yet; 0 when there is none.",
	}
	TurnsOpen = Metric{
		Name: "runa_turns_open", Kind: Gauge, Labels: []string{labelStatus},
		Help: "Turns that have not ended, of all products: queued, running or waiting.",
	}
	DBConnections = Metric{
		Name: "runa_db_connections", Kind: Gauge, Labels: []string{labelPool, labelState},
		Help: "Connections of a pool of the records, in_use or idle.",
	}
	DBConnectionsMax = Metric{
		Name: "runa_db_connections_max", Kind: Gauge, Labels: []string{labelPool},
		Help: "Most connections that a pool opens; 0 is no limit.",
	}
	DBWaits = Metric{
		Name: "runa_db_waits_total", Kind: Counter, Labels: []string{labelPool},
		Help: "Times that somebody waited for a connection of a pool.",
	}
	DBWaitSeconds = Metric{
		Name: "runa_db_wait_seconds_total", Kind: Counter, Labels: []string{labelPool},
		Help: "Time that was waited for connections of a pool.",
	}
	SpansLost = Metric{
		Name: "runa_trace_spans_lost_total", Kind: Counter,
		Help: "Spans that the collector did not take.",
	}
)

// Labels that the SDK of Temporal gives, as far as they are bounded.
const (
	LabelOperation    = "operation"
	LabelCode         = "status_code"
	LabelCause        = "cause"
	LabelWorkflowType = "workflow_type"
	LabelActivityType = "activity_type"
	LabelTaskQueue    = "task_queue"
	LabelWorkerType   = "worker_type"
	LabelPollerType   = "poller_type"
	LabelFailure      = "failure_reason"
)

// TemporalMetrics are those of Temporal's SDK that an operator needs, under
// the names that Temporal documents for Prometheus: _total behind a counter,
// _seconds behind a time. Others that the SDK offers are not kept.
// https://docs.temporal.io/references/sdk-metrics
func TemporalMetrics() []Metric {
	requests, failures := []string{LabelOperation}, []string{LabelOperation, LabelCode}
	workflow, local := []string{LabelWorkflowType}, []string{LabelActivityType}
	task, activity := []string{LabelWorkflowType, LabelTaskQueue}, []string{LabelActivityType, LabelTaskQueue}
	slots := []string{LabelWorkerType, LabelTaskQueue}
	return []Metric{
		counter("temporal_request_total", "Requests to the engine.", requests),
		counter("temporal_request_failure_total", "Requests to the engine that failed.", failures),
		counter("temporal_request_resource_exhausted_total", "Requests that the engine refused for its limits.", []string{LabelOperation, LabelCause}),
		timer("temporal_request_latency_seconds", "Time of a request to the engine.", requests),
		counter("temporal_long_request_failure_total", "Long polls that failed.", failures),
		counter("temporal_workflow_completed_total", "Workflows that ended well.", workflow),
		counter("temporal_workflow_failed_total", "Workflows that failed; a refused turn is one.", workflow),
		counter("temporal_workflow_canceled_total", "Workflows that were canceled.", workflow),
		counter("temporal_workflow_continue_as_new_total", "Workflows that went on in a new history.", workflow),
		timer("temporal_workflow_endtoend_latency_seconds", "Time from the start of a workflow's run to its end.", workflow),
		timer("temporal_workflow_task_schedule_to_start_latency_seconds", "Time that a workflow task waited for a worker.", task),
		timer("temporal_workflow_task_execution_latency_seconds", "Time to run a workflow task.", workflow),
		timer("temporal_workflow_task_replay_latency_seconds", "Time to replay a history that left the cache.", workflow),
		counter("temporal_workflow_task_execution_failed_total", "Workflow tasks that failed.", []string{LabelWorkflowType, LabelFailure}),
		timer("temporal_activity_schedule_to_start_latency_seconds", "Time that an activity waited for a worker.", activity),
		timer("temporal_activity_execution_latency_seconds", "Time to run an activity.", activity),
		counter("temporal_activity_execution_failed_total", "Tries of activities that failed.", activity),
		timer("temporal_local_activity_execution_latency_seconds", "Time to run a local activity.", local),
		counter("temporal_local_activity_execution_failed_total", "Tries of local activities that failed.", local),
		gauge("temporal_worker_task_slots_available", "Slots of a worker that are free.", slots),
		gauge("temporal_worker_task_slots_used", "Slots of a worker that are in use.", slots),
		gauge("temporal_num_pollers", "Polls of a worker that are open.", []string{LabelPollerType, LabelTaskQueue}),
		counter("temporal_sticky_cache_hit_total", "Workflow tasks whose workflow was in the cache.", nil),
		counter("temporal_sticky_cache_miss_total", "Workflow tasks whose workflow had to be replayed.", nil),
		counter("temporal_sticky_cache_total_forced_eviction_total", "Workflows that left the cache for others.", nil),
		gauge("temporal_sticky_cache_size", "Workflows in the cache.", nil),
	}
}

func counter(name, help string, labels []string) Metric {
	return Metric{Name: name, Help: help, Kind: Counter, Labels: labels}
}

func gauge(name, help string, labels []string) Metric {
	return Metric{Name: name, Help: help, Kind: Gauge, Labels: labels}
}

func timer(name, help string, labels []string) Metric {
	return Metric{Name: name, Help: help, Kind: Histogram, Labels: labels, Buckets: short}
}

// Metrics are all metrics of Runa and of Temporal's SDK. Beside them /metrics
// shows go_* and process_*, which are Prometheus's own.
func Metrics() []Metric {
	return append([]Metric{
		BuildInfo, HTTPSeconds, TurnSeconds, TurnFirstStepSeconds, ModelSeconds, ModelTokens, ToolSeconds, RetrievalSeconds,
		CrawlPages, StoreUp, OutboxEvents, OutboxOldest, TurnsOpen, DBConnections, DBConnectionsMax, DBWaits, DBWaitSeconds,
		SpansLost,
	}, TemporalMetrics()...)
}

// MetricNames are the names of Metrics, in their order.
func MetricNames() []string {
	var names []string
	for _, m := range Metrics() {
		names = append(names, m.Name)
	}
	return names
}
