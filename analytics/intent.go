package analytics

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// OtherIntent is the intent of a message that names nothing.
	OtherIntent = "other"

	maxIntent     = 64  // characters
	maxWords      = 3   // of a key phrase
	maxWord       = 24  // characters; longer ones are more often secrets than words
	maxDigits     = 4   // in a row or in a field; longer ones are ids, phones and the like
	maxFields     = 400 // of a message that are looked at
	maxMixedRuns  = 2   // of letters and digits: oauth2 and 2fa, not a1b2c3
	maxShortMixed = 4   // characters of a word with more runs: i18n
	maxCode       = 16  // characters of a field like utf-8 or INV-2041
)

// Intent names what a turn was about, in snake_case and at most 64 characters:
// the first of the tools it used, else a key phrase of the message, else
// OtherIntent. The same arguments give the same name for ever.
//
// A name must not tell who asked or about what record: e-mail addresses, URLs,
// long numbers and ids are left out of it.
func Intent(message string, tools []string) string {
	for _, tool := range tools {
		if name := snakeCase(tool); name != "" {
			return name
		}
	}
	if phrase := keyPhrase(message); phrase != "" {
		return phrase
	}
	return OtherIntent
}

// snakeCase turns getRevenue, get-revenue and GET_REVENUE into get_revenue.
func snakeCase(name string) string {
	runes := []rune(name)
	var out []rune
	gap := false
	for i, r := range runes {
		if !isWordRune(r) {
			gap = true
			continue
		}
		if len(out) > 0 && (gap || startsWord(runes, i)) {
			out = append(out, '_')
		}
		out = append(out, unicode.ToLower(r))
		gap = false
	}
	return strings.TrimRight(string(out[:min(len(out), maxIntent)]), "_")
}

// startsWord reports whether a capital opens a word: after a small letter or a
// digit, or as the last of several capitals (the R of HTTPRequest).
func startsWord(runes []rune, i int) bool {
	if i == 0 || !unicode.IsUpper(runes[i]) {
		return false
	}
	before := runes[i-1]
	if unicode.IsLower(before) || unicode.IsDigit(before) {
		return true
	}
	return unicode.IsUpper(before) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
}

// keyPhrase joins the first content words of the message.
func keyPhrase(message string) string {
	phrase, count := "", 0
	for _, w := range contentWords(message) {
		next := w
		if count > 0 {
			next = phrase + "_" + w
		}
		if utf8.RuneCountInString(next) > maxIntent {
			break
		}
		phrase = next
		if count++; count == maxWords {
			break
		}
	}
	return phrase
}

// word is a piece of a message. A number without text is one that was left
// out; it still makes its neighbour part of a longer number.
type word struct {
	text   string
	number bool
}

// contentWords returns the words that carry meaning, in order.
func contentWords(message string) []string {
	var words []word
	n := 0
	for field := range strings.FieldsSeq(message) {
		words = append(words, wordsOf(field)...)
		if n++; n == maxFields {
			break
		}
	}
	var content []string
	afterNumber := false
	for i, w := range words {
		if w.text == "" || stopWords[w.text] || w.number && (afterNumber || besideNumber(words, i)) {
			continue
		}
		afterNumber = w.number
		text := singular(w.text)
		if len(content) == 0 || content[len(content)-1] != text {
			content = append(content, text)
		}
	}
	return content
}

// besideNumber finds the pieces of phone numbers, card numbers and dates.
func besideNumber(words []word, i int) bool {
	return i > 0 && words[i-1].number || i+1 < len(words) && words[i+1].number
}

// wordsOf splits what stands between two spaces.
func wordsOf(field string) []word {
	if isAddress(field) {
		return nil
	}
	field = strings.ToLower(withoutApostrophe(field))
	pieces := strings.FieldsFunc(field, func(r rune) bool { return !isWordRune(r) })
	digits := strings.IndexFunc(field, unicode.IsDigit) >= 0
	if len(pieces) > 1 && digits {
		return codeWords(field, pieces)
	}
	words := make([]word, 0, len(pieces))
	for _, piece := range pieces {
		words = append(words, wordOf(piece))
	}
	return words
}

// codeWords keeps the letters of utf-8 and INV-2041, and nothing of what is
// long enough for a record's id, a date or a phone number.
func codeWords(field string, pieces []string) []word {
	if countDigits(field) > maxDigits || utf8.RuneCountInString(field) > maxCode {
		return []word{{number: true}}
	}
	words := make([]word, 0, len(pieces))
	for _, piece := range pieces {
		if countDigits(piece) > 0 {
			words = append(words, word{number: true})
			continue
		}
		words = append(words, wordOf(piece))
	}
	return words
}

func wordOf(piece string) word {
	digits, length := countDigits(piece), utf8.RuneCountInString(piece)
	number := digits == length
	mixed := digits > 0 && !number
	switch {
	case strings.IndexFunc(piece, isLetterOrDigit) < 0:
		return word{}
	case length > maxWord || digits > maxDigits, mixed && runs(piece) > maxMixedRuns && length > maxShortMixed:
		return word{number: digits > 0}
	default:
		return word{text: piece, number: number}
	}
}

// isAddress reports e-mail addresses, handles, URLs, paths and domain names.
func isAddress(field string) bool {
	lower := strings.ToLower(field)
	if strings.ContainsAny(lower, "@＠") || strings.Contains(lower, "://") || strings.HasPrefix(lower, "www.") {
		return true
	}
	host := strings.TrimFunc(lower, func(r rune) bool { return !isWordRune(r) })
	if i := strings.IndexAny(host, "/?#:"); i >= 0 {
		host = host[:i]
	}
	dot := strings.LastIndexByte(host, '.')
	return dot > 0 && commonDomains[host[dot+1:]]
}

// withoutApostrophe turns what's into what, don't into dont and l'export into
// export.
func withoutApostrophe(field string) string {
	before, after, found := strings.Cut(strings.ReplaceAll(field, "’", "'"), "'")
	if !found {
		return field
	}
	ending := strings.TrimFunc(strings.ToLower(after), func(r rune) bool { return !isWordRune(r) })
	switch letters := utf8.RuneCountInString(before); {
	case contractions[ending]:
		return before
	case letters > 0 && letters <= 2 && utf8.RuneCountInString(ending) > letters:
		return after
	default:
		return strings.ReplaceAll(before+after, "'", "")
	}
}

// singular takes the plural ending off an English word, so that invoice and
// invoices are one intent. It is wrong at times, but always in the same way.
func singular(w string) string {
	if len(w) <= 3 || notPlural[w] {
		return w
	}
	for _, ending := range []struct{ plural, singular string }{
		{"ss", "ss"},
		{"us", "us"},
		{"sses", "ss"},
		{"xes", "x"},
		{"shes", "sh"},
		{"tches", "tch"},
		{"rches", "rch"},
		{"ies", "y"},
		{"s", ""},
	} {
		if stem, ok := strings.CutSuffix(w, ending.plural); ok {
			return stem + ending.singular
		}
	}
	return w
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// isWordRune includes the marks that letters of many scripts carry, but not
// those that only dress an emoji.
func isWordRune(r rune) bool {
	return isLetterOrDigit(r) || unicode.In(r, unicode.Mn, unicode.Mc) && !unicode.Is(unicode.Variation_Selector, r)
}

func countDigits(s string) (n int) {
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

// runs counts the stretches of letters and of digits.
func runs(s string) (n int) {
	last := -1
	for _, r := range s {
		kind := 0
		if unicode.IsDigit(r) {
			kind = 1
		}
		if kind != last {
			n, last = n+1, kind
		}
	}
	return n
}
