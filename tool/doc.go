// Package tool makes one outbound call of a registered tool: it checks the
// arguments against the tool's schema, builds the request, sends it once, and
// says what became of it. It is not where calls are retried, recorded or
// approved: it knows no workflow and no store, and never sends twice.
package tool
