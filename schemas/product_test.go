package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/schemas/schemastest"
)

func TestNewKey(t *testing.T) {
	t.Parallel()
	documented := schemastest.MustLoad(t).Components.Schemas["KeyCreated"].Value.Properties["key"].Value.Pattern
	for range 50 {
		key := schemas.NewKey(schemas.LiveKeyPrefix)
		require.Regexp(t, documented, key)
		require.True(t, schemas.WellFormedKey(key), key)
		require.NotEqual(t, key, schemas.NewKey(schemas.LiveKeyPrefix))
	}
	require.True(t, schemas.WellFormedKey(schemas.NewKey(schemas.OperatorKeyPrefix)))
}

func TestWellFormedKeyRefusesLookAlikes(t *testing.T) {
	t.Parallel()
	key := schemas.NewKey(schemas.LiveKeyPrefix)
	for _, bad := range []string{
		"", "runa_live_", key[1:], key[:len(key)-1], key + "0", strings.ToUpper(key), " " + key,
		strings.Replace(key, schemas.LiveKeyPrefix, schemas.OperatorKeyPrefix, 1),
		schemas.LiveKeyPrefix + strings.Repeat("0", 36),
		"000000", // the checksum of nothing
	} {
		require.False(t, schemas.WellFormedKey(bad), bad)
	}
}

// FuzzWellFormedKey holds that a key with one wrong character is never taken
// for a key: CRC-32 finds every change within four bytes.
func FuzzWellFormedKey(f *testing.F) {
	f.Add(schemas.NewKey(schemas.LiveKeyPrefix), 12)
	f.Add(schemas.NewKey(schemas.OperatorKeyPrefix), 40)
	f.Add("runa_live_", 0)
	f.Add(strings.Repeat("\xff", 36), 1)
	f.Fuzz(func(t *testing.T, key string, at int) {
		if !schemas.WellFormedKey(key) {
			return
		}
		changed := []byte(key)
		changed[uint(at)%uint(len(changed))]++
		require.False(t, schemas.WellFormedKey(string(changed)))
	})
}

func TestHashKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", schemas.HashKey("abc"))
}

func TestValidateProductName(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"A", "Größe & Co", strings.Repeat("a", 200)} {
		require.NoError(t, schemas.ValidateProductName(ok))
	}
	for _, bad := range []string{"", " \t\n", strings.Repeat("a", 201), strings.Repeat("é", 101)} {
		requireInvalid(t, schemas.ValidateProductName(bad), "name")
	}
}
