package searchtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/search"
)

// direction is a vector of a space, so many degrees from the first axis.
func direction(space string, degrees float64) *search.Vector {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return &search.Vector{Space: space, Values: []float32{float32(cos), float32(sin), 0, 0}}
}

func entry(source, document, text string, v *search.Vector) search.Entry {
	return search.Entry{Chunk: chunk(source, document, 0, text), Vector: v}
}

func ask(t *testing.T, x search.Index, product string, q search.Query) []search.Match {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 200
	}
	found, err := x.Search(t.Context(), product, q)
	require.NoError(t, err)
	require.NotNil(t, found)
	return found
}

func vectorsFound(t *testing.T, x search.Index) {
	require.NoError(t, x.Put(t.Context(), north, []search.Entry{
		entry("a", "far", "apples", direction("m", 80)),
		entry("a", "near", "pears", direction("m", 10)),
		entry("a", "mid", "plums", direction("m", 40)),
		entry("b", "nearest", "figs", direction("m", 1)),
		entry("a", "other", "dates", direction("other", 0)),
		entry("a", "none", "apples", nil),
	}))
	require.NoError(t, x.Put(t.Context(), south, []search.Entry{entry("a", "south", "pears", direction("m", 0))}))
	question := search.Query{Vector: direction("m", 0), Sources: []string{"a"}}
	require.Equal(t, []string{"a/near/1/000", "a/mid/1/000", "a/far/1/000"}, ids(ask(t, x, north, question)), "by vector alone")
	question.Sources = []string{"b", "a"}
	require.Equal(t, "b/nearest/1/000", ask(t, x, north, question)[0].ID)
	question.Vector = &search.Vector{Space: "m", Values: []float32{1, 0}}
	require.Empty(t, ask(t, x, north, question), "another length is another space")
	question.Vector = direction("new", 0)
	require.Empty(t, ask(t, x, north, question), "a space that nobody used")
	question.Text = "plums"
	require.Equal(t, []string{"a/mid/1/000"}, ids(ask(t, x, north, question)))
	require.Empty(t, ask(t, x, north, search.Query{Vector: direction("m", 0)}), "no sources find nothing")
}

// vectorsFused expects what search.Fuse makes of both lists.
func vectorsFused(t *testing.T, x search.Index) {
	require.NoError(t, x.Put(t.Context(), north, []search.Entry{
		entry("a", "both", "apples", direction("m", 10)),
		entry("a", "word", "apples", direction("m", 90)),
		entry("a", "near", "pears", direction("m", 0)),
		entry("a", "plain", "apples", nil),
	}))
	found := ask(t, x, north, search.Query{Text: "apples", Vector: direction("m", 0), Sources: []string{"a"}})
	require.Equal(t, []string{"a/both/1/000", "a/near/1/000", "a/plain/1/000", "a/word/1/000"}, ids(found))
	require.InDelta(t, 0.5+0.5*math.Cos(10*math.Pi/180), found[0].Score, 1e-4)
	for _, m := range found[1:] {
		require.InDelta(t, 0.5, m.Score, 1e-4)
	}
}

func vectorsFollow(t *testing.T, x search.Index) {
	one := entry("a", "one", "apples", direction("m", 0))
	put := func(e search.Entry) { require.NoError(t, x.Put(t.Context(), north, []search.Entry{e})) }
	near := func(v *search.Vector) []string {
		return ids(ask(t, x, north, search.Query{Vector: v, Sources: []string{"a", "b"}}))
	}
	put(one)
	put(one)
	put(entry("a", "two", "apples", direction("m", 50)))
	require.Equal(t, []string{"a/one/1/000", "a/two/1/000"}, near(direction("m", 0)))
	one.Vector = direction("m", 90)
	put(one)
	require.Equal(t, []string{"a/two/1/000", "a/one/1/000"}, near(direction("m", 0)), "a new vector replaces")
	one.Vector = direction("n", 0)
	put(one)
	require.Equal(t, []string{"a/one/1/000"}, near(direction("n", 0)))
	require.Equal(t, []string{"a/two/1/000"}, near(direction("m", 0)), "the old space has it no more")
	one.Vector = nil
	put(one)
	require.Empty(t, near(direction("n", 0)), "a chunk may lose its vector")
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a"}))
	require.Empty(t, near(direction("m", 0)))
}

func vectorsRefused(t *testing.T, x search.Index) {
	nan := float32(math.NaN())
	for name, v := range map[string]*search.Vector{
		"no space":  {Values: []float32{1}},
		"no values": {Space: "m"},
		"zero":      {Space: "m", Values: []float32{0, 0}},
		"NaN":       {Space: "m", Values: []float32{1, nan}},
		"too long":  {Space: "m", Values: make([]float32, 5000)},
	} {
		err := x.Put(t.Context(), north, []search.Entry{entry("a", "good", "apples", nil), entry("a", "bad", "apples", v)})
		require.ErrorContains(t, err, "a/bad/1/000", name)
		_, err = x.Search(t.Context(), north, search.Query{Text: "apples", Vector: v, Sources: []string{"a"}, Limit: 1})
		require.Error(t, err, name)
	}
	require.Zero(t, count(t, x, north, search.Selection{Source: "a"}))
}

// vectorsExact compares with all vectors, worked out here.
func vectorsExact(t *testing.T, x search.Index) {
	random := rand.New(rand.NewPCG(1, 2))
	vector := func() *search.Vector {
		v := &search.Vector{Space: "m", Values: make([]float32, 48)}
		for i := range v.Values {
			v.Values[i] = float32(random.NormFloat64())
		}
		return v
	}
	list := make([]search.Entry, 300)
	want := make([]search.Match, len(list))
	question := vector()
	for i := range list {
		list[i] = entry("a", fmt.Sprintf("%03d", i), "apples", vector())
		want[i] = search.Match{Chunk: list[i].Chunk, Score: cosine(question.Values, list[i].Vector.Values)}
	}
	require.NoError(t, x.Put(t.Context(), north, list))
	found := ask(t, x, north, search.Query{Vector: question, Sources: []string{"a"}, Limit: 20})
	require.Equal(t, ids(search.Best(want, 20)), ids(found))
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}
