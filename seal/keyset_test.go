package seal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"golang.org/x/sync/errgroup"
)

func mustJSON(tb testing.TB, handle *keyset.Handle) []byte {
	tb.Helper()
	var text bytes.Buffer
	require.NoError(tb, insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)))
	return text.Bytes()
}

func TestLoadMakesTheFileOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	first, err := Load(path, "")
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	sealed, err := first.Seal([]byte("token"), "p", "o")
	require.NoError(t, err)
	second, err := Load(path, "")
	require.NoError(t, err)
	opened, err := second.Open(sealed, "p", "o")
	require.NoError(t, err)
	require.Equal(t, "token", string(opened))

	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing temporary is left")
}

func TestLoadRacesAgree(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	sealers := make([]*Sealer, 32)
	var group errgroup.Group
	for i := range sealers {
		group.Go(func() (err error) {
			sealers[i], err = Load(path, "")
			return err
		})
	}
	require.NoError(t, group.Wait())
	sealed, err := sealers[0].Seal([]byte("token"), "p", "o")
	require.NoError(t, err)
	for _, sealer := range sealers {
		_, err := sealer.Open(sealed, "p", "o")
		require.NoError(t, err)
	}
}

func TestCreateKeepsTheOneThatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	require.NoError(t, create(path))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, create(path))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestLoadPrefersTheValue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	text := mustJSON(t, mustHandle(t))
	sealer, err := Load(path, "\n"+base64.StdEncoding.EncodeToString(text)+"\n")
	require.NoError(t, err)
	require.NoFileExists(t, path)

	require.NoError(t, os.WriteFile(path, text, 0o600))
	fromPath, err := Load(path, "")
	require.NoError(t, err)
	sealed, err := sealer.Seal([]byte("token"), "p", "o")
	require.NoError(t, err)
	_, err = fromPath.Open(sealed, "p", "o")
	require.NoError(t, err, "a file holds the same JSON that the value encodes")
}

func TestLoadRefusesOpenModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o644, 0o640, 0o620, 0o602, 0o604} {
		path := filepath.Join(t.TempDir(), "keyset.json")
		require.NoError(t, create(path))
		require.NoError(t, os.Chmod(path, mode))
		_, err := Load(path, "")
		require.ErrorContains(t, err, fmt.Sprintf("%04o", mode))
		require.ErrorContains(t, err, "chmod 600 "+path)
	}
	path := filepath.Join(t.TempDir(), "keyset.json")
	require.NoError(t, create(path))
	require.NoError(t, os.Chmod(path, 0o400))
	_, err := Load(path, "")
	require.NoError(t, err)
}

func TestLoadRefusesBadFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{"empty": "", "text": "hello", "other JSON": `{"a":1}`, "no keys": `{}`} {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := Load(path, "")
		require.ErrorContains(t, err, path)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(kept), "a bad file is never replaced")
	}
	_, err := Load(filepath.Join(folder, "absent", "keyset.json"), "")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(folder, "")
	require.Error(t, err)
}

func TestLoadNamesTheSettingAndHidesTheValue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	for _, value := range []string{
		"not base64 hunter2!",
		base64.StdEncoding.EncodeToString([]byte("hunter2")),
		base64.StdEncoding.EncodeToString([]byte(`{"key":"hunter2"}`)),
		base64.StdEncoding.EncodeToString([]byte(`{}`)),
	} {
		_, err := Load(path, value)
		require.ErrorContains(t, err, Setting)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.NoFileExists(t, path)
}
