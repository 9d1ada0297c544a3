package elastic_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/search"
	"runa/search/elastic"
	"runa/search/searchtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	x := setup(t)
	cfg := config(t)
	require.NoError(t, elastic.Migrate(t.Context(), cfg))
	searchtest.Run(t,
		func(t *testing.T) search.Index { return apart{x, t.Name() + "/"} },
		searchtest.Reopens(func(t *testing.T, folder string) search.Index { return apart{open(t, cfg), folder} }))
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	var configs sync.Map
	searchtest.RunRebuild(t,
		func(t *testing.T) searchtest.Rebuilt {
			cfg := config(t)
			require.NoError(t, elastic.Migrate(t.Context(), cfg))
			x := open(t, cfg)
			configs.Store(x, cfg)
			return x
		},
		func(t *testing.T, x searchtest.Rebuilt) searchtest.Rebuilt {
			cfg, _ := configs.Load(x)
			return open(t, cfg.(elastic.Config))
		})
}

// apart is an index whose products are its own: the suite's tests share an
// index, which is quicker and what products do.
type apart struct {
	search.Index
	prefix string
}

func (a apart) Put(ctx context.Context, product string, chunks []search.Entry) error {
	return a.Index.Put(ctx, a.prefix+product, chunks)
}

func (a apart) Delete(ctx context.Context, product string, which search.Selection) error {
	return a.Index.Delete(ctx, a.prefix+product, which)
}

func (a apart) Count(ctx context.Context, product string, which search.Selection) (int, error) {
	return a.Index.Count(ctx, a.prefix+product, which)
}

func (a apart) Search(ctx context.Context, product string, q search.Query) ([]search.Match, error) {
	return a.Index.Search(ctx, a.prefix+product, q)
}

// setup opens a fresh index and closes it at the end.
func setup(t testing.TB) *elastic.Index {
	t.Helper()
	cfg := config(t)
	require.NoError(t, elastic.Migrate(t.Context(), cfg))
	x := open(t, cfg)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

func open(t testing.TB, cfg elastic.Config) *elastic.Index {
	t.Helper()
	x, err := elastic.Open(t.Context(), cfg)
	require.NoError(t, err)
	return x
}

// config is of indices of the test's own, which are deleted at its end.
func config(t testing.TB) elastic.Config {
	t.Helper()
	url := os.Getenv("RUNA_TEST_ELASTICSEARCH_URL")
	if url == "" {
		t.Skip("RUNA_TEST_ELASTICSEARCH_URL is not set: make test-services sets it")
	}
	cfg := elastic.Config{URL: url, Prefix: "test-" + strings.ToLower(rand.Text()[:16])}
	t.Cleanup(func() { dropIndices(t, cfg) })
	return cfg
}

// dropIndices deletes all indices of the prefix.
func dropIndices(t testing.TB, cfg elastic.Config) {
	t.Helper()
	for _, index := range indices(t, cfg) {
		require.Equal(t, http.StatusOK, send(t, http.MethodDelete, cfg.URL+"/"+index, "", nil))
	}
}
