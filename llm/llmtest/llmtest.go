// Package llmtest is the conformance suite of llm.Model: it holds an
// implementation to what the interface says of every model. It says nothing of
// how good an answer is.
package llmtest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/llm"
	"runa/schemas"
)

// Capability declares what a model can be shown to do beside the interface.
type Capability func(*suite)

// Deterministic declares that the same request gives the same response.
func Deterministic() Capability { return func(s *suite) { s.deterministic = true } }

// CallsTools declares that the model calls get_revenue for "What was our
// revenue in March 2026?", and tells of its result, 48211.
func CallsTools() Capability { return func(s *suite) { s.callsTools = true } }

// Cites declares that a reply from knowledge names its passages.
func Cites() Capability { return func(s *suite) { s.cites = true } }

type suite struct {
	model                            func(t *testing.T) llm.Model
	deterministic, callsTools, cites bool
}

// Run runs the suite. model gives a model that can answer; a provider's model
// answers from a server of the test.
func Run(t *testing.T, model func(t *testing.T) llm.Model, capabilities ...Capability) {
	t.Helper()
	s := &suite{model: model}
	for _, declare := range capabilities {
		declare(s)
	}
	tests := map[string]func(*testing.T, llm.Model){
		"name":                 named,
		"deltas make the text": deltasMakeText,
		"usage":                usageCounted,
		"calls":                s.calls,
		"results":              s.results,
		"knowledge":            s.knowledge,
		"no knowledge":         noKnowledge,
		"request is not kept":  requestUnchanged,
		"cancelled":            cancelled,
		"deadline":             deadline,
		"concurrent use":       concurrentUse,
	}
	if s.deterministic {
		tests["deterministic"] = sameAgain
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s.model(t))
		})
	}
}

// question is a request of one user message with knowledge and a tool.
func question(text string) *llm.Request {
	return &llm.Request{
		System: "You answer questions about Ledgerline.",
		Knowledge: []llm.Passage{
			{Number: 1, Title: "Exports", Heading: "Exports", URL: "https://help.example/exports", Text: "You can export invoices as CSV. An export holds at most 500,000 rows."},
			{Number: 2, Title: "Users", Heading: "Users > Invite", URL: "https://help.example/users", Text: "To invite a colleague, open Settings and click Invite."},
		},
		Messages: []llm.Message{{Role: llm.RoleUser, Text: text}},
		Tools: []llm.Tool{{
			Name: "get_revenue", Description: "Returns revenue for a period",
			Parameters: json.RawMessage(`{"type":"object","required":["period"],"properties":{"period":{"type":"string","description":"Month as YYYY-MM"}}}`),
		}},
	}
}

const (
	aboutKnowledge = "How many rows can an export have?"
	aboutTool      = "What was our revenue in March 2026?"
)

// afterCall is the request that follows a call of get_revenue.
func afterCall(r llm.Result) *llm.Request {
	req := question(aboutTool)
	req.Messages = append(req.Messages,
		llm.Message{Role: llm.RoleModel, Calls: []llm.Call{{ID: "call_1", Name: "get_revenue", Arguments: json.RawMessage(`{"period":"2026-03"}`)}}},
		llm.Message{Role: llm.RoleTool, Results: []llm.Result{r}})
	return req
}

func generate(t *testing.T, m llm.Model, req *llm.Request) *llm.Response {
	t.Helper()
	r, err := m.Generate(t.Context(), req, nil)
	require.NoError(t, err)
	require.NotNil(t, r)
	checkResponse(t, req, r)
	return r
}

// checkResponse holds a response to what is true of each.
func checkResponse(t *testing.T, req *llm.Request, r *llm.Response) {
	t.Helper()
	require.True(t, r.Text != "" || len(r.Calls) > 0, "a response says or asks for something")
	require.NotEmpty(t, r.Model)
	offered := map[string]bool{}
	for _, tool := range req.Tools {
		offered[tool.Name] = true
	}
	for _, c := range r.Calls {
		require.True(t, offered[c.Name], "%s was not offered", c.Name)
		require.Empty(t, c.ID, "ids of calls are the caller's")
		var arguments map[string]any
		require.NoError(t, json.Unmarshal(c.Arguments, &arguments), "arguments are a JSON object")
		require.NotNil(t, arguments, "null is no object")
	}
}

