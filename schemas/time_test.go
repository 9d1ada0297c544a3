package schemas_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

func TestTimeIsWrittenInUTCAndWholeSeconds(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 2*60*60)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), `"2026-03-01T10:00:00Z"`},
		{time.Date(2026, 3, 1, 0, 30, 0, 999_999_999, east), `"2026-02-28T22:30:00Z"`},
		{time.Time{}, `"0001-01-01T00:00:00Z"`},
	} {
		data, err := json.Marshal(schemas.Time(c.at))
		require.NoError(t, err)
		require.Equal(t, c.want, string(data))
	}
}

func TestTimeIsRead(t *testing.T) {
	t.Parallel()
	var at schemas.Time
	require.NoError(t, json.Unmarshal([]byte(`"2026-03-01T12:00:00+02:00"`), &at))
	require.True(t, time.Time(at).Equal(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)))
	for _, bad := range []string{`""`, `"2026-03-01"`, `"2026-02-30T00:00:00Z"`, `1`, `{}`, `"2026-03-01T10:00:00"`} {
		require.Error(t, json.Unmarshal([]byte(bad), &at), bad)
	}
	var page schemas.Page
	require.NoError(t, json.Unmarshal([]byte(`{"fetchedAt":null}`), &page))
	require.Nil(t, page.FetchedAt)
}

func TestMillis(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 10, 0, 0, 123_456_789, time.FixedZone("east", 3600))
	back := schemas.FromMillis(schemas.Millis(at))
	require.Equal(t, at.Truncate(time.Millisecond).UTC(), back)
	require.Equal(t, int64(-1), schemas.Millis(schemas.FromMillis(-1)))
}
