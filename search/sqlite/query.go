package sqlite

import (
	"slices"
	"strings"
)

// maxTerms bounds a question: a message may be 256 KB of pasted text.
const maxTerms = 48

// terms are what is searched of a question: its words without stop words, once
// each, and the pairs of words that stand side by side.
type terms struct {
	words []string
	pairs []string // "first second"
}

// parse reads a question. A question of stop words only keeps them all.
func parse(text string) terms {
	all := words(strings.NewReplacer("'", "", "’", "").Replace(text))
	kept := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return stopWords[w] })
	if len(kept) == 0 {
		kept = all
	}
	t := terms{words: unique(kept)}
	for i := 1; i < len(kept); i++ {
		t.pairs = append(t.pairs, kept[i-1]+" "+kept[i])
	}
	t.pairs = unique(t.pairs)
	return t
}

// unique drops repetitions. Of a very long text it keeps both ends, where
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

// match writes an FTS5 expression for any of the phrases in the fields of
// text, in one of the sources; no sources is all of them. Every phrase is a
// quoted string: nothing that a user types is syntax.
func match(phrases []string, sources []int64) string {
	expr := "{title heading text} : (" + anyOf(phrases) + ")"
	if len(sources) == 0 {
		return expr
	}
	names := make([]string, len(sources))
	for i, num := range sources {
		names[i] = sourceWord(num)
	}
	return "(" + expr + ") AND source : (" + anyOf(names) + ")"
}

func anyOf(phrases []string) string {
	quoted := make([]string, len(phrases))
	for i, p := range phrases {
		quoted[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(quoted, " OR ")
}
