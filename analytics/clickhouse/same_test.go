package clickhouse

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/analytics"
	"runa/analytics/sqlite"
	"runa/schemas"
)

// TestSameFigures writes the same events to both backends and compares every
// figure.
func TestSameFigures(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	clock := func() time.Time { return now }
	files, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir(), Now: clock})
	require.NoError(t, err)
	defer func() { require.NoError(t, files.Close()) }()
	server := open(t, migrated(t))

	const year = 365 * 24 * time.Hour
	for n := range 6 {
		batch := randomBatch(random, fmt.Sprint("b", n), 1000, year)
		for range 1 + random.IntN(2) {
			require.NoError(t, files.Write(t.Context(), batch))
			require.NoError(t, server.Write(t.Context(), batch))
		}
	}
	for n := range 30 {
		var period analytics.Period
		if n%3 != 0 {
			period.From = now.Add(-time.Duration(random.Int64N(int64(year))))
		}
		if n%4 != 0 {
			period.To = now.Add(-time.Duration(random.Int64N(int64(year))))
		}
		for p := range 4 {
			product := fmt.Sprint("prod_", p) // the last has no events
			want, err := files.Figures(t.Context(), product, period)
			require.NoError(t, err)
			got, err := server.Figures(t.Context(), product, period)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s %v", product, period)
		}
	}
}

func randomBatch(random *rand.Rand, id string, n int, span time.Duration) analytics.Batch {
	kinds := []schemas.EventKind{schemas.EventMessage, schemas.EventMessage, schemas.EventTurn, schemas.EventToolCall, schemas.EventPage, schemas.EventCrawl}
	batch := analytics.Batch{ID: id}
	start := schemas.Millis(now)
	for i := range n {
		conversation := random.IntN(200)
		begin := start - (span/time.Millisecond).Nanoseconds()*int64(conversation+1)/201
		e := schemas.Event{
			ID: fmt.Sprint(id, "_", i), Product: fmt.Sprint("prod_", random.IntN(3)), Kind: kinds[random.IntN(len(kinds))],
			At: begin + random.Int64N(3*time.Hour.Milliseconds()), Conversation: fmt.Sprint("sess_", conversation),
		}
		if e.Kind == schemas.EventTurn && random.IntN(5) > 0 {
			e.Intent = fmt.Sprint("intent_", random.IntN(20)*random.IntN(20))
		}
		batch.Events = append(batch.Events, e)
	}
	return batch
}

// TestSameColumns keeps both tables and schemas.Event from drifting apart.
func TestSameColumns(t *testing.T) {
	t.Parallel()
	want := columnsOfEvent()
	require.Equal(t, want, columnsOfFile(t))
	s := open(t, migrated(t))
	rows, err := s.conn.Query(t.Context(), `SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'events' ORDER BY position`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var got []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		got = append(got, name)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, want, got)
}

func columnsOfEvent() (columns []string) {
	capital := regexp.MustCompile(`[A-Z]`)
	for field := range reflect.TypeFor[schemas.Event]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		columns = append(columns, strings.ToLower(capital.ReplaceAllString(name, "_$0")))
	}
	return columns
}

func columnsOfFile(t *testing.T) (columns []string) {
	t.Helper()
	dir := t.TempDir()
	files, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, files.Write(t.Context(), messages("prod_1", "b1", 1)))
	require.NoError(t, files.Close())
	db, err := sql.Open("sqlite", filepath.Join(dir, "prod_1.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM pragma_table_info('events')`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		columns = append(columns, name)
	}
	require.NoError(t, rows.Err())
	return columns
}
