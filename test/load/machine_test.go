package load

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"runa/test/runatest"
)

// machine is one line about where and when the figures were measured.
func machine() string {
	return fmt.Sprintf("%d processors, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format("2006-01-02 15:04 MST"))
}

// loadAverage is that of the last minute: who else works on the machine is in
// the figures.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// connections are those to PostgreSQL that the processes of a layout hold, by
// database; a single process has none.
func connections(b *testing.B, l layout) (lines []string) {
	b.Helper()
	ctx := b.Context()
	conn, err := pgx.Connect(ctx, os.Getenv(runatest.DatabaseVariable))
	require.NoError(b, err)
	defer func() { _ = conn.Close(ctx) }() // it has been read from
	rows, err := conn.Query(ctx, "SELECT datname, count(*) FROM pg_stat_activity WHERE datname = ANY($1) GROUP BY 1 ORDER BY 1", l.databases)
	require.NoError(b, err)
	var name string
	var count int
	_, err = pgx.ForEachRow(rows, []any{&name, &count}, func() error {
		lines = append(lines, fmt.Sprintf("| %s | connections to PostgreSQL, %s | %d |", l.name, kindOf(name), count))
		return nil
	})
	require.NoError(b, err)
	return lines
}

// kindOf is what a database is for, by its name.
func kindOf(database string) string {
	switch {
	case strings.HasSuffix(database, "temporal_visibility"):
		return "temporal_visibility"
	case strings.HasSuffix(database, "temporal"):
		return "temporal"
	default:
		return "records"
	}
}
