package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// BenchmarkSearch searches an index of 20,000 and one of 200,000 chunks of 120
// words, whose words are as frequent as in a language, with questions of
// eight words, none of the hundred most frequent: those are stop words.
func BenchmarkSearch(b *testing.B) {
	for _, chunks := range []int{20_000, 200_000} {
		b.Run(fmt.Sprint(chunks), func(b *testing.B) {
			x := setup(b)
			words := newZipf(1, 0)
			for start := 0; start < chunks; start += 2000 {
				batch := make([]schemas.Chunk, 2000)
				for i := range batch {
					id := fmt.Sprint(start + i)
					batch[i] = schemas.Chunk{
						ID: id, SourceID: "s" + id[len(id)-1:], DocumentID: id, Version: 1,
						Title: words.text(4), Text: words.text(120),
					}
				}
				require.NoError(b, x.Put(b.Context(), "north", search.Entries(batch)))
			}
			questions := newZipf(2, 100)
			for _, sources := range [][]string{{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"}, {"s3"}} {
				b.Run(fmt.Sprintf("sources=%d", len(sources)), func(b *testing.B) {
					for b.Loop() {
						_, err := x.Search(b.Context(), "north", search.Query{Text: questions.text(8), Sources: sources, Limit: 8})
						require.NoError(b, err)
					}
				})
			}
		})
	}
}

// zipf makes texts of words from the rank of the first on.
type zipf struct {
	*rand.Zipf
	first uint64
}

func newZipf(seed, first uint64) zipf {
	random := rand.New(rand.NewPCG(seed, 1))
	return zipf{rand.NewZipf(random, 1.1, float64(10+first), 50_000), first}
}

func (z zipf) text(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("w%d", z.first+z.Uint64())
	}
	return strings.Join(list, " ")
}
