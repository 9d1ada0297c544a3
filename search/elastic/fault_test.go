package elastic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
	"runa/search/elastic"
)

// proxy stands before Elasticsearch. fault may answer a request itself; n
// counts the requests to the path's last part.
type proxy struct {
	*httputil.ReverseProxy
	mu    sync.Mutex
	seen  map[string]int
	fault func(w http.ResponseWriter, r *http.Request, what string, n int) (answered bool)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	p.mu.Lock()
	p.seen[what]++
	n := p.seen[what]
	p.mu.Unlock()
	if !p.fault(w, r, what, n) {
		p.ReverseProxy.ServeHTTP(w, r)
	}
}

// faulty opens a fresh index behind a proxy.
func faulty(t *testing.T, fault func(w http.ResponseWriter, r *http.Request, what string, n int) bool) *elastic.Index {
	t.Helper()
	cfg := config(t)
	require.NoError(t, elastic.Migrate(t.Context(), cfg))
	to, err := url.Parse(cfg.URL)
	require.NoError(t, err)
	server := httptest.NewServer(&proxy{ReverseProxy: httputil.NewSingleHostReverseProxy(to), seen: map[string]int{}, fault: fault})
	t.Cleanup(server.Close)
	cfg.URL = server.URL
	x := open(t, cfg)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

// respond answers as Elasticsearch would.
func respond(w http.ResponseWriter, status int, body string) bool {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	return true
}

const rejected = `{"error":{"type":"es_rejected_execution_exception","reason":"queue is full"},"status":429}`

// some lets only those items of a bulk request through that keep says, and
// answers the others with a status.
func some(p http.Handler, w http.ResponseWriter, r *http.Request, status func(i int) int) {
	data, _ := io.ReadAll(r.Body)
	lines := strings.SplitAfter(strings.TrimRight(string(data), "\n")+"\n", "\n")
	var through strings.Builder
	var items []json.RawMessage
	for i := 0; i+1 < len(lines); i += 2 {
		s := status(i / 2)
		if s == 0 {
			through.WriteString(lines[i] + lines[i+1])
			s = http.StatusCreated
		}
		item := fmt.Sprintf(`{"index":{"status":%d}}`, s)
		if s >= 400 {
			item = fmt.Sprintf(`{"index":{"status":%d,"error":{"type":"test_exception","reason":"as the test wants"}}}`, s)
		}
		items = append(items, json.RawMessage(item))
	}
	if through.Len() > 0 {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(through.String())), int64(through.Len())
		p.ServeHTTP(httptest.NewRecorder(), r)
	}
	body, _ := json.Marshal(map[string]any{"items": items})
	respond(w, http.StatusOK, string(body))
}

func entries(n int) []search.Entry {
	list := make([]search.Entry, n)
	for i := range list {
		list[i].Chunk = schemas.Chunk{ID: fmt.Sprintf("chunk-%03d", i), SourceID: "a", DocumentID: "d", Version: 1, N: i, Text: "apples"}
	}
	return list
}

// requireChunks expects the n chunks of entries, each once.
func requireChunks(t *testing.T, x search.Index, n int) {
	t.Helper()
	have, err := x.Count(t.Context(), "north", search.Selection{Source: "a"})
	require.NoError(t, err)
	require.Equal(t, n, have)
	found, err := x.Search(t.Context(), "north", search.Query{Text: "apples", Sources: []string{"a"}, Limit: 200})
	require.NoError(t, err)
	require.Len(t, found, n)
	for i, m := range found {
		require.Equal(t, fmt.Sprintf("chunk-%03d", i), m.ID)
	}
}

// What Elasticsearch has no room for is sent again, and that alone.
func TestPutIsRepeated(t *testing.T) {
	t.Parallel()
	to := through(t)
	faults := map[string]func(w http.ResponseWriter, r *http.Request, n int) bool{
		"429 for some items": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 3 {
				return false
			}
			some(to, w, r, func(i int) int { return []int{0, 429, 503}[i%3] })
			return true
		},
		"429 and 409": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			data, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(data)))
			r.ContentLength = int64(len(data))
			to.ServeHTTP(httptest.NewRecorder(), r)
			r.Body = io.NopCloser(strings.NewReader(string(data)))
			some(to, w, r, func(i int) int { return []int{429, 409}[i%2] })
			return true
		},
		"429 whole": func(w http.ResponseWriter, _ *http.Request, n int) bool { return n <= 2 && respond(w, 429, rejected) },
		"503 whole": func(w http.ResponseWriter, _ *http.Request, n int) bool { return n <= 2 && respond(w, 503, "<html>") },
		"truncated": func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n > 2 {
				return false
			}
			w.Header().Set("Content-Length", "1000")
			return respond(w, 200, `{"items":[{"index":{"sta`)
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request, n int) bool { return n <= 2 && respond(w, 200, "<html>") },
		"half of it": func(w http.ResponseWriter, _ *http.Request, n int) bool {
			return n <= 2 && respond(w, 200, `{"items":[]}`)
		},
		"answer lost": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			to.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		},
		"slow": func(_ http.ResponseWriter, _ *http.Request, n int) bool {
			time.Sleep(time.Duration(n) * 100 * time.Millisecond)
			return false
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := faulty(t, func(w http.ResponseWriter, r *http.Request, what string, n int) bool {
				return what == "_bulk" && fault(w, r, n)
			})
			require.NoError(t, x.Put(t.Context(), "north", entries(50)))
			requireChunks(t, x, 50)
		})
	}
}

