package extractive_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/llm"
)

func rendered(t testing.TB, results ...llm.Result) string {
	t.Helper()
	r := generate(t, &llm.Request{Tools: everything, Knowledge: numbered(ledgerline), Messages: []llm.Message{
		{Role: llm.RoleUser, Text: "Show revenue for March 2026"},
		{Role: llm.RoleModel, Calls: []llm.Call{{ID: "c1", Name: "get_revenue", Arguments: json.RawMessage(`{"period":"2026-03"}`)}}},
		{Role: llm.RoleTool, Results: results},
	}})
	require.Empty(t, r.Calls)
	return r.Text
}

func TestResults(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`42`:                    "Get revenue: 42",
		`"all [1] good"`:        "Get revenue: all (1) good",
		`null`:                  "Get revenue: none",
		`[]`:                    "Get revenue: none",
		`{"ok":true,"note":""}`: "Get revenue:\n\n- Ok: yes\n- Note: none",
		`{"period":"2026-03","totalRevenue":48211.50,"by_plan":{"Pro":30000,"starter":18211.50}}`: "Get revenue:\n\n" +
			"- Period: 2026-03\n- Total revenue: 48211.50\n- By plan:\n  - Pro: 30000\n  - Starter: 18211.50",
		`{"users":[{"id":1,"name":"Ann"},{"id":2,"name":"Bob"}]}`: "Get revenue:\n\n- Users:\n  - Id: 1, Name: Ann\n  - Id: 2, Name: Bob",
		`[[1,2],[3]]`:             "Get revenue:\n\n- 1.\n  - 1\n  - 2\n- 2.\n  - 3",
		`12345678901234567890.10`: "Get revenue: 12345678901234567890.10",
		`{broken`:                 "Get revenue gave an answer that I cannot read.",
	} {
		require.Equal(t, want, rendered(t, llm.Result{CallID: "c1", Name: "get_revenue", Content: json.RawMessage(content)}), content)
	}
}

func TestLongArraysAreCut(t *testing.T) {
	t.Parallel()
	text := rendered(t, llm.Result{Name: "list_numbers", Content: json.RawMessage("[" + strings.Repeat("7,", 49) + "7]")})
	require.Equal(t, 20, strings.Count(text, "- 7\n"))
	require.Contains(t, text, "- … and 30 more (50 in all)")
}

func TestFailedResults(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`{"code":"timeout","message":"no answer within 30 s"}`:              "Get revenue failed: no answer within 30 s (timeout)",
		`{"error":{"code":"status","message":"HTTP 500","httpStatus":500}}`: "Get revenue failed: HTTP 500 (status)",
		`"out of order"`: "Get revenue failed: out of order",
		``:               "Get revenue failed: no reason was given.",
	} {
		require.Equal(t, want, rendered(t, llm.Result{Name: "get_revenue", Failed: true, Content: json.RawMessage(content)}), content)
	}
}

func TestSeveralResults(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Get revenue: 1\n\nGet order failed: gone",
		rendered(t, llm.Result{Name: "get_revenue", Content: json.RawMessage(`1`)},
			llm.Result{Name: "get_order", Failed: true, Content: json.RawMessage(`"gone"`)}))
}

// FuzzResults: any JSON is written, without what would be read as a citation.
func FuzzResults(f *testing.F) {
	f.Add(`{"a":[{"b":{"c":[1,[2,[3,[4,[5,[6,[7,[8,[9]]]]]]]]]}}]}`)
	f.Add(`{"[1]":"[2]","":"x"}`)
	f.Fuzz(func(t *testing.T, content string) {
		text := rendered(t, llm.Result{Name: "get", Content: json.RawMessage(content)})
		require.NotEmpty(t, text)
		require.Empty(t, marker.FindString(text))
	})
}
