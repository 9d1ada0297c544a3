package search

import (
	"slices"
	"strings"
)

// maxTerms bounds a question: a message may be 256 KB of pasted text.
const maxTerms = 48

// Question is what is searched of a text: its words without stop words, once
// each, and the pairs of words that stand side by side.
type Question struct {
	Words []string
	Pairs []string // "first second"
}

// ParseQuestion reads a question. A question of stop words only keeps them all.
func ParseQuestion(text string) Question {
	all := Words(strings.NewReplacer("'", "", "’", "").Replace(text))
	kept := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return stopWords[w] })
	if len(kept) == 0 {
		kept = all
	}
	var q Question
	for i := 1; i < len(kept); i++ {
		q.Pairs = append(q.Pairs, kept[i-1]+" "+kept[i])
	}
	q.Words, q.Pairs = unique(kept), unique(q.Pairs)
	return q
}

// unique drops repetitions, in place. Of a very long text it keeps both ends, where
// people put what they ask.
func unique(list []string) []string {
	seen := make(map[string]bool, len(list))
	list = slices.DeleteFunc(list, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
	if len(list) > maxTerms {
		list = slices.Concat(list[:maxTerms/2], list[len(list)-maxTerms/2:])
	}
	return list
}
