package elastic

import (
	"math"

	"runa/schemas"
	"runa/search"
)

// counts are what BM25 must know of a product's text. Elasticsearch would take
// them over all products of a shard.
type counts struct {
	chunks float64
	length float64 // of a chunk, on average
	having map[string]float64
	// everyone is how many chunks the shard has of all products. It moves no
	// score, only what Elasticsearch proposes.
	everyone float64
}

// rarity is what a find of a word counts, as FTS5 reckons it.
func (c *counts) rarity(word string) float64 {
	n := c.having[word]
	return max(1e-6, math.Log((c.chunks-n+0.5)/(n+0.5)))
}

// score is BM25 of a chunk, of which a field's finds count by its weight.
func (c *counts) score(chunk *schemas.Chunk, words []string) float64 {
	found := make(map[string]float64, len(words))
	for _, word := range words {
		found[word] = 0
	}
	length := 1.0
	add := func(field string, weight float64) {
		for _, word := range search.Words(field) {
			length++
			if _, ok := found[word]; ok {
				found[word] += weight
			}
		}
	}
	add(chunk.Title, search.TitleWeight)
	add(chunk.Heading, search.HeadingWeight)
	add(chunk.Text, search.TextWeight)
	var sum float64
	damping := search.Saturation * (1 - search.LengthPart + search.LengthPart*length/c.length)
	for _, word := range words {
		sum += c.rarity(word) * found[word] * (search.Saturation + 1) / (found[word] + damping)
	}
	return sum
}
