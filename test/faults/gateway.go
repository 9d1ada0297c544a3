package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Spoil answers a request in place of the service, or after it has asked the
// service itself. False leaves the request to the service.
type Spoil func(w http.ResponseWriter, r *http.Request, service http.Handler) bool

// Gateway stands before a service that speaks HTTP, and gives its answers or
// others.
type Gateway struct {
	*httptest.Server
	service http.Handler

	mu      sync.Mutex
	spoil   Spoil
	spoiled int
}

// NewGateway starts a gateway for the service at an address; it ends with the
// test.
func NewGateway(t testing.TB, service string) *Gateway {
	t.Helper()
	u, err := url.Parse(service)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})
	// A caller that went away is none of its faults.
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	g := &Gateway{service: proxy}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// Set changes what the gateway spoils; nil is nothing.
func (g *Gateway) Set(s Spoil) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spoil = s
}

// Spoiled is how many answers were not the service's.
func (g *Gateway) Spoiled() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.spoiled
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	spoil := g.spoil
	g.mu.Unlock()
	if spoil == nil || !spoil(&counting{ResponseWriter: w, gateway: g}, r, g.service) {
		g.service.ServeHTTP(w, r)
	}
}

// counting counts an answer when it begins.
type counting struct {
	http.ResponseWriter
	gateway *Gateway
}

// WriteHeader implements http.ResponseWriter.
func (c *counting) WriteHeader(status int) {
	c.gateway.mu.Lock()
	c.gateway.spoiled++
	c.gateway.mu.Unlock()
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Refused answers every request with a status and a body.
func Refused(status int, body string) Spoil {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // whoever asked is gone
		return true
	}
}

// CutShort gives the first half of each of the service's answers.
func CutShort(w http.ResponseWriter, r *http.Request, service http.Handler) bool {
	answer := httptest.NewRecorder()
	service.ServeHTTP(answer, r)
	copyHeader(w, answer)
	w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2]) // whoever asked is gone
	_ = http.NewResponseController(w).Flush()                 // the half must be on its way before the cut
	panic(http.ErrAbortHandler)
}

func copyHeader(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Encoding")
	w.Header().Del("Content-Length")
}

// Mixed lets a bulk request of Elasticsearch partly through: of each round of
// items, one for each status fails with it. What failed with 409 was stored, as
// after an answer that got lost; the others were not.
func Mixed(statuses ...int) Spoil {
	var mu sync.Mutex
	n := 0
	next := func() int { // 0 lets an item through
		mu.Lock()
		defer mu.Unlock()
		n++
		if i := n % (2 * len(statuses)); i < len(statuses) {
			return statuses[i]
		}
		return 0
	}
	return func(w http.ResponseWriter, r *http.Request, service http.Handler) bool {
		if !strings.HasSuffix(r.URL.Path, "/_bulk") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		answerBulk(w, r, body, service, next)
		return true
	}
}

// answerBulk sends on the items that next lets through and tells of all.
func answerBulk(w http.ResponseWriter, r *http.Request, body []byte, service http.Handler, next func() int) {
	lines := bytes.SplitAfter(body, []byte("\n"))
	var passed bytes.Buffer
	results := make([]json.RawMessage, len(lines)/2)
	sent := map[int]int{} // the item of the service's answer, by our item
	for i := range results {
		status := next()
		if status != 0 {
			results[i] = fmt.Appendf(nil, `{"index":{"status":%d,"error":{"type":"spoiled","reason":"spoiled"}}}`, status)
		}
		if status == 0 || status == http.StatusConflict {
			sent[i] = len(sent)
			passed.Write(bytes.Join(lines[2*i:2*i+2], nil))
		}
	}
	var answer struct {
		Items []json.RawMessage `json:"items"`
	}
	if len(sent) > 0 {
		recorder := httptest.NewRecorder()
		on := r.Clone(r.Context())
		on.Body, on.ContentLength = io.NopCloser(&passed), int64(passed.Len())
		on.Header.Del("Accept-Encoding")
		service.ServeHTTP(recorder, on)
		if json.Unmarshal(recorder.Body.Bytes(), &answer) != nil || len(answer.Items) != len(sent) {
			copyHeader(w, recorder)
			w.WriteHeader(recorder.Code)
			_, _ = w.Write(recorder.Body.Bytes()) // whoever asked is gone
			return
		}
	}
	for i, at := range sent {
		if results[i] == nil {
			results[i] = answer.Items[at]
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.WriteHeader(http.StatusOK)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": true, "items": results}) // whoever asked is gone
}
