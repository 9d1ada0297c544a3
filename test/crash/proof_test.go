package crash

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
	searchsqlite "runa/search/sqlite"
)

// figures are what a proof counted.
type figures struct {
	acknowledged, completed            int
	calls, unknown                     int
	keys, deliveries, again, twice     int
	pages, fetched, chunks             int
	conversations, messages, modelRuns int
}

// String is how the figures are printed.
func (f figures) String() string {
	return fmt.Sprintf("turns acknowledged %d, lost %d; tool calls %d (outcome unknown %d); keys %d, deliveries %d (again %d), twice in effect %d; pages indexed %d (fetched %d times), chunks %d; conversations %d, messages %d; model calls %d",
		f.acknowledged, f.acknowledged-f.completed, f.calls, f.unknown, f.keys, f.deliveries, f.again, f.twice, f.pages, f.fetched, f.chunks, f.conversations, f.messages, f.modelRuns)
}

// endWithin is how long the last turn may take after the last start.
const endWithin = 60 * time.Second

// await waits until every turn has ended and the crawl, if there is one.
func (w *world) await() {
	w.t.Helper()
	for _, m := range w.messages() {
		require.NotEmpty(w.t, m.id, "%s was acknowledged", m.key)
		require.Eventually(w.t, func() bool {
			var turn schemas.Turn
			w.get("/v1/turns/"+m.id, &turn)
			return turn.Status.Final()
		}, endWithin, 10*time.Millisecond, "turn %s of %s ends", m.id, m.key)
	}
}

// awaitCrawl waits until the crawl is over.
func (w *world) awaitCrawl() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var source schemas.Source
		w.get("/v1/knowledge/"+w.source, &source)
		return source.Status != schemas.SourceIndexing
	}, endWithin, 50*time.Millisecond, "the crawl ends")
}

// prove counts what became of all that was sent, and ends the process.
func (w *world) prove() figures {
	w.t.Helper()
	var f figures
	w.await()
	known := map[string]bool{}
	for _, m := range w.messages() {
		w.proveTurn(m, known, &f)
	}
	w.proveLedger(known, &f)
	w.proveConversations(&f)
	w.proveAnalytics(f)
	if w.source != "" {
		w.awaitCrawl()
		w.proveSite(&f)
	}
	code, _ := w.alive(w.t.Context()).Stop()
	require.Zero(w.t, code, "the process ends in order")
	if w.source != "" {
		w.proveIndex(f)
	}
	return f
}

