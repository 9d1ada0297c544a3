package harness

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// Figures are what a proof counted.
type Figures struct {
	Acknowledged, Completed            int
	Calls, Unknown                     int
	Keys, Deliveries, Again, Twice     int
	Pages, Fetched, Chunks             int
	Conversations, Messages, ModelRuns int
}

// String is how the figures are printed.
func (f Figures) String() string {
	return fmt.Sprintf("turns acknowledged %d, lost %d; tool calls %d (outcome unknown %d); keys %d, deliveries %d (again %d), twice in effect %d; pages indexed %d (fetched %d times), chunks %d; conversations %d, messages %d; model calls %d",
		f.Acknowledged, f.Acknowledged-f.Completed, f.Calls, f.Unknown, f.Keys, f.Deliveries, f.Again, f.Twice, f.Pages, f.Fetched, f.Chunks, f.Conversations, f.Messages, f.ModelRuns)
}

// endWithin is how long the last turn may take after the last start.
const endWithin = 60 * time.Second

// Await waits until every turn has ended and the crawl, if there is one.
func (w *World) Await() {
	w.T.Helper()
	for _, m := range w.Messages() {
		require.NotEmpty(w.T, m.ID, "%s was acknowledged", m.Key)
		require.Eventually(w.T, func() bool {
			var turn schemas.Turn
			w.Get("/v1/turns/"+m.ID, &turn)
			return turn.Status.Final()
		}, endWithin, 10*time.Millisecond, "turn %s of %s ends", m.ID, m.Key)
	}
}

// AwaitCrawl waits until the crawl is over.
func (w *World) AwaitCrawl() {
	w.T.Helper()
	require.Eventually(w.T, func() bool {
		var source schemas.Source
		w.Get("/v1/knowledge/"+w.Source, &source)
		return source.Status != schemas.SourceIndexing
	}, endWithin, 50*time.Millisecond, "the crawl ends")
}

// Prove counts what became of all that was sent.
func (w *World) Prove() Figures {
	w.T.Helper()
	var f Figures
	w.Await()
	known := map[string]bool{}
	for _, m := range w.Messages() {
		w.proveTurn(m, known, &f)
	}
	w.proveLedger(known, &f)
	w.proveConversations(&f)
	w.proveAnalytics(f)
	if w.Source != "" {
		w.AwaitCrawl()
		w.proveSite(&f)
	}
	return f
}

// proveTurn holds a turn and its calls against what was asked and against the
// tools' ledger.
func (w *World) proveTurn(m *Message, known map[string]bool, f *Figures) {
	w.T.Helper()
	var turn schemas.Turn
	w.Get("/v1/turns/"+m.ID, &turn)
	f.Acknowledged++
	f.ModelRuns += turn.Usage.ModelCalls
	require.Equal(w.T, schemas.TurnCompleted, turn.Status, "%s: %+v", m.Key, turn.Error)
	f.Completed++
	require.Equal(w.T, m.Session, turn.SessionID)
	require.Len(w.T, turn.ToolCalls, len(m.emails), "calls of %q: %s", m.Text, turn.Reply)
	ledger := w.Tools.entries()
	for i, call := range turn.ToolCalls {
		f.Calls++
		key := keyOf(turn, call)
		known[key] = true
		require.Equal(w.T, m.tool, call.Name)
		require.JSONEq(w.T, fmt.Sprintf(`{"email":%q}`, m.emails[i]), string(call.Arguments))
		e, delivered := ledger[key]
		if call.Status == schemas.CallUnknown {
			f.Unknown++
			require.Equal(w.T, schemas.EffectUnsafe, effects[m.tool], "only an unsafe call may stay unknown")
			require.LessOrEqual(w.T, e.deliveries, 1)
			require.Contains(w.T, turn.Reply, "it may have taken effect")
			continue
		}
		require.Equal(w.T, schemas.CallSucceeded, call.Status, "%s: %+v", m.Key, call.Error)
		require.True(w.T, delivered, "%s is in the ledger", key)
		require.Equal(w.T, m.emails[i], e.email)
		require.JSONEq(w.T, fmt.Sprintf(`{"receipt":%q}`, e.receipt), string(call.Result))
		require.Contains(w.T, turn.Reply, e.receipt)
	}
}

// keyOf is the key under which the tool was called.
func keyOf(turn schemas.Turn, call schemas.ToolCall) string {
	for _, step := range turn.Steps {
		for _, id := range step.CallIDs {
			if id == call.ID {
				return fmt.Sprintf("%s/%d/%s", turn.ID, step.Step, call.ID)
			}
		}
	}
	return ""
}

// proveLedger holds the ledger against the calls: none that no turn knows of,
// and none in effect twice.
func (w *World) proveLedger(known map[string]bool, f *Figures) {
	w.T.Helper()
	for key, e := range w.Tools.entries() {
		f.Keys++
		f.Deliveries += e.deliveries
		f.Again += e.deliveries - 1
		if e.effects != 1 {
			f.Twice++
		}
		require.True(w.T, known[key], "%s is a call of a turn", key)
		require.Equal(w.T, 1, e.effects, "%s took effect once (%s, delivered %d times)", key, e.tool, e.deliveries)
		if effects[e.tool] == schemas.EffectUnsafe {
			require.Equal(w.T, 1, e.deliveries, "the unsafe %s was delivered once", key)
		}
	}
}

