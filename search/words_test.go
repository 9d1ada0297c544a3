package search_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/search"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Refunds for invoices": "refund for invoice",
		"getUserById user_id":  "get user by id getuserbyid user id userid",
		"HTTPServer_v2":        "http server v2 httpserverv2",
		"Réglages, ÜBER Łódź":  "reglage uber łodz",
		"re\u0301glage":        "reglage",
		"йод ёлка":             "йод ёлка",
		"請求書は v2":              "請求 求書 書は v2",
		"":                     "",
		"?!\x00":               "",
	} {
		require.Equal(t, want, strings.Join(search.Words(text), " "), text)
	}
	for _, long := range []string{strings.Repeat("x", 5000), strings.Repeat("й", 5000)} {
		words := search.Words(long)
		require.Len(t, words, 1)
		require.LessOrEqual(t, len(words[0]), 120)
		require.NotContains(t, words[0], "\ufffd")
	}
}

func TestParseQuestion(t *testing.T) {
	t.Parallel()
	q := search.ParseQuestion("How do I export invoices? I want to export invoices!")
	require.Equal(t, []string{"export", "invoice"}, q.Words)
	require.Equal(t, []string{"export invoice", "invoice export"}, q.Pairs)
	require.Equal(t, []string{"how", "do", "i"}, search.ParseQuestion("how do I").Words, "stop words are kept when there is nothing else")
	long := search.ParseQuestion(strings.Repeat("a1 b2 c3 ", 10) + strings.Join(numbers(5000), " "))
	require.Len(t, long.Words, 48)
	require.Contains(t, long.Words, "a1")
	require.Contains(t, long.Words, "n4999")
}

func BenchmarkWords(b *testing.B) {
	text := strings.Repeat("The boundary layer of a flat plate in a supersonic stream. ", 30)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		search.Words(text)
	}
}

func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("n%d", i)
	}
	return list
}