// proveTurn holds a turn and its calls against what was asked and against the
// tools' ledger.
func (w *world) proveTurn(m *message, known map[string]bool, f *figures) {
	w.t.Helper()
	var turn schemas.Turn
	w.get("/v1/turns/"+m.id, &turn)
	f.acknowledged++
	f.modelRuns += turn.Usage.ModelCalls
	require.Equal(w.t, schemas.TurnCompleted, turn.Status, "%s: %+v", m.key, turn.Error)
	f.completed++
	require.Equal(w.t, m.session, turn.SessionID)
	require.Len(w.t, turn.ToolCalls, len(m.emails), "calls of %q: %s", m.text, turn.Reply)
	ledger := w.tools.entries()
	for i, call := range turn.ToolCalls {
		f.calls++
		key := keyOf(turn, call)
		known[key] = true
		require.Equal(w.t, m.tool, call.Name)
		require.JSONEq(w.t, fmt.Sprintf(`{"email":%q}`, m.emails[i]), string(call.Arguments))
		e, delivered := ledger[key]
		if call.Status == schemas.CallUnknown {
			f.unknown++
			require.Equal(w.t, schemas.EffectUnsafe, effects[m.tool], "only an unsafe call may stay unknown")
			require.LessOrEqual(w.t, e.deliveries, 1)
			require.Contains(w.t, turn.Reply, "it may have taken effect")
			continue
		}
		require.Equal(w.t, schemas.CallSucceeded, call.Status, "%s: %+v", m.key, call.Error)
		require.True(w.t, delivered, "%s is in the ledger", key)
		require.Equal(w.t, m.emails[i], e.email)
		require.JSONEq(w.t, fmt.Sprintf(`{"receipt":%q}`, e.receipt), string(call.Result))
		require.Contains(w.t, turn.Reply, e.receipt)
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
func (w *world) proveLedger(known map[string]bool, f *figures) {
	w.t.Helper()
	for key, e := range w.tools.entries() {
		f.keys++
		f.deliveries += e.deliveries
		f.again += e.deliveries - 1
		if e.effects != 1 {
			f.twice++
		}
		require.True(w.t, known[key], "%s is a call of a turn", key)
		require.Equal(w.t, 1, e.effects, "%s took effect once (%s, delivered %d times)", key, e.tool, e.deliveries)
		if effects[e.tool] == schemas.EffectUnsafe {
			require.Equal(w.t, 1, e.deliveries, "the unsafe %s was delivered once", key)
		}
	}
}

// proveConversations reads the conversations back: no message is missing, none
// is there twice, and they are in order.
func (w *world) proveConversations(f *figures) {
	w.t.Helper()
	counts := w.messageCounts()
	require.Len(w.t, counts, len(w.sessions))
	for _, sent := range w.sessions {
		var conversation struct {
			Messages []schemas.Message `json:"messages"`
		}
		w.get("/v1/conversations/"+sent[0].session, &conversation)
		var users, assistants, wantUsers, wantAssistants []string
		for _, m := range conversation.Messages {
			if m.Role == schemas.RoleUser {
				users = append(users, m.Content)
			} else {
				assistants = append(assistants, m.ID)
			}
		}
		for _, m := range sent {
			wantUsers, wantAssistants = append(wantUsers, m.text), append(wantAssistants, m.id)
		}
		require.Equal(w.t, wantUsers, users)
		require.Equal(w.t, wantAssistants, assistants)
		require.Equal(w.t, len(conversation.Messages), counts[sent[0].session], "messageCount of %s", sent[0].session)
		f.conversations++
		f.messages += len(conversation.Messages)
	}
}

// messageCounts reads the whole list of conversations.
func (w *world) messageCounts() map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for cursor := ""; ; {
		var list struct {
			Conversations []schemas.Conversation `json:"conversations"`
			Total         int                    `json:"total"`
			NextCursor    string                 `json:"nextCursor"`
		}
		w.get("/v1/conversations?limit=100"+cursor, &list)
		require.Equal(w.t, len(w.sessions), list.Total)
		for _, c := range list.Conversations {
			require.NotContains(w.t, counts, c.ID)
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
func (w *world) proveAnalytics(f figures) {
	w.t.Helper()
	want := map[string]int{}
	for _, m := range w.messages() {
		want[m.tool]++
	}
	agree := func() bool {
		var got schemas.Figures
		w.get("/v1/analytics", &got)
		intents := map[string]int{}
		for _, i := range got.Intents {
			intents[i.Name] = i.Count
		}
		return got.Conversations == f.conversations && got.MessagesTotal == f.messages && fmt.Sprint(intents) == fmt.Sprint(want)
	}
	require.Eventually(w.t, agree, figuresLag, 50*time.Millisecond, "analytics agree with what was sent: %+v %v", f, want)
	pause(600 * time.Millisecond)
	require.True(w.t, agree(), "analytics still agree")
}

// proveSite sees each page indexed once, and found by its own word once.
func (w *world) proveSite(f *figures) {
	w.t.Helper()
	var source schemas.Source
	w.get("/v1/knowledge/"+w.source, &source)
	require.Equal(w.t, schemas.SourceReady, source.Status, source.Reason)
	require.Equal(w.t, schemas.PageCounts{Total: w.site.pages, Indexed: w.site.pages}, source.Pages)
	for cursor := ""; ; {
		var list struct {
			Pages      []schemas.Page `json:"pages"`
			Total      int            `json:"total"`
			NextCursor string         `json:"nextCursor"`
		}
		w.get("/v1/knowledge/"+w.source+"/pages?limit=100"+cursor, &list)
		for _, p := range list.Pages {
			require.Equal(w.t, schemas.PageIndexed, p.State, "%s: %s %s", p.URL, p.Reason, p.Detail)
			f.pages++
			f.chunks += p.Chunks
		}
		if list.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(list.NextCursor)
	}
	require.Equal(w.t, w.site.pages, f.pages)
	f.fetched = int(w.site.fetched.Load())
	for n := range w.site.pages {
		w.proveFound(n)
	}
}

func (w *world) proveFound(n int) {
	w.t.Helper()
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
	require.Equal(w.t, []string{w.site.address(n)}, where, "the word of page %d is found once", n)
}

// proveIndex opens the index of the ended process: it holds the chunks of one
// version of each page and nothing else.
func (w *world) proveIndex(f figures) {
	w.t.Helper()
	index, err := searchsqlite.Open(w.t.Context(), searchsqlite.Config{Path: filepath.Join(w.dir, "search.db")})
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, index.Close()) }()
	chunks, err := index.Count(w.t.Context(), schemas.DefaultProduct, search.Selection{Source: w.source})
	require.NoError(w.t, err)
	require.Equal(w.t, f.chunks, chunks, "chunks in the index")
}
