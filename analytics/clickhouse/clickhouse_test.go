package clickhouse

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"runa/analytics"
	"runa/analytics/analyticstest"
	"runa/schemas"
)

var now = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// testURL is the server of RUNA_TEST_CLICKHOUSE_URL with the name of a database
// that does not exist, and will not when the test ends.
func testURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv("RUNA_TEST_CLICKHOUSE_URL")
	if base == "" {
		t.Skip("RUNA_TEST_CLICKHOUSE_URL is not set; make test-services sets it")
	}
	u, err := url.Parse(base)
	require.NoError(t, err)
	name := "runa_test_" + strings.ToLower(schemas.NewID(""))
	u.Path = "/" + name
	t.Cleanup(func() {
		u.Path = "/"
		options, err := optionsOf(Config{URL: u.String()}.withDefaults())
		require.NoError(t, err)
		options.Auth.Database = ""
		conn, err := clickhouse.Open(options)
		require.NoError(t, err)
		require.NoError(t, conn.Exec(context.Background(), `DROP DATABASE IF EXISTS {name:Identifier}`, clickhouse.Named("name", name)))
		require.NoError(t, conn.Close())
	})
	return u.String()
}

// migrated is a Config of a database that is ready.
func migrated(t testing.TB) Config {
	t.Helper()
	cfg := Config{URL: testURL(t), Now: func() time.Time { return now }}
	require.NoError(t, Migrate(t.Context(), cfg))
	return cfg
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
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
	f, err := s.Figures(t.Context(), product, analytics.Period{})
	require.NoError(t, err)
	return f.MessagesTotal
}

func TestContract(t *testing.T) {
	t.Parallel()
	cfg := migrated(t)
	t.Run("all", func(t *testing.T) { // ends before the database is dropped
		analyticstest.Run(t, func(t *testing.T) analytics.Store { return open(t, cfg) })
	})
}

func TestEveryColumnIsKept(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	e := schemas.Event{
		ID: "ev_1", Product: "prod_1", Kind: schemas.EventTurn, At: 1, Conversation: "sess_1", Turn: "msg_1",
		Subject: "subject", Outcome: "completed", Intent: "pricing", Model: "extractive", Answered: true,
		DurationMs: 2, ModelCalls: 3, InputTokens: 4, OutputTokens: 5, Size: 6,
	}
	require.NoError(t, s.Write(t.Context(), analytics.Batch{ID: "b1", Events: []schemas.Event{e}}))
	var got schemas.Event
	var kind string
	require.NoError(t, s.conn.QueryRow(t.Context(), `
		SELECT id, product, kind, toUnixTimestamp64Milli(at), conversation, turn, subject, outcome, intent, model,
		       answered, degraded, duration_ms, model_calls, input_tokens, output_tokens, size
		FROM events`).Scan(
		&got.ID, &got.Product, &kind, &got.At, &got.Conversation, &got.Turn, &got.Subject, &got.Outcome, &got.Intent, &got.Model,
		&got.Answered, &got.Degraded, &got.DurationMs, &got.ModelCalls, &got.InputTokens, &got.OutputTokens, &got.Size))
	got.Kind = schemas.EventKind(kind)
	require.Equal(t, e, got)
}

func TestVeryOldEventsAreTaken(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	batch := messages("prod_1", "b1", 101)
	for i := range batch.Events {
		batch.Events[i].At = schemas.Millis(now.AddDate(0, -i, 0)) // 101 parts
	}
	for range 2 {
		require.NoError(t, s.Write(t.Context(), batch))
		require.Equal(t, 101, count(t, s, "prod_1"))
	}
}

func TestFiguresStopWithTheirCaller(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Figures(ctx, "prod_1", analytics.Period{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Ping(ctx), context.Canceled)
}

func TestBatchNeedsAnID(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	require.ErrorContains(t, s.Write(t.Context(), analytics.Batch{}), "id")
}

func TestClosingAgainDoesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
}

func BenchmarkFigures(b *testing.B) { analyticstest.BenchmarkFigures(b, open(b, migrated(b))) }
