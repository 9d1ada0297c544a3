package activities_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/schemas"
	"runa/search"
	"runa/store"
)

const product = activitiestest.Product

// quiet drops what the SDK logs.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// environment runs activities as a worker does; ctx is the worker's.
func environment(ctx context.Context, b *activitiestest.Bench) *testsuite.TestActivityEnvironment {
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetLogger(quiet{})
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	env.RegisterActivity(b.Activities)
	return env
}

// run runs an activity once.
func run(t *testing.T, b *activitiestest.Bench, activity, in any) error {
	t.Helper()
	return runIn(t.Context(), b, activity, in)
}

func runIn(ctx context.Context, b *activitiestest.Bench, activity, in any) error {
	_, err := environment(ctx, b).ExecuteActivity(activity, in)
	return err
}

// result runs an activity once and returns what it says.
func result[T any](t *testing.T, b *activitiestest.Bench, activity, in any) (out T, err error) {
	t.Helper()
	value, err := environment(t.Context(), b).ExecuteActivity(activity, in)
	if err != nil {
		return out, err
	}
	require.NoError(t, value.Get(&out))
	return out, nil
}

// requireFailure holds an activity's error to what the engine sees of it.
func requireFailure(t *testing.T, err error, code schemas.Code, final bool) {
	t.Helper()
	var failure *temporal.ApplicationError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, string(code), failure.Type(), "%v", err)
	require.Equal(t, final, failure.NonRetryable(), "%v", err)
}

// delayOf is the pause before the next try that a failure asks for.
func delayOf(t *testing.T, err error) time.Duration {
	t.Helper()
	var failure *temporal.ApplicationError
	require.ErrorAs(t, err, &failure)
	return failure.NextRetryDelay()
}

// alter changes a row behind the store's back: time that has passed.
func alter(t *testing.T, b *activitiestest.Bench, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(b.Records())+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err)
}

func turnOf(t *testing.T, b *activitiestest.Bench, key activities.TurnKey) store.TurnRecord {
	t.Helper()
	turn, err := b.Store.Turn(t.Context(), key.Product, key.Turn)
	require.NoError(t, err)
	return turn
}

// index is a search.Index whose methods a test may replace.
type index struct {
	search.Index
	search func(ctx context.Context, q search.Query) ([]search.Match, error)
	put    func(ctx context.Context, chunks []search.Entry) error
}

func (i *index) Search(ctx context.Context, product string, q search.Query) ([]search.Match, error) {
	if i.search != nil {
		return i.search(ctx, q)
	}
	return i.Index.Search(ctx, product, q)
}

func (i *index) Put(ctx context.Context, product string, chunks []search.Entry) error {
	if i.put != nil {
		if err := i.put(ctx, chunks); err != nil {
			return err
		}
	}
	return i.Index.Put(ctx, product, chunks)
}

// site is a server that keeps a log of its requests.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func serve(t *testing.T, answer http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r)
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.seen...)
}

// asked counts the requests of a path.
func (s *site) asked(path string) (n int) {
	for _, r := range s.requests() {
		if r.URL.Path == path {
			n++
		}
	}
	return n
}
