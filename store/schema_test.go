package store_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver of a file

	"runa/schemas"
	"runa/seal"
	"runa/store"
)

func TestSchemaSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runa.db")
	sealer, err := seal.Load(filepath.Join(t.TempDir(), "keyset.json"), "")
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	requireSchema(t, store.Config{Path: path, Sealer: sealer}, db)
}

// TestSchemaAsksNoFile looks at a file that is not there, and makes none.
func TestSchemaAsksNoFile(t *testing.T) {
	t.Parallel()
	cfg := store.Config{Path: filepath.Join(t.TempDir(), "runa.db")}
	_, err := store.Open(t.Context(), cfg)
	require.ErrorIs(t, err, store.ErrSchema)
	list, err := store.Status(t.Context(), cfg)
	require.NoError(t, err)
	require.Zero(t, list[0].AppliedAt)
	require.NoFileExists(t, cfg.Path)
}

func TestSchemaPostgres(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	address := s.schema(t, schemas.NewID("schema_"))
	requireSchema(t, store.Config{URL: address, Sealer: s.sealer}, serverAt(t, address, s.sealer).db)
}

// requireSchema takes a database from nothing to a schema of the next release.
func requireSchema(t *testing.T, cfg store.Config, db *sql.DB) {
	t.Helper()
	ctx := t.Context()
	_, err := store.Open(ctx, cfg)
	require.ErrorIs(t, err, store.ErrSchema)
	require.ErrorContains(t, err, `run "runa migrate"`)
	before, err := store.Status(ctx, cfg)
	require.NoError(t, err)
	require.NotEmpty(t, before)
	for _, m := range before {
		require.Zero(t, m.AppliedAt, m.Name)
	}

	began := time.Now().Add(-time.Second) // the database keeps whole seconds
	migrated := cfg
	migrated.Migrate = true
	for range 2 { // the second time changes nothing
		s, err := store.Open(ctx, migrated)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	after, err := store.Status(ctx, cfg)
	require.NoError(t, err)
	require.Equal(t, store.Migration{Version: 1, Name: "00001_records", AppliedAt: after[0].AppliedAt}, after[0])
	require.Len(t, after, len(before))
	for _, m := range after {
		require.WithinRange(t, m.AppliedAt, began.Truncate(time.Second), time.Now(), m.Name)
	}
	requireOpens(t, cfg)

	newest := after[len(after)-1].Version
	exec := func(statement string) {
		_, err := db.ExecContext(context.WithoutCancel(ctx), statement)
		require.NoError(t, err)
	}
	exec(`INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, is_applied FROM goose_db_version GROUP BY is_applied`)
	requireOpens(t, cfg)
	requireOpens(t, migrated)
	newer, err := store.Status(ctx, cfg)
	require.NoError(t, err)
	require.Len(t, newer, len(after)+1)
	require.Equal(t, newest+1, newer[len(after)].Version)
	require.Empty(t, newer[len(after)].Name)

	exec(`DELETE FROM goose_db_version WHERE version_id > 0`)
	_, err = store.Open(ctx, cfg)
	require.ErrorIs(t, err, store.ErrSchema)
}

func requireOpens(t *testing.T, cfg store.Config) {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, s.Close())
}
