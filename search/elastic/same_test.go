package elastic_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
	"runa/search/searchtest"
	"runa/search/sqlite"
)

// Both indexes give the same answers to the questions of the Cranfield
// collection, also when another product has far more text in the shard.
func TestSameAnswers(t *testing.T) {
	t.Parallel()
	c := searchtest.LoadCranfield(t, os.Getenv("RUNA_CRANFIELD_DIR"))
	ours := setup(t)
	embedded, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "search.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, embedded.Close()) })
	require.NoError(t, ours.Put(t.Context(), "north", search.Entries(c.Chunks)))
	require.NoError(t, embedded.Put(t.Context(), "north", search.Entries(c.Chunks)))

	sameAnswers(t, c, ours, embedded)
	require.NoError(t, ours.Put(t.Context(), "south", search.Entries(twisted(c.Chunks, 5_600))))
	sameAnswers(t, c, ours, embedded)
}

func sameAnswers(t *testing.T, c *searchtest.Cranfield, ours, embedded search.Index) {
	t.Helper()
	var same, all float64
	for _, question := range c.Questions[:100] {
		q := search.Query{Text: question, Sources: []string{searchtest.CranfieldSource}, Limit: 10}
		found, err := ours.Search(t.Context(), "north", q)
		require.NoError(t, err)
		want, err := embedded.Search(t.Context(), "north", q)
		require.NoError(t, err)
		have := map[string]bool{}
		for _, m := range found {
			have[m.ID] = true
		}
		for _, m := range want {
			all++
			if have[m.ID] {
				same++
			}
		}
	}
	t.Logf("100 questions: mean overlap of the first 10 %.4f", same/all)
	require.Greater(t, same/all, 0.95)
	require.InDelta(t, c.Measure(t, embedded, "north"), c.Measure(t, ours, "north"), 0.005)
}

// twisted are chunks of the same words in other documents.
func twisted(chunks []schemas.Chunk, n int) []schemas.Chunk {
	list := make([]schemas.Chunk, n)
	for i := range list {
		list[i] = chunks[i%len(chunks)]
		list[i].ID = string(rune('a'+i/len(chunks))) + list[i].ID
		list[i].Text += " " + chunks[(i*7)%len(chunks)].Text
	}
	return list
}
