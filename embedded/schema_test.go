package embedded

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// downgrades turn the newest schema into an older one, newest first.
var downgrades = []struct {
	version    int
	statements string
}{
	{10, "DROP TABLE current_chasm_executions"},
	{9, "DROP TABLE tasks_v2; DROP TABLE task_queues_v2"},
	{8, "DROP TABLE chasm_node_maps"},
	{5, `ALTER TABLE current_executions DROP COLUMN data_encoding; ALTER TABLE current_executions DROP COLUMN data;
		ALTER TABLE current_executions DROP COLUMN start_time`},
}

// mustColumns lists "table.column type" of a database, with its version.
func mustColumns(tb testing.TB, path string) (columns []string, version int) {
	tb.Helper()
	db, err := open(path)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, db.Close()) }()
	rows, err := db.QueryContext(tb.Context(), `SELECT t.name || '.' || c.name || ' ' || c.type
		FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1`)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, rows.Close()) }()
	for rows.Next() {
		var column string
		require.NoError(tb, rows.Scan(&column))
		columns = append(columns, column)
	}
	require.NoError(tb, rows.Err())
	require.NoError(tb, db.QueryRowContext(tb.Context(), "PRAGMA user_version").Scan(&version))
	return columns, version
}

// mustOlder makes a file as a server with the schema of version made it.
func mustOlder(tb testing.TB, path string, version int) {
	tb.Helper()
	require.NoError(tb, prepareMain(tb.Context(), path, mainSchema))
	require.NoError(tb, change(tb.Context(), path, func(tx *sql.Tx) error {
		for _, step := range downgrades {
			if step.version < version {
				break
			}
			if err := execute(tb.Context(), tx, int64(step.version), step.statements); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestOlderSchemaIsUpgraded(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	fresh := filepath.Join(folder, "fresh.db")
	require.NoError(t, prepareMain(t.Context(), fresh, mainSchema))
	want, newest := mustColumns(t, fresh)
	for _, older := range downgrades {
		path := filepath.Join(folder, fmt.Sprintf("%d.db", older.version))
		mustOlder(t, path, older.version)
		_, version := mustColumns(t, path)
		require.Equal(t, older.version, version)
		require.NoError(t, prepareMain(t.Context(), path, mainSchema))
		columns, version := mustColumns(t, path)
		require.Equal(t, newest, version)
		require.Equal(t, want, columns, "from version %d", older.version)
	}
}

func TestServerRunsOnOlderFolder(t *testing.T) {
	t.Parallel()
	config := Config{Dir: t.TempDir()}
	mustOlder(t, config.pathOf("temporal.db"), 5)
	connected, stop := mustWorker(t, mustStart(t, config))
	defer stop()
	require.Equal(t, "hello you", mustRun(t, connected, greeting))
}

func TestPrepareMainTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "temporal.db")
	require.NoError(t, prepareMain(t.Context(), path, mainSchema))
	before, _ := mustColumns(t, path)
	require.NoError(t, prepareMain(t.Context(), path, mainSchema))
	after, _ := mustColumns(t, path)
	require.Equal(t, before, after)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestStrangeFilesAreRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	newer := filepath.Join(folder, "newer.db")
	require.NoError(t, prepareMain(t.Context(), newer, mainSchema))
	require.NoError(t, change(t.Context(), newer, func(tx *sql.Tx) error { return execute(t.Context(), tx, 999) }))
	require.ErrorContains(t, prepareMain(t.Context(), newer, mainSchema), "newer Runa")

	foreign := filepath.Join(folder, "foreign.db")
	require.NoError(t, change(t.Context(), foreign, func(tx *sql.Tx) error {
		return execute(t.Context(), tx, 0, "CREATE TABLE t (a)")
	}))
	require.ErrorContains(t, prepareMain(t.Context(), foreign, mainSchema), "did not make it")

	text := filepath.Join(folder, "text.db")
	require.NoError(t, os.WriteFile(text, []byte("this is no database, whatever it is called"), 0o600))
	require.ErrorContains(t, prepareMain(t.Context(), text, mainSchema), text)
}

// The updates must lead to the version that the server itself names.
func TestUpdatesEndAtTheServersVersion(t *testing.T) {
	t.Parallel()
	updates, err := readUpdates()
	require.NoError(t, err)
	newest, err := number(sqliteschema.Version)
	require.NoError(t, err)
	require.Equal(t, newest, updates[len(updates)-1].version)
	for i := 1; i < len(updates); i++ {
		require.Equal(t, updates[i-1].version+1, updates[i].version)
		require.NotEmpty(t, updates[i].statements)
	}
}

// A name that the schema no longer has would be kept in vain.
func TestKeptIndexesExist(t *testing.T) {
	t.Parallel()
	config := Config{Dir: t.TempDir()}.withDefaults()
	path := config.pathOf("visibility.db")
	require.NoError(t, prepareVisibility(t.Context(), config, path))
	db, err := open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var names []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	require.ElementsMatch(t, visibilityIndexes, names)
}