func named(t *testing.T, m llm.Model) {
	require.NotEmpty(t, m.Name())
	require.NotContains(t, m.Name(), ",", "a comma separates models in the setting")
}

func deltasMakeText(t *testing.T, m llm.Model) {
	for _, text := range []string{aboutKnowledge, aboutTool, "Who is the king of France?"} {
		req := question(text)
		var pieces []string
		r, err := m.Generate(t.Context(), req, func(piece string) { pieces = append(pieces, piece) })
		require.NoError(t, err)
		checkResponse(t, req, r)
		require.Equal(t, r.Text, strings.Join(pieces, ""))
		require.NotContains(t, pieces, "", "a delta has text")
	}
}

func usageCounted(t *testing.T, m llm.Model) {
	r := generate(t, m, question(aboutKnowledge))
	require.Equal(t, 1, r.Usage.ModelCalls)
	require.Positive(t, r.Usage.InputTokens)
	require.Positive(t, r.Usage.OutputTokens)
}

func (s *suite) calls(t *testing.T, m llm.Model) {
	r := generate(t, m, question(aboutTool))
	if s.callsTools {
		require.Len(t, r.Calls, 1)
		require.JSONEq(t, `{"period":"2026-03"}`, string(r.Calls[0].Arguments))
	}
	req := question(aboutTool)
	req.Tools = nil
	require.Empty(t, generate(t, m, req).Calls, "no tool, no call")
}

func (s *suite) results(t *testing.T, m llm.Model) {
	r := generate(t, m, afterCall(llm.Result{CallID: "call_1", Name: "get_revenue", Content: json.RawMessage(`{"revenue":48211}`)}))
	if s.callsTools {
		require.Contains(t, strings.ReplaceAll(r.Text, ",", ""), "48211")
	}
	failure := llm.Result{CallID: "call_1", Name: "get_revenue", Failed: true, Content: json.RawMessage(`{"code":"timeout","message":"no answer within 30 s"}`)}
	generate(t, m, afterCall(failure))
}

func (s *suite) knowledge(t *testing.T, m llm.Model) {
	r := generate(t, m, question(aboutKnowledge))
	if s.cites {
		require.Contains(t, r.Text, "500,000")
		require.Contains(t, r.Text, "[1]")
		require.NotContains(t, r.Text, "[2]")
	}
}

func noKnowledge(t *testing.T, m llm.Model) {
	for _, text := range []string{aboutKnowledge, "?", "Hi"} {
		generate(t, m, &llm.Request{Messages: []llm.Message{{Role: llm.RoleUser, Text: text}}})
	}
}

func requestUnchanged(t *testing.T, m llm.Model) {
	req := afterCall(llm.Result{CallID: "call_1", Name: "get_revenue", Content: json.RawMessage(`{"revenue":48211}`)})
	before, err := json.Marshal(req)
	require.NoError(t, err)
	generate(t, m, req)
	after, err := json.Marshal(req)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func sameAgain(t *testing.T, m llm.Model) {
	for _, text := range []string{aboutKnowledge, aboutTool} {
		first := generate(t, m, question(text))
		for range 3 {
			require.Equal(t, first, generate(t, m, question(text)))
		}
	}
}

func cancelled(t *testing.T, m llm.Model) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	requireFailure(ctx, t, m)
}

func deadline(t *testing.T, m llm.Model) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	requireFailure(ctx, t, m)
}

// requireFailure expects an *llm.Error at once.
func requireFailure(ctx context.Context, t *testing.T, m llm.Model) {
	t.Helper()
	start := time.Now()
	r, err := m.Generate(ctx, question(aboutKnowledge), nil)
	require.Less(t, time.Since(start), 5*time.Second)
	require.Nil(t, r)
	var failure *llm.Error
	require.ErrorAs(t, err, &failure)
	require.Contains(t, []schemas.Code{schemas.ModelUnavailable, schemas.ModelRefused, schemas.RateLimited}, failure.Code)
	require.NotEmpty(t, failure.Message)
}

func concurrentUse(t *testing.T, m llm.Model) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = m.Generate(t.Context(), question(aboutKnowledge), func(string) {})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}
