// Package telemetry is the vocabulary of what Runa tells its operator: the
// names of all metrics, spans and attributes, and the observer that the
// activities report to. It holds no text of a conversation, no arguments and no
// results: ids, names, counts, durations and codes only, and no label of a
// metric is a product's or a caller's word.
//
// It exports nothing by itself and knows no collector, no Temporal and nothing
// else of the project: who records gets a prometheus.Registerer and a
// trace.TracerProvider from its caller. Package provider makes them.
//
// Requests that leave Runa (tools, sites, models) carry no trace context. They
// go to third parties, to whom a trace id says which requests belong to one
// user's turn, and which a collector of theirs would mix with ours; a tool that
// wants to correlate has the turn and the call in the headers of its request.
package telemetry
