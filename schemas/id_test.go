package schemas_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/schemas/schemastest"
)

func TestNewIDsSortByTime(t *testing.T) {
	t.Parallel()
	var ids []string
	for range 100 {
		ids = append(ids, schemas.NewID(schemas.ToolPrefix))
	}
	require.True(t, slices.IsSorted(ids))
	require.Len(t, slices.Compact(ids), 100)
	require.Regexp(t, `^tool_[0-9a-z]{26}$`, ids[0])
}

// The literals were computed apart from this code: an id that changes loses every turn that
// was accepted under its key.
func TestTurnIDStaysTheSame(t *testing.T) {
	t.Parallel()
	require.Equal(t, "msg_7FWVBLYmNKh1nQbGhE6CA7", schemas.TurnID("prod_default", "key-1"))
	require.NotEqual(t, schemas.TurnID("prod_a", "k"), schemas.TurnID("prod_b", "k"))
	require.NotEqual(t, schemas.TurnID("prod_a", "k1"), schemas.TurnID("prod_a", "k2"))
}

func TestCallIDIsThePlaceInTheTurn(t *testing.T) {
	t.Parallel()
	require.Equal(t, "call_0AbGrZsAGP423CC4tnmdf7", schemas.CallID("msg_1", 3, 0))
	seen := map[string]bool{}
	for step := range 20 {
		for index := range 20 {
			seen[schemas.CallID("msg_1", step, index)] = true
		}
	}
	require.Len(t, seen, 400)
	require.NotEqual(t, schemas.CallID("msg_1", 1, 11), schemas.CallID("msg_1", 11, 1))
}

func TestDerivedIDsHaveOneWidth(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9A-Za-z]{22}$`)
	for step := range 2000 {
		key := strings.Repeat("k", step%255) + "!"
		require.Regexp(t, form, strings.TrimPrefix(schemas.TurnID("p", key), schemas.TurnPrefix))
		require.Regexp(t, form, strings.TrimPrefix(schemas.CallID("msg_1", step, 0), schemas.CallPrefix))
	}
}

func TestBodyHashSeparatesParts(t *testing.T) {
	t.Parallel()
	one, again := schemas.BodyHash("a", "b"), schemas.BodyHash("a", "b")
	require.Equal(t, one, again)
	for _, other := range [][]string{{"ab", ""}, {"", "ab"}, {"ab"}, {"a", "b", ""}, {"a1:b"}, {"b", "a"}} {
		require.NotEqual(t, schemas.BodyHash("a", "b"), schemas.BodyHash(other...), "%q", other)
	}
}

func TestRandomBase62(t *testing.T) {
	t.Parallel()
	require.Empty(t, schemas.RandomBase62(0))
	require.Regexp(t, `^[0-9A-Za-z]{500}$`, schemas.RandomBase62(500))
	one, other := schemas.RandomBase62(20), schemas.RandomBase62(20)
	require.NotEqual(t, one, other)
}

func TestValidateSessionID(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{"a", "sess_01:x-Y.z", strings.Repeat("a", 128), "..", "-"} {
		require.NoError(t, schemas.ValidateSessionID(ok))
	}
	for _, bad := range []string{"", strings.Repeat("a", 129), "a b", "a/b", "a\n", "é", "a\x00", "%41"} {
		requireInvalid(t, schemas.ValidateSessionID(bad), "sessionId")
	}
}

func FuzzValidateSessionID(f *testing.F) {
	documented := regexp.MustCompile(schemastest.MustLoad(f).Components.Schemas["ChatRequest"].Value.Properties["sessionId"].Value.Pattern)
	for _, seed := range []string{"", "sess_1", "a/b", "a\n", strings.Repeat("a", 129), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		err := schemas.ValidateSessionID(id)
		require.Equal(t, documented.MatchString(id), err == nil, "%q: document and code must agree", id)
		if err == nil {
			require.LessOrEqual(t, len(id), 128)
			require.NotContains(t, id, "/")
		}
	})
}
