package harness

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// Product is one customer of several, with a tool that answers when its gate
// is open.
type Product struct {
	t    testing.TB
	id   string
	gate chan struct{}
	sent atomic.Int64
	// APIs are those that it sends to, with its key.
	APIs []*runatest.Runa
}

// NewProduct makes a product whose tool takes so long behind its gate.
func NewProduct(t testing.TB, apis []*runatest.Runa, id string, slow time.Duration) *Product {
	t.Helper()
	p := &Product{t: t, id: id, gate: make(chan struct{})}
	operator := apis[0].For(t, runatest.Operator)
	made := operator.Do(runatest.Request{Method: http.MethodPost, Path: "/v1/products", Body: map[string]string{"id": id, "name": id}})
	require.Equal(t, http.StatusOK, made.Status, "%s", made.Body)
	var key struct{ Key string }
	operator.Do(runatest.Request{
		Method: http.MethodPost, Path: "/v1/keys", Body: map[string]string{"productId": id, "name": "test"},
	}).JSON(t, &key)
	for _, r := range apis {
		p.APIs = append(p.APIs, r.For(t, key.Key))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-p.gate:
		case <-r.Context().Done():
		}
		Pause(slow)
		_, _ = fmt.Fprint(w, `{"status":"shipped"}`) // the caller may be gone
	}))
	t.Cleanup(server.Close)
	tool := p.APIs[0].Do(runatest.Request{Method: http.MethodPost, Path: "/v1/tools", Body: schemas.ToolSpec{
		Name: "track_order", Description: "Track the order of a user by e-mail address", Method: http.MethodGet, Endpoint: server.URL + "/{email}",
		Parameters: json.RawMessage(`{"type":"object","required":["email"],"properties":{"email":{"type":"string","format":"email"}}}`),
		Effect:     schemas.EffectRead,
	}})
	require.Equal(t, http.StatusOK, tool.Status, "%s", tool.Body)
	return p
}

// Open opens the gate of the tool for good.
func (p *Product) Open() { close(p.gate) }

// Send sends a message that makes one call of the tool, to one API after the
// other.
func (p *Product) Send(wait int) runatest.Answer {
	p.t.Helper()
	return p.send(wait, "Track the order of user%d@example.com")
}

// Greet sends a message that makes no call.
func (p *Product) Greet(wait int) runatest.Answer {
	p.t.Helper()
	return p.send(wait, "What does plan %d cost?")
}

// send sends again under its key while it is told to: a burst may be more than
// a busy machine takes in at once. It does not hold the answer against the
// specification, which would cost what is measured.
func (p *Product) send(wait int, text string) (answer runatest.Answer) {
	p.t.Helper()
	const tries = 60
	n := p.sent.Add(1)
	session := fmt.Sprintf("%s-%d", p.id, n)
	for range tries {
		var err error
		answer, err = p.APIs[int(n)%len(p.APIs)].Try(runatest.Request{
			Method: http.MethodPost, Path: "/v1/chat", Header: map[string]string{"Idempotency-Key": session},
			Body: map[string]any{"sessionId": session, "message": fmt.Sprintf(text, n), "wait": wait},
		})
		require.NoError(p.t, err)
		if answer.Status != http.StatusServiceUnavailable {
			break
		}
		Pause(time.Second)
	}
	return answer
}

// Crawl gives it a site to crawl, and returns the source.
func (p *Product) Crawl(site *Site) (source schemas.Source) {
	p.t.Helper()
	none, most := 0, site.pages
	answer := p.APIs[0].Do(runatest.Request{Method: http.MethodPost, Path: "/v1/knowledge", Body: schemas.SourceSpec{
		Type: schemas.SourceURL, URL: site.front(), Name: "site", Crawl: schemas.CrawlOptions{DelayMs: &none, MaxPages: &most},
	}})
	require.Equal(p.t, http.StatusOK, answer.Status, "%s", answer.Body)
	answer.JSON(p.t, &source)
	return source
}

// Delete deletes a source, which ends its crawl.
func (p *Product) Delete(source string) {
	p.t.Helper()
	answer := p.APIs[0].Do(runatest.Request{Method: http.MethodDelete, Path: "/v1/knowledge/" + source})
	require.Less(p.t, answer.Status, http.StatusMultipleChoices, "%s", answer.Body)
}

// Source reads a source.
func (p *Product) Source(id string) (source schemas.Source) {
	p.t.Helper()
	p.APIs[0].Do(runatest.Request{Method: http.MethodGet, Path: "/v1/knowledge/" + id}).JSON(p.t, &source)
	return source
}

// Turn reads a turn.
func (p *Product) Turn(id string) (turn schemas.Turn) {
	p.t.Helper()
	answer := p.APIs[0].Do(runatest.Request{Method: http.MethodGet, Path: "/v1/turns/" + id})
	require.Equal(p.t, http.StatusOK, answer.Status, "%s", answer.Body)
	answer.JSON(p.t, &turn)
	return turn
}

// Ended are how many of the turns have ended; each must have completed, with
// its call.
func (p *Product) Ended(ids []string) (n int) {
	p.t.Helper()
	for _, id := range ids {
		turn := p.Turn(id)
		if !turn.Status.Final() {
			continue
		}
		require.Equal(p.t, schemas.TurnCompleted, turn.Status, "%+v", turn.Error)
		require.Len(p.t, turn.ToolCalls, 1)
		n++
	}
	return n
}

// IDOf is the id of the turn in an answer.
func IDOf(t testing.TB, answer runatest.Answer) string {
	t.Helper()
	var turn schemas.Turn
	answer.JSON(t, &turn)
	require.NotEmpty(t, turn.ID)
	return turn.ID
}

// Flood sends so many turns that nobody waits for.
func (p *Product) Flood(turns int) []string {
	p.t.Helper()
	const senders = 32
	ids := make([]string, turns)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for n := s; n < turns; n += senders {
				answer := p.Send(0)
				if answer.Status != http.StatusAccepted {
					p.t.Errorf("%d %s", answer.Status, answer.Body)
					return
				}
				ids[n] = IDOf(p.t, answer)
			}
		})
	}
	all.Wait()
	return ids
}
