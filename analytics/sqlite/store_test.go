package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"runa/analytics"
	"runa/analytics/analyticstest"
	"runa/schemas"
)

var now = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

func setup(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return now }
	}
	s, err := Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func messages(product, batch string, n int) analytics.Batch {
	b := analytics.Batch{ID: batch}
	for i := range n {
		b.Events = append(b.Events, schemas.Event{
			ID: fmt.Sprint(batch, i), Product: product, Kind: schemas.EventMessage,
			At: schemas.Millis(now) + int64(i), Conversation: "sess_1",
		})
	}
	return b
}

func count(t testing.TB, s *Store, product string) int {
	t.Helper()
	f, err := s.Figures(context.Background(), product, analytics.Period{})
	require.NoError(t, err)
	return f.MessagesTotal
}

func TestContract(t *testing.T) {
	t.Parallel()
	analyticstest.Run(t, func(t *testing.T) analytics.Store { return setup(t, Config{}) })
}

func TestContractWithOneOpenFile(t *testing.T) {
	t.Parallel()
	analyticstest.Run(t, func(t *testing.T) analytics.Store { return setup(t, Config{MaxOpen: 1}) })
}

func TestPathStaysInFolder(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, id := range []string{"", ".", "..", "../x", "/etc/passwd", `..\x`, "a/b", "A", "a", "x-" + strings.Repeat("0", 64), "a\x00b", "ü", strings.Repeat("a", 101)} {
		path := pathOf("/data", id)
		require.Equal(t, "/data", filepath.Dir(path), "%q", id)
		require.Equal(t, ".db", filepath.Ext(path))
		require.Less(t, len(filepath.Base(path)), 120)
		lower := strings.ToLower(path)
		require.NotContains(t, seen, lower, "%q and %q", id, seen[lower])
		seen[lower] = id
	}
	require.Equal(t, "/data/prod_default.db", pathOf("/data", schemas.DefaultProduct))
}

func TestFolderWithAnyName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b?mode=memory#%41&é")
	s := setup(t, Config{Dir: dir})
	require.NoError(t, s.Write(t.Context(), messages("prod_1", "b1", 2)))
	require.FileExists(t, filepath.Join(dir, "prod_1.db"))
	require.Equal(t, 2, count(t, s, "prod_1"))
}

func TestUnknownProductMakesNoFile(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	f, err := s.Figures(t.Context(), "prod_unknown", analytics.Period{})
	require.NoError(t, err)
	require.Equal(t, schemas.Time(now), f.AsOf)
	left, err := fs.Glob(os.DirFS(s.dir), "*")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestEventsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 3 {
		s, err := Open(t.Context(), Config{Dir: dir})
		require.NoError(t, err)
		require.Equal(t, 2*n, count(t, s, "prod_1"))
		require.NoError(t, s.Write(t.Context(), messages("prod_1", fmt.Sprint("b", n), 2)))
		require.NoError(t, s.Write(t.Context(), messages("prod_1", "b0", 2)))
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "closing again does nothing")
	}
}

func TestEveryColumnIsKept(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	e := schemas.Event{
		ID: "ev_1", Product: "prod_1", Kind: schemas.EventTurn, At: 1, Conversation: "sess_1", Turn: "msg_1",
		Subject: "subject", Outcome: "completed", Intent: "pricing", Model: "extractive", Answered: true,
		DurationMs: 2, ModelCalls: 3, InputTokens: 4, OutputTokens: 5, Size: 6,
	}
	require.NoError(t, s.Write(t.Context(), analytics.Batch{ID: "b1", Events: []schemas.Event{e}}))
	f, err := s.files.acquire(t.Context(), pathOf(s.dir, "prod_1"))
	require.NoError(t, err)
	defer s.files.release(f)
	var got schemas.Event
	require.NoError(t, f.read.QueryRow(`
		SELECT id, product, kind, at, conversation, turn, subject, outcome, intent, model,
		       answered, degraded, duration_ms, model_calls, input_tokens, output_tokens, size
		FROM events`).Scan(
		&got.ID, &got.Product, &got.Kind, &got.At, &got.Conversation, &got.Turn, &got.Subject, &got.Outcome, &got.Intent, &got.Model,
		&got.Answered, &got.Degraded, &got.DurationMs, &got.ModelCalls, &got.InputTokens, &got.OutputTokens, &got.Size))
	require.Equal(t, e, got)
}

func TestReadsDoNotWaitForWrites(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	require.NoError(t, s.Write(t.Context(), messages("prod_1", "b1", 2)))
	f, err := s.files.acquire(t.Context(), pathOf(s.dir, "prod_1"))
	require.NoError(t, err)
	defer s.files.release(f)
	tx, err := f.write.Begin()
	require.NoError(t, err)
	require.NoError(t, insertEvents(t.Context(), tx, messages("prod_1", "b2", 3).Events))

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // below the busy timeout
	defer cancel()
	figures, err := s.Figures(ctx, "prod_1", analytics.Period{})
	require.NoError(t, err)
	require.Equal(t, 2, figures.MessagesTotal)

	require.NoError(t, tx.Commit())
	require.Equal(t, 5, count(t, s, "prod_1"))
}

func TestFailedBatchLeavesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	require.NoError(t, s.Write(t.Context(), messages("prod_1", "b1", 2)))
	f, err := s.files.acquire(t.Context(), pathOf(s.dir, "prod_1"))
	require.NoError(t, err)
	_, err = f.write.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.id = 'b22' BEGIN SELECT raise(ABORT, 'disk trouble'); END`)
	require.NoError(t, err)

	batch := messages("prod_1", "b2", 3)
	batch.Events = append(batch.Events, messages("prod_2", "b2", 1).Events...)
	require.ErrorContains(t, s.Write(t.Context(), batch), "disk trouble")
	require.Equal(t, 2, count(t, s, "prod_1"), "neither events nor the mark of the batch")
	require.Equal(t, 1, count(t, s, "prod_2"), "the other product has its part")

	_, err = f.write.Exec(`DROP TRIGGER refuse`)
	require.NoError(t, err)
	s.files.release(f)
	require.NoError(t, s.Write(t.Context(), batch))
	require.Equal(t, 5, count(t, s, "prod_1"))
	require.Equal(t, 1, count(t, s, "prod_2"))
}

// TestBatchWrittenInPart begins with what a process that died between two
// files leaves.
func TestBatchWrittenInPart(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	whole := messages("prod_1", "b1", 1)
	part := whole
	whole.Events = append(whole.Events, messages("prod_2", "b1", 2).Events...)
	require.NoError(t, s.Write(t.Context(), part))
	require.NoError(t, s.Write(t.Context(), whole))
	require.Equal(t, 1, count(t, s, "prod_1"), "had it already")
	require.Equal(t, 2, count(t, s, "prod_2"), "was left out")
}

func TestOpenFilesAreBounded(t *testing.T) {
	t.Parallel()
	const limit, products = 3, 12
	s := setup(t, Config{MaxOpen: limit})
	var g errgroup.Group
	for n := range products * 4 {
		product := fmt.Sprint("prod_", n%products)
		g.Go(func() error {
			if err := s.Write(context.Background(), messages(product, fmt.Sprint("b", n), 1)); err != nil {
				return err
			}
			if open := s.openFiles(); open > limit {
				return fmt.Errorf("%d files are open", open)
			}
			_, err := s.Figures(context.Background(), product, analytics.Period{})
			return err
		})
	}
	require.NoError(t, g.Wait())
	for n := range products {
		require.Equal(t, 4, count(t, s, fmt.Sprint("prod_", n)))
	}
}

func (s *Store) openFiles() int {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	return len(s.files.open)
}

func TestLeastRecentlyUsedIsClosed(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{MaxOpen: 2})
	for i, product := range []string{"a", "b", "a", "c"} {
		require.NoError(t, s.Write(t.Context(), messages(product, fmt.Sprint(i), 1)))
	}
	require.Contains(t, s.files.open, pathOf(s.dir, "a"))
	require.Contains(t, s.files.open, pathOf(s.dir, "c"))
	require.Len(t, s.files.open, 2)
}

func TestWaitingForASlotEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{MaxOpen: 1})
	f, err := s.files.acquire(t.Context(), pathOf(s.dir, "a"))
	require.NoError(t, err)
	defer s.files.release(f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Write(ctx, messages("b", "b1", 1)), context.Canceled)
}

func TestUnreadableFileIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	path := pathOf(s.dir, "prod_1")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600))
	require.Error(t, s.Write(t.Context(), messages("prod_1", "b1", 1)))
	require.NoError(t, os.Remove(path))
	require.NoError(t, s.Write(t.Context(), messages("prod_1", "b1", 1)))
	require.Equal(t, 1, count(t, s, "prod_1"))
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	db, err := sql.Open("sqlite", pathOf(s.dir, "prod_1"))
	require.NoError(t, err)
	_, err = db.Exec("PRAGMA user_version = 99")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = s.Figures(t.Context(), "prod_1", analytics.Period{})
	require.ErrorContains(t, err, "newer")
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{})
	require.ErrorContains(t, err, "Dir")
	s := setup(t, Config{})
	require.ErrorContains(t, s.Write(t.Context(), analytics.Batch{}), "id")

	gone := setup(t, Config{Dir: filepath.Join(t.TempDir(), "gone")})
	require.NoError(t, gone.Ping(t.Context()))
	require.NoError(t, os.Remove(gone.dir))
	require.Error(t, gone.Ping(t.Context()))
	_, err = gone.Figures(t.Context(), "prod_1", analytics.Period{})
	require.Error(t, err, "no folder is not the same as no event")
}

func BenchmarkFigures(b *testing.B) { analyticstest.BenchmarkFigures(b, setup(b, Config{})) }

// TestRetention writes on three days with a retention of one: what is older
// is gone with the next write that comes an hour after the last look.
func TestRetention(t *testing.T) {
	t.Parallel()
	clock := now
	s := setup(t, Config{Retention: 24 * time.Hour, Now: func() time.Time { return clock }})
	write := func(id string, at time.Time) {
		t.Helper()
		require.NoError(t, s.Write(t.Context(), analytics.Batch{ID: id, Events: []schemas.Event{{
			ID: id, Product: "prod_a", Kind: schemas.EventMessage, At: schemas.Millis(at), Conversation: id,
		}}}))
	}
	count := func() int {
		t.Helper()
		figures, err := s.Figures(t.Context(), "prod_a", analytics.Period{})
		require.NoError(t, err)
		return figures.MessagesTotal
	}
	write("old", clock.Add(-25*time.Hour))
	require.Zero(t, count(), "too old at once")
	write("new", clock)
	clock = clock.Add(30 * time.Minute)
	write("late", clock.Add(-26*time.Hour))
	require.Equal(t, 2, count(), "not looked at again yet")
	clock = clock.Add(24 * time.Hour)
	write("next", clock)
	require.Equal(t, 1, count())
}
