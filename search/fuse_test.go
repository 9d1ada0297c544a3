package search_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

func match(id string, score float64) search.Match {
	return search.Match{Chunk: schemas.Chunk{ID: id}, Score: score}
}

func TestFuse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ lexical, dense, want []search.Match }{
		"nothing": {},
		"words alone": {
			lexical: []search.Match{match("a", 9), match("b", 6), match("c", 3)},
			want:    []search.Match{match("a", 0.5), match("b", 0.25), match("c", 0)},
		},
		"both": {
			lexical: []search.Match{match("a", 9), match("b", 6), match("c", 3)},
			dense:   []search.Match{match("c", 0.9), match("d", 0.8), match("b", -0.1)},
			want:    []search.Match{match("a", 0.5), match("c", 0.5), match("d", 0.45), match("b", 0.25)},
		},
		"one score, one chunk": {
			lexical: []search.Match{match("b", 2), match("a", 2)},
			dense:   []search.Match{match("c", -1)},
			want:    []search.Match{match("a", 0.5), match("b", 0.5), match("c", 0.5)},
		},
	} {
		got := search.Best(search.Fuse(test.lexical, test.dense), 10)
		require.Len(t, got, len(test.want), name)
		for i, m := range test.want {
			require.Equal(t, m.ID, got[i].ID, name)
			require.InDelta(t, m.Score, got[i].Score, 1e-9, name)
		}
	}
}
