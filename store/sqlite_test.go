package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/seal"
	"runa/store"
	"runa/store/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	storetest.Run(t, func(t *testing.T, opts storetest.Options) *store.Store {
		t.Helper()
		sealer, err := seal.Load(filepath.Join(folder, "keyset.json"), "")
		require.NoError(t, err)
		s, err := store.Open(t.Context(), store.Config{
			Path: filepath.Join(folder, opts.Database), Sealer: sealer, Now: opts.Now,
		})
		require.NoError(t, err)
		return s
	})
	t.Cleanup(func() { requireNowhere(t, folder, storetest.Secret) })
}

// requireNowhere looks for a secret in all that the databases' files hold.
func requireNowhere(t *testing.T, folder, secret string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(folder, file.Name())) //nolint:gosec // a file of this test
		require.NoError(t, err)
		require.False(t, bytes.Contains(content, []byte(secret)), file.Name())
	}
}
