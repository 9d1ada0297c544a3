// Package crash kills the real program, at random moments of a load and once
// at each of its failpoints, and counts afterwards what became of the work. It
// sees the program as its callers do: through the API, through the requests
// that reach tools and sites, and at the end through the files.
package crash

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"runa/test/runatest"
)

// parallel is how many cases run at a time: they wait for timeouts most of
// their time, so more of them than there are processors.
const parallel = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	code := m.Run()
	runatest.Cleanup()
	os.Exit(code)
}

// service is the program through its deaths: one data folder, and at each time
// one process or none.
type service struct {
	t   *testing.T
	dir string
	env []string

	mu      sync.Mutex
	current *runatest.Runa
	changed chan struct{}
	starts  []time.Duration
	died    time.Time
}

// newService prepares a service that may reach the addresses of tests.
func newService(t *testing.T) *service {
	return &service{t: t, dir: t.TempDir(), env: []string{"RUNA_OUTBOUND_ALLOW=127.0.0.1"}, changed: make(chan struct{})}
}

// start starts a process; killAfter, if not 0, kills it so long after, perhaps
// before it is ready. ready says whether it was.
func (s *service) start(killAfter time.Duration, env ...string) (r *runatest.Runa, ready bool) {
	began := time.Now()
	r, err := runatest.TryStart(s.t, runatest.Options{Dir: s.dir, Env: append(env, s.env...), KillAfter: killAfter})
	if err != nil {
		if killAfter == 0 {
			s.t.Fatal(err)
		}
		s.fell()
		return r, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts = append(s.starts, time.Since(began))
	s.current = r
	close(s.changed)
	s.changed = make(chan struct{})
	return r, true
}

// kill ends the process as a power cut would.
func (s *service) kill() {
	s.mu.Lock()
	r := s.current
	s.mu.Unlock()
	r.Kill()
	s.fell()
}

// fell notes that the process is dead.
func (s *service) fell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.died = nil, time.Now()
}

// alive returns the process that runs, waiting for one, or nil when the
// context ends.
func (s *service) alive(ctx context.Context) *runatest.Runa {
	for ctx.Err() == nil {
		s.mu.Lock()
		r, changed := s.current, s.changed
		s.mu.Unlock()
		if r != nil {
			return r
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// insist makes a request again and again, as a client does that was told to
// retry under one Idempotency-Key, until it is answered. Status 0 says that
// the context ended.
func (s *service) insist(ctx context.Context, path, key string, body any) (status int, answer []byte) {
	for {
		r := s.alive(ctx)
		if r == nil {
			return 0, nil
		}
		a, err := r.Try(runatest.Request{
			Method: http.MethodPost, Path: path, Body: body, Header: map[string]string{"Idempotency-Key": key},
		})
		if err == nil && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests {
			return a.Status, a.Body
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// get reads from the process that runs and holds the answer against the
// specification.
func (s *service) get(path string, dest any) {
	s.t.Helper()
	s.do(http.MethodGet, path, nil, dest)
}

func (s *service) do(method, path string, body, dest any) {
	s.t.Helper()
	r := s.alive(s.t.Context())
	a := r.Do(runatest.Request{Method: method, Path: path, Body: body})
	if a.Status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s\n%s", method, path, a.Status, a.Body, tail(r.Log()))
	}
	if err := json.Unmarshal(a.Body, dest); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, a.Body)
	}
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
