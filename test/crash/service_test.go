// Package crash kills the real program, at random moments of a load and once
// at each of its failpoints, and counts afterwards what became of the work. It
// sees the program as its callers do: through the API, through the requests
// that reach tools and sites, and at the end through the files.
package crash

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
	searchsqlite "runa/search/sqlite"
	"runa/test/harness"
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

// world is a service under clients.
type world struct {
	*service
	*harness.World
}

// newWorld makes a service whose customer has a site and tools, which answer
// within slow.
func newWorld(t *testing.T, slow time.Duration, site *harness.Site) *world {
	s := newService(t)
	return &world{s, &harness.World{T: t, Tools: harness.NewToolbox(t, slow), Site: site, Alive: s.alive}}
}

// prove counts what became of all that was sent, and ends the process.
func (w *world) prove() harness.Figures {
	w.t.Helper()
	f := w.Prove()
	code, _ := w.alive(w.t.Context()).Stop()
	require.Zero(w.t, code, "the process ends in order")
	if w.Source != "" {
		w.proveIndex(f)
	}
	return f
}

// proveIndex opens the index of the ended process: it holds the chunks of one
// version of each page and nothing else.
func (w *world) proveIndex(f harness.Figures) {
	w.t.Helper()
	index, err := searchsqlite.Open(w.t.Context(), searchsqlite.Config{Path: filepath.Join(w.dir, "search.db")})
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, index.Close()) }()
	chunks, err := index.Count(w.t.Context(), schemas.DefaultProduct, search.Selection{Source: w.Source})
	require.NoError(w.t, err)
	require.Equal(w.t, f.Chunks, chunks, "chunks in the index")
}