// through is Elasticsearch itself.
func through(t *testing.T) http.Handler {
	t.Helper()
	to, err := url.Parse(config(t).URL)
	require.NoError(t, err)
	return httputil.NewSingleHostReverseProxy(to)
}

// A chunk that is refused is named, and nothing is tried again for it.
func TestPutIsRefused(t *testing.T) {
	t.Parallel()
	var sent atomic.Int32
	to := through(t)
	x := faulty(t, func(w http.ResponseWriter, r *http.Request, what string, _ int) bool {
		if what != "_bulk" {
			return false
		}
		sent.Add(1)
		some(to, w, r, func(i int) int { return []int{0, 429, 409, 400}[i%4] })
		return true
	})
	err := x.Put(t.Context(), "north", entries(8))
	require.ErrorContains(t, err, "chunk-003: status 400 test_exception: as the test wants")
	require.EqualValues(t, 1, sent.Load())
}

// No call outlives its context, however Elasticsearch behaves.
func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"stall": func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body) // only then is the client's leaving noticed
			<-r.Context().Done()
			return true
		},
		"refused": func(w http.ResponseWriter, _ *http.Request) bool { return respond(w, 429, rejected) },
		"cut":     func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := faulty(t, func(w http.ResponseWriter, r *http.Request, what string, _ int) bool {
				return what != "test" && !strings.HasSuffix(what, "*") && fault(w, r)
			})
			calls := map[string]func(ctx context.Context) error{
				"put":    func(ctx context.Context) error { return x.Put(ctx, "north", entries(3)) },
				"delete": func(ctx context.Context) error { return x.Delete(ctx, "north", search.Selection{Source: "a"}) },
				"count": func(ctx context.Context) error {
					_, err := x.Count(ctx, "north", search.Selection{Source: "a"})
					return err
				},
				"search": func(ctx context.Context) error {
					_, err := x.Search(ctx, "north", search.Query{Text: "apples", Sources: []string{"a"}, Limit: 5})
					return err
				},
				"ping": x.Ping,
			}
			for what, call := range calls {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				start := time.Now()
				require.Error(t, call(ctx), what)
				require.Less(t, time.Since(start), 600*time.Millisecond, what)
				cancel()
			}
		})
	}
}

// An answer that is not about all of the product's chunks is none.
func TestSearchIsWhole(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"timed out":    `{"responses":[{"status":200,"timed_out":true,"_shards":{"total":1,"failed":0},"hits":{"hits":[]}},{}]}`,
		"failed shard": `{"responses":[{"status":200,"_shards":{"total":2,"failed":1},"hits":{"hits":[]}},{}]}`,
		"error":        `{"responses":[{"status":503,"error":{"type":"search_phase_execution_exception","reason":"no shard"}},{}]}`,
		"nothing":      `{}`,
		"empty":        `{"responses":[{},{}]}`,
		"truncated":    `{"responses":[`,
		"no JSON":      `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := faulty(t, func(w http.ResponseWriter, _ *http.Request, what string, _ int) bool {
				return what == "_msearch" && respond(w, http.StatusOK, body)
			})
			_, err := x.Search(t.Context(), "north", search.Query{Text: "apples", Sources: []string{"a"}, Limit: 5})
			require.Error(t, err)
			require.Error(t, x.Ping(t.Context()))
		})
	}
}

func TestPutAtOnce(t *testing.T) {
	t.Parallel()
	x := setup(t)
	errs := make(chan error)
	for range 100 {
		go func() { errs <- x.Put(t.Context(), "north", entries(1)) }()
	}
	for range 100 {
		require.NoError(t, <-errs)
	}
	requireChunks(t, x, 1)
}
