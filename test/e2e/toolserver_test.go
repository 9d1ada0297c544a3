package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// toolServer is somebody's API. It answers /weather?city=… and what a test
// adds, and remembers what it was asked.
type toolServer struct {
	*httptest.Server
	t  *testing.T
	mu sync.Mutex
	// seen are the requests, in the order in which they came.
	seen []seenRequest
	// held are the cities whose weather is not told yet.
	held map[string]chan struct{}
	mux  *http.ServeMux
}

type seenRequest struct {
	method, body string
	url          *url.URL
	header       http.Header
}

func serveTools(t *testing.T) *toolServer {
	t.Helper()
	s := &toolServer{t: t, held: map[string]chan struct{}{}, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /weather", s.tellWeather)
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *toolServer) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a caller that is gone sees no answer
	s.mu.Lock()
	s.seen = append(s.seen, seenRequest{r.Method, string(body), r.URL, r.Header.Clone()})
	s.mu.Unlock()
	s.mux.ServeHTTP(w, r)
}

func (s *toolServer) tellWeather(w http.ResponseWriter, r *http.Request) {
	city := r.URL.Query().Get("city")
	s.mu.Lock()
	held := s.held[city]
	s.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	writeJSON(w, map[string]any{"city": city, "celsius": len(city)})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // a caller that is gone sees no answer
}

// answer makes the server answer a pattern of http.ServeMux.
func (s *toolServer) answer(pattern string, with http.HandlerFunc) { s.mux.HandleFunc(pattern, with) }

// hold keeps the weather of a city back until it is opened, at the latest at
// the end of the test.
func (s *toolServer) hold(city string) (open func()) {
	held := make(chan struct{})
	s.mu.Lock()
	s.held[city] = held
	s.mu.Unlock()
	open = sync.OnceFunc(func() { close(held) })
	s.t.Cleanup(open)
	return open
}

func (s *toolServer) requests() []seenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// await waits until so many requests have come.
func (s *toolServer) await(n int) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("the tool is asked %d times", n), func() bool { return len(s.requests()) >= n })
}

// weather is the definition of the tool that every server has.
func (s *toolServer) weather() map[string]any {
	return map[string]any{
		"name": "get_weather", "description": "Get the weather of a city.", "endpoint": s.URL + "/weather", "method": "GET",
		"parameters": map[string]any{
			"type": "object", "required": []string{"city"},
			"properties": map[string]any{"city": map[string]any{"type": "string", "description": "Name of the city", "maxLength": 20}},
		},
	}
}
