package elastic_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/search"
	"runa/search/elastic"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "127.0.0.1:9200", "ftp://host", "http://user:hush@host:port"} {
		_, err := elastic.Open(t.Context(), elastic.Config{URL: url})
		require.ErrorContains(t, err, "URL must be", url)
		require.NotContains(t, err.Error(), "hush")
	}
	_, err := elastic.Open(t.Context(), elastic.Config{URL: "http://user:hush@127.0.0.1:1", APIKey: "hush"})
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "hush")

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{}`) }))
	defer other.Close()
	_, err = elastic.Open(t.Context(), elastic.Config{URL: other.URL})
	require.ErrorContains(t, err, "not Elasticsearch")

	_, err = elastic.Open(t.Context(), config(t))
	require.ErrorContains(t, err, "run \"runa migrate\"")
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		respond(w, http.StatusUnauthorized, `{"error":{"type":"security_exception","reason":"missing"},"status":401}`)
	}))
	defer server.Close()
	url := strings.Replace(server.URL, "http://", "http://runa:hush%40@", 1)
	_, err := elastic.Open(t.Context(), elastic.Config{URL: url})
	require.ErrorContains(t, err, "status 401 security_exception")
	require.NotContains(t, err.Error(), "hush")
	require.Equal(t, "Basic cnVuYTpodXNoQA==", got)
	_, err = elastic.Open(t.Context(), elastic.Config{URL: url, APIKey: "a2V5"})
	require.Error(t, err)
	require.Equal(t, "apikey a2v5", strings.ToLower(got))
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	errs := make(chan error)
	for range 8 {
		go func() { errs <- elastic.Migrate(t.Context(), cfg) }()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, []string{cfg.Prefix + "-chunks-v1-first"}, indices(t, cfg))
	x := open(t, cfg)
	require.NoError(t, x.Put(t.Context(), "north", entries(3)))
	require.NoError(t, elastic.Migrate(t.Context(), cfg))
	requireChunks(t, x, 3)
	require.NoError(t, x.Close())
}

// An index of an older program gets the fields that it lacks.
func TestMigrateUpgrades(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	at := cfg.URL + "/" + cfg.Prefix + "-chunks-v0-first"
	create := func(version int) {
		body := fmt.Sprintf(`{"aliases":{"%s-chunks":{}},"settings":{"refresh_interval":"50ms"},"mappings":{"dynamic":"strict","_meta":{"version":%d},"_source":{"excludes":["words","length","vector_*"]},`+
			`"properties":{"scope":{"type":"keyword"},"sourceId":{"type":"keyword"}}}}`, cfg.Prefix, version)
		require.Equal(t, http.StatusOK, send(t, http.MethodPut, at, body, nil))
	}
	create(0)
	require.NoError(t, elastic.Migrate(t.Context(), cfg))
	x := open(t, cfg)
	require.NoError(t, x.Put(t.Context(), "north", entries(3)))
	requireChunks(t, x, 3)
	require.NoError(t, x.Close())

	require.Equal(t, http.StatusOK, send(t, http.MethodDelete, at, "", nil))
	create(2)
	require.ErrorContains(t, elastic.Migrate(t.Context(), cfg), "newer than this program's 1")
}

// A write does not make an index anew that was taken away: it would have no
// mapping.
func TestIndexIsGone(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	require.NoError(t, elastic.Migrate(t.Context(), cfg))
	x := open(t, cfg)
	dropIndices(t, cfg)
	start := time.Now()
	require.ErrorContains(t, x.Put(t.Context(), "north", entries(1)), "run \"runa migrate\"")
	require.Error(t, x.Delete(t.Context(), "north", search.Selection{Source: "a"}))
	require.Error(t, x.Ping(t.Context()))
	_, err := x.Count(t.Context(), "north", search.Selection{Source: "a"})
	require.Error(t, err)
	require.Less(t, time.Since(start), time.Second)
	require.Empty(t, indices(t, cfg))
}
