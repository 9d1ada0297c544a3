package sqlite_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/search"
	"runa/search/searchtest"
)

// TestCranfield measures the ranking.
func TestCranfield(t *testing.T) {
	t.Parallel()
	c := searchtest.LoadCranfield(t, os.Getenv("RUNA_CRANFIELD_DIR"))
	x := setup(t)
	require.NoError(t, x.Put(t.Context(), "cranfield", search.Entries(c.Chunks)))
	whole := c.Measure(t, x, "cranfield")
	require.GreaterOrEqual(t, whole, 0.39)
	x.PruneFrom(1)
	require.InDelta(t, whole, c.Measure(t, x, "cranfield"), 0.005, "what pruning may cost")
}
