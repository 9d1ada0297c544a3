package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// message is what a client sends and what came of it.
type message struct {
	session, key, text, tool string
	emails                   []string
	// wait is how many seconds the client lets the call block.
	wait int

	// id is set once the turn was acknowledged.
	id string
}

// world is everything that a case counts afterwards.
type world struct {
	*service
	tools *toolbox
	site  *site

	// sessions are the messages of each session, in the order they are sent.
	sessions [][]*message
	source   string

	mu   sync.Mutex
	seen map[string]bool
}

// messages are those of all sessions.
func (w *world) messages() []*message { return slices.Concat(w.sessions...) }

// register tells the program about the tools.
func (w *world) register(ctx context.Context) error {
	for _, spec := range w.tools.specs() {
		if status, body := w.insist(ctx, "/v1/tools", "tool "+spec.Name, spec); status != http.StatusOK {
			return fmt.Errorf("register tool %s: %d %s", spec.Name, status, body)
		}
	}
	return nil
}

// crawl gives the program the site to crawl.
func (w *world) crawl(ctx context.Context) error {
	none := 0
	status, body := w.insist(ctx, "/v1/knowledge", "site", schemas.SourceSpec{
		Type: schemas.SourceURL, URL: w.site.front(), Name: "site", Crawl: schemas.CrawlOptions{DelayMs: &none},
	})
	if status != http.StatusOK {
		return fmt.Errorf("register site: %d %s", status, body)
	}
	var source struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &source); err != nil {
		return err
	}
	w.source = source.ID
	return nil
}

// send sends a message until it is acknowledged.
func (w *world) send(ctx context.Context, m *message) error {
	status, body := w.insist(ctx, "/v1/chat", m.key, map[string]any{"sessionId": m.session, "message": m.text, "wait": m.wait})
	if status != http.StatusOK && status != http.StatusAccepted {
		return fmt.Errorf("message %s: %d %s", m.key, status, body)
	}
	var turn schemas.Turn
	if err := json.Unmarshal(body, &turn); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m.id = turn.ID
	return nil
}

// addSession adds a session of so many messages; next makes the i-th.
func (w *world) addSession(n int, next func(i int) *message) {
	session := fmt.Sprintf("session-%03d", len(w.sessions)+1)
	var messages []*message
	for i := range n {
		m := next(i)
		m.session, m.key = session, fmt.Sprintf("%s/%d", session, i+1)
		messages = append(messages, m)
	}
	w.sessions = append(w.sessions, messages)
}

// newMessage asks for a call of the tool for each of n users that no other
// message names.
func (w *world) newMessage(tool string, n int) *message {
	m := &message{tool: tool}
	for i := range n {
		m.emails = append(m.emails, fmt.Sprintf("user%d.s%d.%c@example.com", len(w.seen), len(w.sessions)+1, 'a'+i))
	}
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	m.text = ask(tool, m.emails...)
	require.False(w.t, w.seen[m.text], "a message of its own")
	w.seen[m.text] = true
	return m
}
