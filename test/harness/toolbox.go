package harness

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

// The tools of a World, one of each effect.
const (
	FindUser     = "find_user"
	CreateTicket = "create_ticket"
	RefundOrder  = "refund_order"
)

var effects = map[string]schemas.Effect{
	FindUser:     schemas.EffectRead,
	CreateTicket: schemas.EffectIdempotent,
	RefundOrder:  schemas.EffectUnsafe,
}

// entry is what a tool knows of one Idempotency-Key.
type entry struct {
	tool, email string
	receipt     string
	deliveries  int
	effects     int
}

// Toolbox is a customer's tool server. It keeps a ledger of the keys that it
// was given: a tool that honours them takes effect once for each, the unsafe
// one each time that it is called.
type Toolbox struct {
	*httptest.Server
	// slow is the longest that a request takes.
	slow time.Duration

	mu     sync.Mutex
	ledger map[string]*entry
	onCall func()
}

// NewToolbox serves the tools; a request takes slow at most.
func NewToolbox(t testing.TB, slow time.Duration) *Toolbox {
	b := &Toolbox{slow: slow, ledger: map[string]*entry{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{email}", func(w http.ResponseWriter, r *http.Request) {
		b.answer(w, r, FindUser, r.PathValue("email"))
	})
	mux.HandleFunc("POST /tickets", func(w http.ResponseWriter, r *http.Request) { b.answer(w, r, CreateTicket, emailOf(r)) })
	mux.HandleFunc("POST /refunds", func(w http.ResponseWriter, r *http.Request) { b.answer(w, r, RefundOrder, emailOf(r)) })
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

// AtNextCall sets what happens while the next request waits for its answer.
func (b *Toolbox) AtNextCall(do func()) {
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
func (b *Toolbox) specs() []schemas.ToolSpec {
	parameters := json.RawMessage(`{"type":"object","required":["email"],"additionalProperties":false,
		"properties":{"email":{"type":"string","format":"email","description":"The e-mail address of the user"}}}`)
	spec := func(name, description, method, path string) schemas.ToolSpec {
		return schemas.ToolSpec{
			Name: name, Description: description, Method: method, Endpoint: b.URL + path,
			Parameters: parameters, Effect: effects[name],
		}
	}
	return []schemas.ToolSpec{
		spec(FindUser, "Look up a user by e-mail address", http.MethodGet, "/users/{email}"),
		spec(CreateTicket, "Create a ticket for a user", http.MethodPost, "/tickets"),
		spec(RefundOrder, "Refund the order of a user", http.MethodPost, "/refunds"),
	}
}

// answer takes effect at once or only after a while, as tools do, so that a
// caller that dies finds either.
func (b *Toolbox) answer(w http.ResponseWriter, r *http.Request, tool, email string) {
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
	Pause(rand.N(b.slow + 1))
	if !early {
		b.apply(e)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"receipt":%q}`, e.receipt) // the caller may be dead
}

func (b *Toolbox) apply(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.effects == 0 || effects[e.tool] == schemas.EffectUnsafe {
		e.effects++
	}
}

// entries is the ledger as it is now.
func (b *Toolbox) entries() map[string]entry {
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
	case CreateTicket:
		return "Create a ticket for " + who
	case RefundOrder:
		return "Refund the order of " + who
	default:
		return "Look up the user " + who
	}
}

// Pause lets time pass, as a slow tool does.
func Pause(d time.Duration) { <-time.After(d) }
