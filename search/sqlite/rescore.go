package sqlite

import (
	"math"

	"runa/search"
)

const (
	// pairWeight is what a pair of words counts beside single ones.
	pairWeight = 0.4
	// titleWeight is what a find in the title counts, as in weights.
	titleWeight = 3
	// saturation is BM25's k1, as FTS5 has it.
	saturation = 1.2
)

// rescore adds to the candidates' scores what FTS5 was not asked for: the
// pairs of words that stand side by side, and the words that prune left out.
// FTS5 would read the positions of every word in every chunk for it; here only
// the candidates' text is read.
func rescore(matches []search.Match, question terms, pruned map[string]float64) {
	if len(question.pairs) == 0 && len(pruned) == 0 {
		return
	}
	found := make([]map[string]float64, len(matches))
	having := map[string]float64{}
	for i := range matches {
		found[i] = countTerms(&matches[i], question.pairs, pruned)
		for term := range found[i] {
			having[term]++
		}
	}
	all := float64(len(matches))
	for i := range matches {
		for _, pair := range question.pairs {
			rarity := math.Log(1 + (all-having[pair]+0.5)/(having[pair]+0.5))
			matches[i].Score += pairWeight * rarity * saturated(found[i][pair])
		}
		for _, word := range question.words {
			matches[i].Score += pruned[word] * saturated(found[i][word])
		}
	}
}

// saturated is BM25's weight of n finds.
func saturated(n float64) float64 { return n * (saturation + 1) / (n + saturation) }

// countTerms counts the pairs and the pruned words in a chunk.
func countTerms(m *search.Match, pairs []string, pruned map[string]float64) map[string]float64 {
	wanted := make(map[string]bool, len(pairs))
	for _, pair := range pairs {
		wanted[pair] = true
	}
	counts := map[string]float64{}
	count := func(text string, weight float64) {
		last := ""
		for _, word := range words(text) {
			if _, ok := pruned[word]; ok {
				counts[word] += weight
			}
			if pair := last + " " + word; wanted[pair] {
				counts[pair] += weight
			}
			last = word
		}
	}
	count(m.Title, titleWeight)
	count(m.Heading, 1)
	count(m.Text, 1)
	return counts
}
