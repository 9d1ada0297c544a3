package crash

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"runa/schemas"
)

// The tools of the load, one of each effect.
const (
	findUser     = "find_user"
	createTicket = "create_ticket"
	refundOrder  = "refund_order"
)

var effects = map[string]schemas.Effect{
	findUser:     schemas.EffectRead,
	createTicket: schemas.EffectIdempotent,
	refundOrder:  schemas.EffectUnsafe,
}

// entry is what a tool knows of one Idempotency-Key.
type entry struct {
	tool, email string
	receipt     string
	deliveries  int
	effects     int
}

// toolbox is a customer's tool server. It keeps a ledger of the keys that it
// was given: a tool that honours them takes effect once for each, the unsafe
// one each time that it is called.
type toolbox struct {
	*httptest.Server
	// slow is the longest that a request takes.
	slow time.Duration

	mu     sync.Mutex
	ledger map[string]*entry
	onCall func()
}

func newToolbox(t testing.TB, slow time.Duration) *toolbox {
	b := &toolbox{slow: slow, ledger: map[string]*entry{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{email}", func(w http.ResponseWriter, r *http.Request) {
		b.answer(w, r, findUser, r.PathValue("email"))
	})
	mux.HandleFunc("POST /tickets", func(w http.ResponseWriter, r *http.Request) { b.answer(w, r, createTicket, emailOf(r)) })
	mux.HandleFunc("POST /refunds", func(w http.ResponseWriter, r *http.Request) { b.answer(w, r, refundOrder, emailOf(r)) })
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

// atNextCall sets what happens while the next request waits for its answer.
func (b *toolbox) atNextCall(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onCall = do
}

func emailOf(r *http.Request) string {
	var arguments struct {
		Email string `json:"email"`
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &arguments) != nil {
		return ""
	}
	return arguments.Email
}

// specs are the bodies of POST /v1/tools.
func (b *toolbox) specs() []schemas.ToolSpec {
	parameters := json.RawMessage(`{"type":"object","required":["email"],"additionalProperties":false,
		"properties":{"email":{"type":"string","format":"email","description":"The e-mail address of the user"}}}`)
	spec := func(name, description, method, path string) schemas.ToolSpec {
		return schemas.ToolSpec{
			Name: name, Description: description, Method: method, Endpoint: b.URL + path,
			Parameters: parameters, Effect: effects[name],
		}
	}
	return []schemas.ToolSpec{
		spec(findUser, "Look up a user by e-mail address", http.MethodGet, "/users/{email}"),
		spec(createTicket, "Create a ticket for a user", http.MethodPost, "/tickets"),
		spec(refundOrder, "Refund the order of a user", http.MethodPost, "/refunds"),
	}
}

// answer takes effect at once or only after a while, as tools do, so that a
// caller that dies finds either.
func (b *toolbox) answer(w http.ResponseWriter, r *http.Request, tool, email string) {
	key := r.Header.Get("Idempotency-Key")
	b.mu.Lock()
	e := b.ledger[key]
	if e == nil {
		e = &entry{tool: tool, email: email, receipt: fmt.Sprintf("R%06d", len(b.ledger)+1)}
		b.ledger[key] = e
	}
	e.deliveries++
	do := b.onCall
	b.onCall = nil
	b.mu.Unlock()
	if do != nil {
		do()
	}
	early := rand.IntN(2) == 0
	if early {
		b.apply(e)
	}
	pause(rand.N(b.slow + 1))
	if !early {
		b.apply(e)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"receipt":%q}`, e.receipt) // the caller may be dead
}

func (b *toolbox) apply(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.effects == 0 || effects[e.tool] == schemas.EffectUnsafe {
		e.effects++
	}
}

// entries is the ledger as it is now.
func (b *toolbox) entries() map[string]entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	copied := make(map[string]entry, len(b.ledger))
	for key, e := range maps.All(b.ledger) {
		copied[key] = *e
	}
	return copied
}

// ask is a message that makes the model call the tool once for each address.
func ask(tool string, emails ...string) string {
	who := strings.Join(emails, " and ")
	switch tool {
	case createTicket:
		return "Create a ticket for " + who
	case refundOrder:
		return "Refund the order of " + who
	default:
		return "Look up the user " + who
	}
}

// pause lets time pass, as a slow tool does.
func pause(d time.Duration) { <-time.After(d) }
