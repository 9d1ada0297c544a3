package search

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// What a find of a word counts, by the field it is in.
const (
	TitleWeight   = 3
	HeadingWeight = 2
	TextWeight    = 1
)

// The parameters of BM25, as FTS5 has them.
const (
	Saturation = 1.2  // k1
	LengthPart = 0.75 // b
)

// MinCandidates is how many of the best by words are ranked again by pairs.
const MinCandidates = 100

// pairWeight is what a pair of words counts beside single ones.
const pairWeight = 0.4

// Best sorts matches, the best first and equal ones by chunk id, and returns
// the first of them.
func Best(matches []Match, limit int) []Match {
	slices.SortFunc(matches, func(a, b Match) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return matches[:min(len(matches), limit)]
}

// Rescore adds to the candidates' scores what an index is not asked for: the
// pairs of words that stand side by side, and the words that it left out for
// their frequency, with what one find of these is worth. An index would read
// the positions of every word in every chunk for it; here only the candidates'
// text is read.
func Rescore(matches []Match, question Question, pruned map[string]float64) {
	if len(question.Pairs) == 0 && len(pruned) == 0 {
		return
	}
	wanted := make(map[[2]string]string, len(question.Pairs))
	for _, pair := range question.Pairs {
		first, second, _ := strings.Cut(pair, " ")
		wanted[[2]string{first, second}] = pair
	}
	found := make([]map[string]float64, len(matches))
	having := map[string]float64{}
	for i := range matches {
		found[i] = countTerms(&matches[i], wanted, pruned)
		for term := range found[i] {
			having[term]++
		}
	}
	all := float64(len(matches))
	for i := range matches {
		for _, pair := range question.Pairs {
			rarity := math.Log(1 + (all-having[pair]+0.5)/(having[pair]+0.5))
			matches[i].Score += pairWeight * rarity * saturated(found[i][pair])
		}
		for _, word := range question.Words {
			matches[i].Score += pruned[word] * saturated(found[i][word])
		}
	}
}

// saturated is BM25's weight of n finds.
func saturated(n float64) float64 { return n * (Saturation + 1) / (n + Saturation) }

// countTerms counts the pairs and the pruned words in a chunk.
func countTerms(m *Match, pairs map[[2]string]string, pruned map[string]float64) map[string]float64 {
	counts := map[string]float64{}
	count := func(text string, weight float64) {
		last := ""
		for _, word := range Words(text) {
			if _, ok := pruned[word]; ok {
				counts[word] += weight
			}
			if pair, ok := pairs[[2]string{last, word}]; ok {
				counts[pair] += weight
			}
			last = word
		}
	}
	count(m.Title, TitleWeight)
	count(m.Heading, 1)
	count(m.Text, 1)
	return counts
}
