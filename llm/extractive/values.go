package extractive

import (
	"regexp"
	"strings"
	"unicode"
)

// values are what can be read from a message as arguments, in order of place.
type values struct {
	emails  []string
	urls    []string
	quoted  []string
	periods []period
	ids     []string
	numbers []number
	names   []string
	// rest is the message without the values, names included.
	rest string
}

// number is a number as it is written, with the words beside it.
type number struct {
	text          string
	before, after string // stems
}

var (
	quotedPattern = regexp.MustCompile("\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|«([^»\n]{1,200})»|`([^`\n]{1,200})`|(?:^|\\s)'([^'\n]{1,200})'")
	emailPattern  = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	urlPattern    = regexp.MustCompile(`https?://[^\s<>"]+`)
	idPattern     = regexp.MustCompile(`#\d+\b|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[A-Za-z]+[-_]?\d[A-Za-z0-9_-]*\b|\b\d+[-_]?[A-Za-z]{2,}[A-Za-z0-9_-]*\b|\b[A-Za-z]+_[A-Za-z0-9_]+\b`)
	ordinal       = regexp.MustCompile(`^\d+(st|nd|rd|th)$`)
	numberMatcher = regexp.MustCompile(`-?\b\d{1,3}(?:,\d{3})+(?:\.\d+)?\b|-?\b\d+(?:\.\d+)?\b`)
)

// readValues reads a message.
func readValues(text string) values {
	var v values
	text, v.quoted = takeAll(quotedPattern, text)
	text, v.urls = takeAll(urlPattern, text)
	text, v.emails = takeAll(emailPattern, text)
	text, v.periods = takePeriods(text)
	text = v.takeIDs(text)
	text = v.takeNumbers(text)
	v.rest = text
	v.names = namesIn(text)
	return v
}

// takeAll cuts the matches of a pattern out of a text; a match is its first
// group that is not empty, or all of it.
func takeAll(pattern *regexp.Regexp, text string) (rest string, found []string) {
	rest = pattern.ReplaceAllStringFunc(text, func(match string) string {
		groups := pattern.FindStringSubmatch(match)
		value := match
		for _, g := range groups[1:] {
			if g != "" {
				value = g
			}
		}
		found = append(found, strings.TrimRight(value, ".,;:!?)"))
		return " , "
	})
	return rest, found
}

func (v *values) takeIDs(text string) string {
	return idPattern.ReplaceAllStringFunc(text, func(match string) string {
		if ordinal.MatchString(match) {
			return match
		}
		v.ids = append(v.ids, strings.TrimPrefix(match, "#"))
		return " "
	})
}

func (v *values) takeNumbers(text string) string {
	for _, at := range numberMatcher.FindAllStringIndex(text, -1) {
		v.numbers = append(v.numbers, number{
			text:   strings.ReplaceAll(text[at[0]:at[1]], ",", ""),
			before: lastStem(text[:at[0]]),
			after:  firstStem(text[at[1]:]),
		})
	}
	return numberMatcher.ReplaceAllString(text, " ")
}

func lastStem(text string) string {
	stems := stemsOf(text[max(0, len(text)-40):])
	if len(stems) == 0 {
		return ""
	}
	return stems[len(stems)-1]
}

func firstStem(text string) string {
	stems := stemsOf(text[:min(40, len(text))])
	if len(stems) == 0 {
		return ""
	}
	return stems[0]
}

// namesIn returns the runs of capitalised words that do not begin a sentence;
// a text that is nothing but such a run is a name too.
func namesIn(text string) []string {
	var names, run []string
	fields := strings.Fields(text)
	flush := func() {
		if len(run) > 0 {
			names = append(names, strings.Join(run, " "))
		}
		run = nil
	}
	begins := true
	for _, f := range fields {
		word := strings.TrimFunc(f, func(r rune) bool { return !unicode.IsLetter(r) })
		capital := word != "" && unicode.IsUpper([]rune(word)[0]) && word != "I" && !strings.HasPrefix(word, "I'")
		if capital && (!begins || allCapital(fields)) {
			run = append(run, strings.TrimSuffix(strings.TrimSuffix(word, "'s"), "’s"))
		} else {
			flush()
		}
		if strings.ContainsAny(f[len(f)-1:], ".,;:!?") || strings.HasSuffix(word, "'s") {
			flush()
		}
		begins = strings.ContainsAny(f[len(f)-1:], ".:!?")
	}
	flush()
	return names
}

func allCapital(fields []string) bool {
	if len(fields) > 3 {
		return false
	}
	for _, f := range fields {
		if r := []rune(f)[0]; !unicode.IsUpper(r) {
			return false
		}
	}
	return true
}
