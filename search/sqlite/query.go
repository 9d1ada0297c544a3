package sqlite

import "strings"

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
