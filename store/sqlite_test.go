package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/seal"
	"runa/store"
	"runa/store/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	storetest.Run(t, func(t *testing.T, opts storetest.Options) *store.Store {
		t.Helper()
		return open(t, folder, opts)
	})
	t.Cleanup(func() { requireNoSecret(t, folder) })
}

func open(tb testing.TB, folder string, opts storetest.Options) *store.Store {
	tb.Helper()
	sealer, err := seal.Load(filepath.Join(folder, "keyset.json"), "")
	require.NoError(tb, err)
	s, err := store.Open(tb.Context(), store.Config{
		Path: filepath.Join(folder, opts.Database), Migrate: true, Sealer: sealer, Now: opts.Now,
	})
	require.NoError(tb, err)
	return s
}

func BenchmarkTurn(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		storetest.BenchmarkTurn(b, func(b *testing.B) *store.Store {
			b.Helper()
			return open(b, b.TempDir(), storetest.Options{Database: "runa.db"})
		})
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		s := newServer(b)
		storetest.BenchmarkTurn(b, func(b *testing.B) *store.Store {
			b.Helper()
			st, err := store.Open(b.Context(), store.Config{URL: s.schema(b, schemas.NewID("bench_")), Migrate: true, Sealer: s.sealer})
			require.NoError(b, err)
			return st
		})
	})
}

// TestSQLitePath opens files whose names mean something in a URL.
func TestSQLitePath(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "a?b=c.db", "100%41#.db", "ä&.db"} {
		s := open(t, folder, storetest.Options{Database: name})
		_, err := s.CreateProduct(t.Context(), "prod_of", name)
		require.NoError(t, err, "each name is a file of its own")
		require.NoError(t, s.Close())
		require.FileExists(t, filepath.Join(folder, name))
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	_, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "no folder", "runa.db"), Migrate: true})
	require.ErrorContains(t, err, "no folder")
	path := filepath.Join(t.TempDir(), "runa.db")
	require.NoError(t, os.WriteFile(path, []byte("this is no database, however long the text may be"), 0o600))
	_, err = store.Open(t.Context(), store.Config{Path: path, Migrate: true})
	require.ErrorContains(t, err, path)
}

// requireNoSecret looks for the tools' secret in all that the databases' files
// hold.
func requireNoSecret(t *testing.T, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file.Name()))
		require.NoError(t, err)
		require.False(t, bytes.Contains(content, []byte(storetest.Secret)), file.Name())
	}
}

func TestOpenRefusesAnotherKeyset(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for range 2 {
		require.NoError(t, open(t, folder, storetest.Options{Database: "runa.db"}).Close())
	}
	other, err := seal.Load(filepath.Join(t.TempDir(), "keyset.json"), "")
	require.NoError(t, err)
	_, err = store.Open(t.Context(), store.Config{Path: filepath.Join(folder, "runa.db"), Migrate: true, Sealer: other})
	require.ErrorIs(t, err, store.ErrKeyset)
}
