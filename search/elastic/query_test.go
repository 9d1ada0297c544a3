package elastic

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// Whatever is asked for, the product's filter is beside it.
func TestQueriesNameTheProduct(t *testing.T) {
	t.Parallel()
	s := scopeOf("north")
	own := clause{"term": clause{"scope": s.key}}
	for name, q := range map[string]*query{
		"nothing": {},
		"filter":  {filter: []clause{anySource([]string{"a"})}},
		"words":   {should: s.weighted([]string{"apple"}, &counts{chunks: 9, everyone: 99, having: map[string]float64{"apple": 1}}), size: 10},
		"counts":  {counts: clause{"length": clause{}}},
	} {
		require.Contains(t, s.body(q)["query"].(clause)["bool"].(clause)["filter"], own, name)
	}
	near := s.body(&query{vector: &search.Vector{Space: "x", Values: []float32{1}}, size: 10})
	require.NotContains(t, near, "query")
	require.Contains(t, near["knn"].(clause)["filter"].(clause)["bool"].(clause)["filter"], own)
	for _, which := range []search.Selection{{Source: "a"}, {Source: "a", Document: "d"}, {Source: "a", KeepVersion: 3}, {}} {
		require.Contains(t, s.selection(which)["bool"].(clause)["filter"], own)
	}
	require.Equal(t, clause{"query": clause{"match_all": clause{}}, "size": 0, "track_total_hits": true},
		s.body(&query{everyone: true, size: 10, counts: clause{"length": clause{}}}), "a count of all shows no chunk")
}

func TestScopesAreApart(t *testing.T) {
	t.Parallel()
	north, south := scopeOf("north"), scopeOf("south")
	require.NotEqual(t, north.term("apple"), south.term("apple"))
	require.NotEqual(t, north.documentID("1"), south.documentID("1"))
	require.NotEqual(t, scopeOf("a").documentID("bc"), scopeOf("ab").documentID("c"))
	require.LessOrEqual(t, len(north.documentID(strings.Repeat("x", 5000))), 512, "what Elasticsearch takes")
	require.NotEqual(t, scopeOf("\xff"), scopeOf("\xfe"), "JSON would make one text of both")
}

func TestTermsCountByField(t *testing.T) {
	t.Parallel()
	s := scopeOf("north")
	text, length := s.terms(&schemas.Chunk{Title: "Invoices", Heading: "Export", Text: "Export a file"})
	require.Equal(t, 6, length)
	for word, n := range map[string]int{"invoice": 3, "export": 3, "a": 1, "file": 1} {
		require.Equal(t, n, strings.Count(text, s.term(word)+" "), word)
	}
}

func TestManySources(t *testing.T) {
	t.Parallel()
	sources := make([]string, maxTerms+1)
	any := anySource(sources)["bool"].(clause)["should"].([]clause)
	require.Len(t, any, 2)
}

// An index that takes another's place between two counts must not give a word
// a boost below 0, which Elasticsearch refuses.
func TestBoostsArePositive(t *testing.T) {
	t.Parallel()
	for _, everyone := range []float64{0, 1, 5, 9, 1e6} {
		for _, having := range []float64{1, 5, 9} {
			list := scopeOf("north").weighted([]string{"apple"}, &counts{chunks: 9, everyone: everyone, having: map[string]float64{"apple": having}})
			boost := list[0]["term"].(clause)["words"].(clause)["boost"].(float64)
			require.Positive(t, boost, "%v of 9 of %v", having, everyone)
			require.False(t, math.IsInf(boost, 0) || math.IsNaN(boost))
		}
	}
}
