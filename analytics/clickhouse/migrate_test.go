package clickhouse

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func TestMigrateAndStatus(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: testURL(t)}
	status, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, 0, status.Version, "no database yet")
	_, err = Open(t.Context(), cfg)
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, "runa migrate")

	for range 2 {
		require.NoError(t, Migrate(t.Context(), cfg))
		status, err = ReadStatus(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, len(migrations()), status.Version)
		require.Equal(t, status.Latest, status.Version)
		require.Contains(t, cfg.URL, "/"+status.Database)
	}
	open(t, cfg)
}

func TestEmptyDatabaseIsAtVersionZero(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: testURL(t)}
	require.NoError(t, createDatabase(t.Context(), cfg.withDefaults()))
	status, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, 0, status.Version)
	_, err = Open(t.Context(), cfg)
	require.ErrorIs(t, err, ErrSchema)
}

func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: testURL(t), Retention: 24 * time.Hour}
	var g errgroup.Group
	for range 8 {
		g.Go(func() error { return Migrate(context.Background(), cfg) })
	}
	require.NoError(t, g.Wait())
	status, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, len(migrations()), status.Version)
	require.Equal(t, 24*time.Hour, status.Retention)
}

// TestMigrationDiesBeforeItsRecord repeats each migration over its own result.
func TestMigrationDiesBeforeItsRecord(t *testing.T) {
	t.Parallel()
	cfg := migrated(t)
	s := open(t, cfg)
	require.NoError(t, s.Write(t.Context(), messages("prod_1", "b1", 2)))
	require.NoError(t, s.conn.Exec(t.Context(), `TRUNCATE TABLE migrations`))
	_, err := Open(t.Context(), cfg)
	require.ErrorIs(t, err, ErrSchema)

	require.NoError(t, Migrate(t.Context(), cfg))
	require.Equal(t, 2, count(t, s, "prod_1"))
	open(t, cfg)
}

func TestNewerSchemaIsTaken(t *testing.T) {
	t.Parallel()
	cfg := migrated(t)
	s := open(t, cfg)
	require.NoError(t, s.conn.Exec(t.Context(), `INSERT INTO migrations (version, name) SELECT 99, 'later'`))
	require.NoError(t, Migrate(t.Context(), cfg))
	require.NoError(t, open(t, cfg).Ping(t.Context()))
}

func TestRetentionChanges(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: testURL(t)}
	for _, keep := range []time.Duration{0, 48 * time.Hour, 48 * time.Hour, 90 * 24 * time.Hour, 0} {
		cfg.Retention = keep
		require.NoError(t, Migrate(t.Context(), cfg))
		status, err := ReadStatus(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, keep, status.Retention)
	}
	for _, bad := range []time.Duration{-time.Hour, time.Millisecond} {
		cfg.Retention = bad
		require.ErrorContains(t, Migrate(t.Context(), cfg), "Retention")
	}
}

func TestEventsBeyondTheRetentionGo(t *testing.T) {
	t.Parallel()
	cfg := migrated(t)
	s := open(t, cfg)
	old, young := messages("prod_1", "b1", 3), messages("prod_1", "b2", 2)
	for i := range old.Events {
		old.Events[i].At = time.Now().Add(-49 * time.Hour).UnixMilli()
	}
	for i := range young.Events {
		young.Events[i].At = time.Now().UnixMilli()
	}
	require.NoError(t, s.Write(t.Context(), old))
	require.NoError(t, s.Write(t.Context(), young))
	cfg.Retention = 48 * time.Hour
	require.NoError(t, Migrate(t.Context(), cfg))
	require.Eventually(t, func() bool { return count(t, s, "prod_1") == 2 }, 20*time.Second, 50*time.Millisecond)
}

// TestTablesRememberBatches looks at every table with events or rollups of
// them: one without the window would count a repeated batch twice.
func TestTablesRememberBatches(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	rows, err := s.conn.Query(t.Context(), `
		SELECT name, engine_full FROM system.tables
		WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name <> 'migrations'`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var names []string
	for rows.Next() {
		var name, engine string
		require.NoError(t, rows.Scan(&name, &engine))
		names = append(names, name)
		for _, setting := range []string{
			"non_replicated_deduplication_window = 10000", "replicated_deduplication_window = 10000",
			"replicated_deduplication_window_seconds = 604800", "fsync_after_insert = 1",
		} {
			require.Contains(t, engine, setting, name)
		}
	}
	require.NoError(t, rows.Err())
	require.Contains(t, names, "events")
}

// TestViewsCountOnce shows what the settings of Write and of a view's target
// are for, and that a target without the window counts twice.
func TestViewsCountOnce(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	sum := func(target string) (n int64) {
		require.NoError(t, s.conn.QueryRow(t.Context(), `SELECT toInt64(sum(n)) FROM {target:Identifier}`, clickhouse.Named("target", target)).Scan(&n))
		return n
	}
	for target, settings := range map[string]string{"kept": "SETTINGS non_replicated_deduplication_window = 10000", "plain": ""} {
		require.NoError(t, s.conn.Exec(t.Context(), `CREATE TABLE `+target+` (product String, n UInt64) ENGINE = SummingMergeTree ORDER BY product `+settings))
		require.NoError(t, s.conn.Exec(t.Context(), `CREATE MATERIALIZED VIEW `+target+`_view TO `+target+` AS SELECT product, count() AS n FROM events GROUP BY product`))
	}
	batch := messages("prod_1", "b1", 5)
	for range 3 {
		require.NoError(t, s.Write(t.Context(), batch))
	}
	require.Equal(t, 5, count(t, s, "prod_1"))
	require.Equal(t, int64(5), sum("kept"))
	require.Greater(t, sum("plain"), int64(5))
}
