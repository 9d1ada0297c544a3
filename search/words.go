package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is how many bytes of a word are kept: what is longer is data, and
// indexes refuse or cut it, each at a length of its own.
const maxWord = 120

// Words cuts text into the words that are indexed and searched: lower case,
// without accents on Latin letters, without the plural's s. An identifier
// (getUserById, user_id) gives its parts and, behind them, the whole. Text in a
// script without spaces gives its pairs of characters. An implementation
// indexes these words and no others, so that all of them find the same.
func Words(s string) []string {
	out := make([]string, 0, len(s)/6+1)
	for at := 0; at < len(s); {
		end, plain := runAt(s, at)
		switch {
		case end == at:
			_, size := utf8.DecodeRuneInString(s[at:])
			end += size
		case plain:
			out = append(out, singular(s[at:end]))
		default:
			out = appendRun(out, s[at:end])
		}
		at = end
	}
	return out
}

// runAt returns the end of the run of letters, digits, marks and underscores
// that begins at a place, and whether it is plain: there is nothing to split,
// fold or cut, as in most words.
func runAt(s string, at int) (end int, plain bool) {
	plain = true
	for end = at; end < len(s); {
		size := 1
		switch c := s[end]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z' || c == '_':
			plain = false
		default:
			var r rune
			if r, size = utf8.DecodeRuneInString(s[end:]); !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
				return end, plain && end-at <= maxWord
			}
			plain = false
		}
		end += size
	}
	return end, plain && end-at <= maxWord
}

func appendRun(out []string, run string) []string {
	parts := splitIdentifier(run)
	for _, part := range parts {
		if strings.IndexFunc(part, isUnspaced) >= 0 {
			out = appendPairs(out, part)
			continue
		}
		out = append(out, singular(fold(part)))
	}
	if len(parts) > 1 {
		out = append(out, fold(strings.Join(parts, "")))
	}
	return out
}

// fold takes a word to the form in which it is compared.
func fold(word string) string {
	word = strings.ToLower(word)
	if strings.IndexFunc(word, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		word = strings.Map(withoutAccent, word)
	}
	if len(word) > maxWord {
		word = strings.ToValidUTF8(word[:maxWord], "")
	}
	return word
}

// withoutAccent returns the ASCII letter below an accent, and nothing for an
// accent that stands by itself. In other scripts a mark makes another letter.
func withoutAccent(r rune) rune {
	switch {
	case r < 0xC0:
		return r
	case r >= 0x300 && r <= 0x331:
		return -1
	}
	var buf [utf8.UTFMax]byte
	parts := norm.NFD.Properties(buf[:utf8.EncodeRune(buf[:], r)]).Decomposition()
	if len(parts) > 0 && parts[0] < utf8.RuneSelf {
		return rune(parts[0])
	}
	return r
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
