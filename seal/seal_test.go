package seal

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
)

func mustSealer(tb testing.TB, handle *keyset.Handle) *Sealer {
	tb.Helper()
	sealer, err := newSealer(handle)
	require.NoError(tb, err)
	return sealer
}

func mustHandle(tb testing.TB) *keyset.Handle {
	tb.Helper()
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(tb, err)
	return handle
}

// mustRotate returns a keyset with a new primary beside the keys of handle.
func mustRotate(tb testing.TB, handle *keyset.Handle) *keyset.Handle {
	tb.Helper()
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	require.NoError(tb, err)
	require.NoError(tb, manager.SetPrimary(id))
	rotated, err := manager.Handle()
	require.NoError(tb, err)
	return rotated
}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	sealer := mustSealer(t, mustHandle(t))
	for _, plain := range [][]byte{nil, {}, []byte("token"), bytes.Repeat([]byte{0}, 1<<20)} {
		sealed, err := sealer.Seal(plain, "prod_a", "tool_a")
		require.NoError(t, err)
		opened, err := sealer.Open(sealed, "prod_a", "tool_a")
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, opened))
	}
}

func TestSealHidesAndVaries(t *testing.T) {
	t.Parallel()
	sealer := mustSealer(t, mustHandle(t))
	plain := []byte("a secret of some length")
	first, err := sealer.Seal(plain, "p", "o")
	require.NoError(t, err)
	second, err := sealer.Seal(plain, "p", "o")
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.NotContains(t, string(first), string(plain))
}

func TestOpenElsewhereFails(t *testing.T) {
	t.Parallel()
	sealer := mustSealer(t, mustHandle(t))
	sealed, err := sealer.Seal([]byte("token"), "prod_a", "tool_a")
	require.NoError(t, err)
	for name, place := range map[string][2]string{
		"other product":    {"prod_b", "tool_a"},
		"other object":     {"prod_a", "tool_b"},
		"swapped":          {"tool_a", "prod_a"},
		"moved boundary":   {"prod_at", "ool_a"},
		"all in product":   {"prod_atool_a", ""},
		"all in object":    {"", "prod_atool_a"},
		"nothing":          {"", ""},
		"separator inside": {"prod_a\x00", "tool_a"},
	} {
		_, err := sealer.Open(sealed, place[0], place[1])
		require.ErrorIs(t, err, ErrOpen, name)
	}
}

func TestOpenChangedFails(t *testing.T) {
	t.Parallel()
	sealer := mustSealer(t, mustHandle(t))
	sealed, err := sealer.Seal([]byte("token"), "p", "o")
	require.NoError(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := sealer.Open(changed, "p", "o")
		require.ErrorIs(t, err, ErrOpen, "byte %d", i)
	}
	_, err = mustSealer(t, mustHandle(t)).Open(sealed, "p", "o")
	require.ErrorIs(t, err, ErrOpen, "another keyset")
}

func TestRotationKeepsOldOpen(t *testing.T) {
	t.Parallel()
	old := mustHandle(t)
	before := mustSealer(t, old)
	after := mustSealer(t, mustRotate(t, old))
	require.NotEqual(t, before.primary, after.primary)

	sealed, err := before.Seal([]byte("old"), "p", "o")
	require.NoError(t, err)
	opened, err := after.Open(sealed, "p", "o")
	require.NoError(t, err)
	require.Equal(t, "old", string(opened))

	sealed, err = after.Seal([]byte("new"), "p", "o")
	require.NoError(t, err)
	_, err = before.Open(sealed, "p", "o")
	require.ErrorIs(t, err, ErrOpen, "new values are sealed under the new primary")
}

func TestOtherKindOfKeysetIsRefused(t *testing.T) {
	t.Parallel()
	handle, err := keyset.NewHandle(mac.HMACSHA256Tag128KeyTemplate())
	require.NoError(t, err)
	_, err = newSealer(handle)
	require.Error(t, err)
}

func TestAssociatedIsUnambiguous(t *testing.T) {
	t.Parallel()
	lists := [][]string{{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}, {"\x01a"}, {"\x01a", "b"}}
	seen := map[string][]string{}
	for _, list := range lists {
		data := string(associated(list...))
		require.NotContains(t, seen, data, "%q", list)
		seen[data] = list
	}
}

func FuzzOpen(f *testing.F) {
	sealer := mustSealer(f, mustHandle(f))
	sealed, err := sealer.Seal([]byte("token"), "p", "o")
	require.NoError(f, err)
	f.Add([]byte{}, "p", "o")
	f.Add(sealed[:len(sealed)-1], "p", "o")
	f.Add(append([]byte{0}, sealed...), "p", "o")
	f.Add(sealed, "p", "other")
	f.Fuzz(func(t *testing.T, data []byte, product, object string) {
		if bytes.Equal(data, sealed) && product == "p" && object == "o" {
			return
		}
		_, err := sealer.Open(data, product, object)
		require.ErrorIs(t, err, ErrOpen)
	})
}
