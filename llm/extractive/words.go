package extractive

import (
	"strings"
	"unicode"
)

// stemsOf returns the stems of the words of a text, in order, identifiers
// split ("getUserById", "user_id").
func stemsOf(text string) []string {
	var out []string
	for _, w := range wordsOf(text) {
		out = append(out, stem(w))
	}
	return out
}

// spellings are pairs of words that stand for one, which people also write as
// one or otherwise. A pair may be made of what a pair became.
var spellings = map[string]string{
	"e mail": "email",
	"log in": "signin", "log on": "signin", "sign in": "signin", "sign on": "signin",
	"single signin": "sso",
	"set up":        "setup",
	"two factor":    "2fa", "2 factor": "2fa", "multi factor": "2fa",
	"2fa authentication": "2fa", "2fa auth": "2fa",
	"credit card": "card", "debit card": "card",
	"at most": "maximum", "up to": "maximum",
}

// respell joins the pairs of spellings.
func respell(words []string) []string {
	out := words[:0]
	for _, w := range words {
		for len(out) > 0 {
			joined, ok := spellings[out[len(out)-1]+" "+w]
			if !ok {
				break
			}
			out, w = out[:len(out)-1], joined
		}
		out = append(out, w)
	}
	return out
}

// wordsOf cuts text into words in lower case.
func wordsOf(text string) []string {
	var out []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
	}
	var last rune
	for _, r := range text {
		switch {
		case r == '\'' || r == '’':
			continue // don't is dont
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r):
			flush()
		case unicode.IsUpper(r) && unicode.IsLower(last):
			flush()
			word.WriteRune(unicode.ToLower(r))
		default:
			word.WriteRune(unicode.ToLower(r))
		}
		last = r
	}
	flush()
	return respell(out)
}

// suffixes are taken off the end of a word, the first that fits.
var suffixes = []string{"ations", "ation", "ating", "ated", "ates", "ate", "ings", "ing", "ments", "ment", "ies", "ied", "ers", "ed", "es", "er", "ly", "s"}

// stem makes the forms of an English word one: export, exports, exported,
// exporting; cancel, cancellation. It serves to compare, not to be read.
func stem(w string) string {
	if len(w) < 4 || strings.IndexFunc(w, unicode.IsDigit) >= 0 {
		return w
	}
	for _, s := range suffixes {
		if s == "s" && strings.HasSuffix(w, "ss") {
			continue
		}
		if base, ok := strings.CutSuffix(w, s); ok && len(base) >= 3 {
			w = base
			break
		}
	}
	if n := len(w); n > 3 && w[n-1] == w[n-2] {
		w = w[:n-1]
	}
	for _, s := range []string{"e", "y", "i"} {
		if len(w) > 3 {
			w = strings.TrimSuffix(w, s)
		}
	}
	return w
}

// stopStems say how one asks, not about what.
var stopStems = stemSet(`
a about all also am an and any anybody anyone anything are as ask at be been being but by
can cannot cant could did do does doesnt doing dont each else ever every exactly for from
get gets getting give go going got had has have having hello help hey hi how i id if ill im in into is isnt it its ive
just kind know let lets like made make makes many me mean may might much must my need needs no not now of off ok okay on one
or our ours out over please possible quite really s shall she he should so some somebody someone something still
tell than thank thanks that thats the their them then there these they this those to too us
use used using very want was wasnt we were what whats when where wheres which while who whos whose why will wish with
within without wont before after during work works would yes you your yours explain mean happen happens able long often soon
`)

func stemSet(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[stem(w)] = true
	}
	return set
}

// synonyms are words that ask for the same thing.
var synonyms = synonymTable(
	"cost price pricing fee charge",
	"delete remove erase",
	"login signin",
	"edit change modify update",
	"purchase buy",
	"pay payment",
	"bill invoice billing",
	"limit maximum max quota cap",
	"customer client",
	"member user people person colleague teammate",
	"earn revenue income turnover sales",
	"picture image photo",
	"mail email",
	"create add new",
	"slow latency",
	"2fa mfa",
	"sso saml",
	"expire valid",
	"year annual",
	"discount save",
	"phone telephone device",
	"bug error failure",
)

func synonymTable(groups ...string) map[string][]string {
	table := map[string][]string{}
	for _, group := range groups {
		stems := stemsOf(group)
		for _, s := range stems {
			table[s] = append(table[s], stems...)
		}
	}
	return table
}

// contentStems are the stems of a text that say about what it is, once each.
func contentStems(text string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range stemsOf(text) {
		if !seen[s] && !stopStems[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

// wordSet is a set of stems.
type wordSet map[string]bool

func setOf(stems []string) wordSet {
	set := make(wordSet, len(stems))
	for _, s := range stems {
		set[s] = true
	}
	return set
}

// synonymWorth is what a synonym counts beside the word itself.
const synonymWorth = 0.75

// has returns 1 when the set has the stem, less when it has a synonym.
func (set wordSet) has(s string) float64 {
	if set[s] {
		return 1
	}
	for _, other := range synonyms[s] {
		if set[other] {
			return synonymWorth
		}
	}
	return 0
}
