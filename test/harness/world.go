// Package harness is the customer of black-box tests that kill the program: its
// tools, its site, clients that insist, and the count of what became of all
// that they sent. It sees the program through the API and through the requests
// that reach the tools and the site; it starts and kills nothing.
package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"runa/schemas"
	"runa/test/runatest"
)

// Message is what a client sends and what came of it.
type Message struct {
	Session, Key, Text, tool string
	emails                   []string
	// Wait is how many seconds the client lets the call block.
	Wait int

	// ID is set once the turn was acknowledged.
	ID string
}

// World is the clients, the tools and the site of a test, and everything that
// it counts afterwards.
type World struct {
	T     testing.TB
	Tools *Toolbox
	// Site is crawled; nil where nothing is.
	Site *Site
	// Alive returns a running program to talk to, waiting for one, or nil when
	// the context ends.
	Alive func(context.Context) *runatest.Runa
	// Again says whether clients send a request once more, under its key, after
	// an answer or an error. Default: Insistent.
	Again func(runatest.Answer, error) bool

	// Sessions are the messages of each session, in the order they are sent.
	Sessions [][]*Message
	// Source is the site's, once it is registered.
	Source string

	mu   sync.Mutex
	seen map[string]bool
}

// Insistent is a client that sends again after any failure to get an answer.
func Insistent(a runatest.Answer, err error) bool {
	return err != nil || a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests
}

// Insist makes a request again and again, as a client does that was told to
// retry under one Idempotency-Key, until it is answered. Status 0 says that
// the context ended.
func (w *World) Insist(ctx context.Context, path, key string, body any) (status int, answer []byte) {
	again := w.Again
	if again == nil {
		again = Insistent
	}
	for {
		r := w.Alive(ctx)
		if r == nil {
			return 0, nil
		}
		a, err := r.Try(runatest.Request{
			Method: http.MethodPost, Path: path, Body: body, Header: map[string]string{"Idempotency-Key": key},
		})
		if !again(a, err) {
			return a.Status, a.Body
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// Get reads from a running program and holds the answer against the
// specification.
func (w *World) Get(path string, dest any) {
	w.T.Helper()
	w.do(http.MethodGet, path, nil, dest)
}

func (w *World) do(method, path string, body, dest any) {
	w.T.Helper()
	r := w.Alive(w.T.Context())
	a := r.Do(runatest.Request{Method: method, Path: path, Body: body})
	if a.Status != http.StatusOK {
		w.T.Fatalf("%s %s: %d %s\n%s", method, path, a.Status, a.Body, Tail(r.Log()))
	}
	if err := json.Unmarshal(a.Body, dest); err != nil {
		w.T.Fatalf("%s %s: %v: %s", method, path, err, a.Body)
	}
}

// Tail is the end of a log.
func Tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Messages are those of all sessions.
func (w *World) Messages() []*Message { return slices.Concat(w.Sessions...) }

// Register tells the program about the tools.
func (w *World) Register(ctx context.Context) error {
	for _, spec := range w.Tools.specs() {
		if status, body := w.Insist(ctx, "/v1/tools", "tool "+spec.Name, spec); status != http.StatusOK {
			return fmt.Errorf("register tool %s: %d %s", spec.Name, status, body)
		}
	}
	return nil
}

// Crawl gives the program the site to crawl.
func (w *World) Crawl(ctx context.Context) error {
	none := 0
	status, body := w.Insist(ctx, "/v1/knowledge", "site", schemas.SourceSpec{
		Type: schemas.SourceURL, URL: w.Site.front(), Name: "site", Crawl: schemas.CrawlOptions{DelayMs: &none},
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
	w.Source = source.ID
	return nil
}

// Send sends a message until it is acknowledged.
func (w *World) Send(ctx context.Context, m *Message) error {
	status, body := w.Insist(ctx, "/v1/chat", m.Key, map[string]any{"sessionId": m.Session, "message": m.Text, "wait": m.Wait})
	if status != http.StatusOK && status != http.StatusAccepted {
		return fmt.Errorf("message %s: %d %s", m.Key, status, body)
	}
	var turn schemas.Turn
	if err := json.Unmarshal(body, &turn); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m.ID = turn.ID
	return nil
}

// AddSession adds a session of so many messages; next makes the i-th.
func (w *World) AddSession(n int, next func(i int) *Message) {
	session := fmt.Sprintf("session-%03d", len(w.Sessions)+1)
	var messages []*Message
	for i := range n {
		m := next(i)
		m.Session, m.Key = session, fmt.Sprintf("%s/%d", session, i+1)
		messages = append(messages, m)
	}
	w.Sessions = append(w.Sessions, messages)
}

// NewMessage asks for a call of the tool for each of n users that no other
// message names.
func (w *World) NewMessage(tool string, n int) *Message {
	m := &Message{tool: tool}
	for i := range n {
		m.emails = append(m.emails, fmt.Sprintf("user%d.s%d.%c@example.com", len(w.seen), len(w.Sessions)+1, 'a'+i))
	}
	if w.seen == nil {
		w.seen = map[string]bool{}
	}
	m.Text = ask(tool, m.emails...)
	require.False(w.T, w.seen[m.Text], "a message of its own")
	w.seen[m.Text] = true
	return m
}

// Plan fills the sessions with so many messages of all tools: single messages
// and conversations of up to four.
func (w *World) Plan(random *rand.Rand, messages int) {
	tools := []string{FindUser, CreateTicket, RefundOrder}
	for left := messages; left > 0; {
		n := min(left, 1+random.IntN(4))
		w.AddSession(n, func(int) *Message {
			m := w.NewMessage(tools[random.IntN(len(tools))], 1+random.IntN(5)/4)
			m.Wait = random.IntN(2) * 60
			return m
		})
		left -= n
	}
}

// Clients are one for each session and one that gives the site to crawl. A
// client sends its next message when the last one is acknowledged and it has a
// permit.
func (w *World) Clients(ctx context.Context, permits <-chan struct{}) *errgroup.Group {
	group, ctx := errgroup.WithContext(ctx)
	registered := make(chan struct{})
	group.Go(func() error {
		if err := w.Register(ctx); err != nil {
			return err
		}
		close(registered)
		return w.Crawl(ctx)
	})
	for _, session := range w.Sessions {
		group.Go(func() error {
			select {
			case <-registered:
			case <-ctx.Done():
				return ctx.Err()
			}
			for _, m := range session {
				<-permits
				if err := w.Send(ctx, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group
}