// proveConversations reads the conversations back: no message is missing, none
// is there twice, and they are in order.
func (w *World) proveConversations(f *Figures) {
	w.T.Helper()
	counts := w.messageCounts()
	require.Len(w.T, counts, len(w.Sessions))
	for _, sent := range w.Sessions {
		var conversation struct {
			Messages []schemas.Message `json:"messages"`
		}
		w.Get("/v1/conversations/"+sent[0].Session, &conversation)
		var users, assistants, wantUsers, wantAssistants []string
		for _, m := range conversation.Messages {
			if m.Role == schemas.RoleUser {
				users = append(users, m.Content)
			} else {
				assistants = append(assistants, m.ID)
			}
		}
		for _, m := range sent {
			wantUsers, wantAssistants = append(wantUsers, m.Text), append(wantAssistants, m.ID)
		}
		require.Equal(w.T, wantUsers, users)
		require.Equal(w.T, wantAssistants, assistants)
		require.Equal(w.T, len(conversation.Messages), counts[sent[0].Session], "messageCount of %s", sent[0].Session)
		f.Conversations++
		f.Messages += len(conversation.Messages)
	}
}

// messageCounts reads the whole list of conversations.
func (w *World) messageCounts() map[string]int {
	w.T.Helper()
	counts := map[string]int{}
	for cursor := ""; ; {
		var list struct {
			Conversations []schemas.Conversation `json:"conversations"`
			Total         int                    `json:"total"`
			NextCursor    string                 `json:"nextCursor"`
		}
		w.Get("/v1/conversations?limit=100"+cursor, &list)
		require.Equal(w.T, len(w.Sessions), list.Total)
		for _, c := range list.Conversations {
			require.NotContains(w.T, counts, c.ID)
			counts[c.ID] = c.MessageCount
		}
		if list.NextCursor == "" {
			return counts
		}
		cursor = "&cursor=" + url.QueryEscape(list.NextCursor)
	}
}

// figuresLag is how long the analytics may lag behind a crash: the heartbeat
// timeout of the export, its retry and its pause.
const figuresLag = 15 * time.Second

// proveAnalytics waits for the figures to be what was sent, and sees that they
// stay so: an event that counts twice comes late.
func (w *World) proveAnalytics(f Figures) {
	w.T.Helper()
	want := map[string]int{}
	for _, m := range w.Messages() {
		want[m.tool]++
	}
	agree := func() bool {
		var got schemas.Figures
		w.Get("/v1/analytics", &got)
		intents := map[string]int{}
		for _, i := range got.Intents {
			intents[i.Name] = i.Count
		}
		return got.Conversations == f.Conversations && got.MessagesTotal == f.Messages && fmt.Sprint(intents) == fmt.Sprint(want)
	}
	require.Eventually(w.T, agree, figuresLag, 50*time.Millisecond, "analytics agree with what was sent: %+v %v", f, want)
	Pause(600 * time.Millisecond)
	require.True(w.T, agree(), "analytics still agree")
}

// proveSite sees each page indexed once, and found by its own word once.
func (w *World) proveSite(f *Figures) {
	w.T.Helper()
	var source schemas.Source
	w.Get("/v1/knowledge/"+w.Source, &source)
	require.Equal(w.T, schemas.SourceReady, source.Status, source.Reason)
	require.Equal(w.T, schemas.PageCounts{Total: w.Site.pages, Indexed: w.Site.pages}, source.Pages)
	for cursor := ""; ; {
		var list struct {
			Pages      []schemas.Page `json:"pages"`
			Total      int            `json:"total"`
			NextCursor string         `json:"nextCursor"`
		}
		w.Get("/v1/knowledge/"+w.Source+"/pages?limit=100"+cursor, &list)
		for _, p := range list.Pages {
			require.Equal(w.T, schemas.PageIndexed, p.State, "%s: %s %s", p.URL, p.Reason, p.Detail)
			f.Pages++
			f.Chunks += p.Chunks
		}
		if list.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(list.NextCursor)
	}
	require.Equal(w.T, w.Site.pages, f.Pages)
	f.Fetched = int(w.Site.fetched.Load())
	for n := range w.Site.pages {
		w.proveFound(n)
	}
}

func (w *World) proveFound(n int) {
	w.T.Helper()
	var found struct {
		Hits []schemas.Hit `json:"hits"`
	}
	w.do(http.MethodPost, "/v1/knowledge/search", map[string]any{"query": word(n), "limit": 50}, &found)
	var where []string
	for _, hit := range found.Hits {
		if strings.Contains(hit.Text, word(n)) {
			where = append(where, hit.URL)
		}
	}
	require.Equal(w.T, []string{w.Site.address(n)}, where, "the word of page %d is found once", n)
}
