package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// testReindex fills the index anew while other tests crawl and delete, and
// while questions are asked: what was found is found, all the time.
func testReindex(t *testing.T, r *runatest.Runa) {
	c, docs := newProduct(t, r), serveSite(t, nil)
	kept := c.addSource(docs.URL + "/docs/")
	gone := c.addSource(serveSite(t, nil).URL + "/docs/")
	require.Equal(t, schemas.SourceReady, c.crawled(kept.ID).Status)
	require.Equal(t, schemas.SourceReady, c.crawled(gone.ID).Status)

	started := reindex(c, "POST")
	require.Equal(t, schemas.ReindexRunning, started.Status)
	require.NotNil(t, started.StartedAt)
	c.call("DELETE", "/v1/knowledge/"+gone.ID, nil, nil)
	var got schemas.Reindex
	untilWithin(t, 2*time.Minute, "the index is filled anew", func() bool { // the leases of other crawls come first
		requireFound(c, kept.ID)
		got = reindex(c, "GET")
		return got.Status != schemas.ReindexRunning
	})
	require.Equal(t, schemas.ReindexCompleted, got.Status, r.Log())
	require.NotNil(t, got.EndedAt)
	requireFound(c, kept.ID)

	command := runatest.Command(t, []string{"RUNA_OPERATOR_KEY=" + r.Operator}, "reindex", "--url", r.URL)
	require.Zero(t, command.Code, command.Stderr)
	require.Contains(t, command.Stdout, "done")
	requireFound(c, kept.ID)
	refused := runatest.Command(t, []string{"RUNA_OPERATOR_KEY=" + c.Key}, "reindex", "--url", r.URL)
	require.NotZero(t, refused.Code, "a product's key does not do")
	require.Contains(t, refused.Stderr, "403")
	without := runatest.Command(t, nil, "reindex", "--url", r.URL)
	require.NotZero(t, without.Code)
	require.Contains(t, without.Stderr, "RUNA_OPERATOR_KEY")
}

func reindex(c client, method string) (got schemas.Reindex) {
	c.t.Helper()
	answer := c.Do(runatest.Request{Method: method, Path: "/v1/reindex", Key: c.Operator})
	require.Equal(c.t, http.StatusOK, answer.Status, "%s", answer.Body)
	answer.JSON(c.t, &got)
	return got
}

// requireFound asks for an article, which the live source must have, once.
func requireFound(c client, source string) {
	c.t.Helper()
	hits := c.search("What does the " + animal(17) + " eat?")
	require.NotEmpty(c.t, hits)
	seen := map[string]bool{}
	for _, hit := range hits {
		require.Equal(c.t, source, hit.SourceID)
		require.False(c.t, seen[hit.URL+hit.Text], "%s is found twice", hit.URL)
		seen[hit.URL+hit.Text] = true
	}
	require.Contains(c.t, hits[0].URL, "/docs/page-17")
}
