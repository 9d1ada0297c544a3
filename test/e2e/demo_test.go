package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// testDemo is the tour: what the README shows, with each number compared.
func testDemo(t *testing.T, r *runatest.Runa) {
	c := client{r, t, schemas.DefaultProduct}
	demoPages(c)
	for _, q := range []struct{ question, page, fact string }{
		{"How much does the Pro plan cost per month?", "/help/pricing", "$149"},
		{"How do I export my data as CSV?", "/help/exports", "Start export"},
		{"How long is an invitation valid?", "/help/users-and-roles", "7 days"},
		{"Can I get a refund after 30 days?", "/help/billing-and-invoices", "30 days"},
		{"What does the error LL-203 mean?", "/help/troubleshooting", "column is missing"},
	} {
		answer := c.chat("tour", q.question)
		require.Equal(t, schemas.TurnCompleted, answer.Status)
		require.True(t, answer.Answered, "%s: %s", q.question, answer.Reply)
		require.Contains(t, answer.Reply, q.fact, q.question)
		require.Contains(t, answer.Reply, "[1]")
		require.NotEmpty(t, answer.Citations)
		require.Equal(t, r.DemoURL+q.page, withoutFragment(answer.Citations[0].URL), q.question)
		require.Empty(t, answer.ToolCalls)
	}
	unknown := c.chat("unknown", "Does Ledgerline support payroll for contractors in Brazil?")
	require.False(t, unknown.Answered, unknown.Reply)
	require.Empty(t, unknown.Citations)
	require.NotEmpty(t, unknown.Reply)
	demoRevenue(c)
	demoFigures(c)
}

// demoPages waits for the crawl and compares what became of each page.
func demoPages(c client) {
	var list struct{ Sources []source }
	until(c.t, "the demo's source is ready", func() bool {
		c.call("GET", "/v1/knowledge", nil, &list)
		return len(list.Sources) == 1 && list.Sources[0].Status == schemas.SourceReady
	})
	got := c.crawled(list.Sources[0].ID)
	require.Equal(c.t, schemas.PageCounts{Total: 15, Indexed: 13, Skipped: 1, Failed: 1}, got.Pages)
	var pages struct {
		Pages []struct {
			URL, State, Reason, Detail string
			Chunks                     int
		}
		Total int
	}
	c.call("GET", "/v1/knowledge/"+got.ID+"/pages", nil, &pages)
	reasons := map[string]int{}
	for _, p := range pages.Pages {
		reasons[p.State+" "+p.Reason]++
		require.Equal(c.t, p.State == "indexed", p.Chunks > 0, p.URL)
		if p.Reason == "status" {
			require.Contains(c.t, p.Detail, "404")
		}
	}
	require.Equal(c.t, map[string]int{"indexed indexed": 13, "skipped robots": 1, "failed status": 1}, reasons)
	require.Equal(c.t, 15, pages.Total)
	require.NotEmpty(c.t, c.search("refund"))
	for _, query := range []string{"blue heron", "the blue heron that files its taxes on a Tuesday", "heron taxes Tuesday"} {
		for _, hit := range c.search(query) {
			require.NotContains(c.t, strings.ToLower(hit.Text), "heron", "the page is disallowed by robots.txt")
		}
	}
}

func demoRevenue(c client) {
	answer := c.chat("revenue", "What was our revenue in March 2026?")
	require.True(c.t, answer.Answered)
	require.Contains(c.t, answer.Reply, "128430")
	require.Len(c.t, answer.ToolCalls, 1)
	call := answer.ToolCalls[0]
	require.Equal(c.t, "get_revenue", call.Name)
	require.Equal(c.t, map[string]any{"period": "2026-03"}, call.Arguments)
	require.Equal(c.t, schemas.CallSucceeded, call.Status)
	require.InDelta(c.t, 128430, call.Result.(map[string]any)["revenue"], 0)
	shown := c.turn(answer.ID)
	require.Equal(c.t, answer.Reply, shown.Reply)
	require.Equal(c.t, answer.ToolCalls, shown.ToolCalls)
	require.Len(c.t, shown.Steps, 3, "it searched, asked for the call, and answered")
}

// demoFigures compares conversations and analytics with the seven questions.
func demoFigures(c client) {
	var list struct {
		Conversations []schemas.Conversation
		Total         int
	}
	c.call("GET", "/v1/conversations", nil, &list)
	counts := map[string]int{}
	for _, one := range list.Conversations {
		counts[one.ID] = one.MessageCount
	}
	require.Equal(c.t, map[string]int{"tour": 10, "unknown": 2, "revenue": 2}, counts)
	require.Equal(c.t, 3, list.Total)
	require.Len(c.t, c.messages("tour"), 10)
	for i, m := range c.messages("tour") {
		require.Equal(c.t, []string{"user", "assistant"}[i%2], m.Role)
	}
	figures := c.figuresWithin2s(14)
	require.Equal(c.t, 3, figures.Conversations)
	require.InDelta(c.t, 4.67, figures.AvgMessagesPerConversation, 0.001)
	require.LessOrEqual(c.t, figures.AvgSessionLength, 1.0)
	require.Contains(c.t, figures.TopIntents, "get_revenue")
	total := 0
	for i, intent := range figures.Intents {
		require.Equal(c.t, figures.TopIntents[i], intent.Name)
		require.InDelta(c.t, float64(intent.Count)/7, intent.Share, 0.01)
		total += intent.Count
	}
	require.Equal(c.t, 7, total, "each turn has one intent")
}

type figures struct {
	Conversations, MessagesTotal                 int
	AvgSessionLength, AvgMessagesPerConversation float64
	TopIntents                                   []string
	Intents                                      []struct {
		Name  string
		Count int
		Share float64
	}
}

// figuresWithin2s reads the figures until they count the messages, which takes
// two seconds at most.
func (c client) figuresWithin2s(messages int) (got figures) {
	c.t.Helper()
	began := time.Now()
	until(c.t, "the figures count all messages", func() bool {
		c.call("GET", "/v1/analytics", nil, &got)
		return got.MessagesTotal >= messages
	})
	require.Less(c.t, time.Since(began), 2*time.Second+slack)
	require.Equal(c.t, messages, got.MessagesTotal)
	return got
}

// slack is what a busy machine may add to a promise of time.
const slack = 3 * time.Second

func withoutFragment(url string) string {
	page, _, _ := strings.Cut(url, "#")
	return page
}

// testAnalytics holds the figures against a period and an empty product.
func testAnalytics(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	none := c.figuresWithin2s(0)
	require.Zero(t, none.Conversations)
	require.NotNil(t, none.TopIntents)
	c.chat("one", "Is there anybody?")
	c.chat("one", "And who?")
	c.chat("two", "Is there anything?")
	require.Equal(t, 2, c.figuresWithin2s(6).Conversations)
	var got figures
	c.call("GET", "/v1/analytics?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z", nil, &got)
	require.Zero(t, got.MessagesTotal)
	c.call("GET", "/v1/analytics?from=2020-01-01T00:00:00Z", nil, &got)
	require.Equal(t, 6, got.MessagesTotal)
	require.Zero(t, newProduct(t, r).figuresWithin2s(0).Conversations, "another product's figures are its own")
}
