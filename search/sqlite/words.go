package sqlite

import (
	"strings"
	"unicode"
)

// indexText prepares a field for the full-text table: words of words.go,
// joined by spaces, so that FTS5 sees nothing but letters and digits.
func indexText(s string) string { return strings.Join(words(s), " ") }

// words cuts text into the words that are indexed and searched: lower case,
// without the plural's s. An identifier (getUserById, user_id) gives its parts
// and, behind them, the whole. Text in a script without spaces gives its pairs
// of characters.
func words(s string) []string {
	var out []string
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return !isWordRune(r) }) {
		out = appendRun(out, run)
	}
	return out
}

func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_'
}

func appendRun(out []string, run string) []string {
	parts := splitIdentifier(run)
	for _, part := range parts {
		if strings.IndexFunc(part, isUnspaced) >= 0 {
			out = appendPairs(out, part)
			continue
		}
		out = append(out, singular(strings.ToLower(part)))
	}
	if len(parts) > 1 {
		out = append(out, strings.ToLower(strings.Join(parts, "")))
	}
	return out
}

// splitIdentifier splits at underscores and where the case or script changes:
// "HTTPServer_v2" is HTTP, Server, v2.
func splitIdentifier(run string) []string {
	var parts []string
	for _, piece := range strings.Split(run, "_") {
		runes := []rune(piece)
		start := 0
		for i := 1; i < len(runes); i++ {
			if boundary(runes, i) {
				parts = append(parts, string(runes[start:i]))
				start = i
			}
		}
		if start < len(runes) {
			parts = append(parts, string(runes[start:]))
		}
	}
	return parts
}

// boundary reports whether a part ends before runes[i].
func boundary(runes []rune, i int) bool {
	a, b := runes[i-1], runes[i]
	switch {
	case isUnspaced(a) != isUnspaced(b) && !unicode.IsMark(b):
		return true
	case unicode.IsLower(a) && unicode.IsUpper(b):
		return true
	default: // the last capital of a run of them begins the next word
		return unicode.IsUpper(a) && unicode.IsUpper(b) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
	}
}

// isUnspaced reports whether r is of a script that writes no spaces between
// words.
func isUnspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func appendPairs(out []string, part string) []string {
	runes := []rune(part)
	if len(runes) == 1 {
		return append(out, part)
	}
	for i := range len(runes) - 1 {
		out = append(out, string(runes[i:i+2]))
	}
	return out
}

// singular takes off an English plural, by Harman's three rules. Stemming
// more than that harms retrieval in documentation.
func singular(w string) string {
	n := len(w)
	switch {
	case n < 4 || w[n-1] != 's':
		return w
	case strings.HasSuffix(w, "ies") && w[n-4] != 'e' && w[n-4] != 'a':
		return w[:n-3] + "y"
	case strings.HasSuffix(w, "us"), strings.HasSuffix(w, "ss"):
		return w
	default:
		return w[:n-1]
	}
}
