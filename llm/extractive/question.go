package extractive

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"runa/llm"
)

// cue is what kind of answer a question waits for.
type cue int

const (
	cueNone cue = iota
	cuePrice
	cueHowTo
	cueTime
	cueNumber
	cueWho
	cueWhere
)

// question is the running message, read.
type question struct {
	text   string
	stems  []string // what it is about
	cue    cue
	proper wordSet // stems of names: what an answer may not lack
	story  bool    // wants an explanation rather than a fact
	before string  // the user's message before, of a follow-up
}

var (
	followUp = regexp.MustCompile(`(?i)^\s*(and|or|also|what about|how about|same for|ok(ay)?,? and|then|but)\b`)
	story    = regexp.MustCompile(`(?i)\b(why|what happens|mean|explain|tell me (more )?about|help)\b`)
	cues     = []struct {
		cue     cue
		pattern *regexp.Regexp
	}{
		{cuePrice, regexp.MustCompile(`(?i)\b(how much|costs?|prices?|pricing|fees?|expensive|cheap\w*|charged?)\b`)},
		{cueTime, regexp.MustCompile(`(?i)\b(when|how (long|soon|often|quickly|fast)|what time|deadline|expires?|days|hours)\b`)},
		{cueNumber, regexp.MustCompile(`(?i)\b(how many|limits?|maximum|max|minimum|how (big|large)|number of|size)\b`)},
		{cueHowTo, regexp.MustCompile(`(?i)\b(how (do|can|could|should|would|to)|steps to|way to)\b`)},
		{cueWho, regexp.MustCompile(`(?i)\b(who|whose|whom)\b`)},
		{cueWhere, regexp.MustCompile(`(?i)\bwhere\b`)},
	}
)

// A message may be 256 KB. Of a long one both ends are read, where people put
// what they ask.
const (
	maxText  = 4096 // bytes
	maxStems = 64
)

// ends returns a text, or the beginning and the end of a long one.
func ends(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText/2], "") + "\n" + strings.ToValidUTF8(text[len(text)-maxText/2:], "")
}

// readQuestion reads the last user message; a short follow-up also takes the
// words of the message before it.
func readQuestion(messages []llm.Message) question {
	var texts []string
	for _, m := range messages {
		if m.Role == llm.RoleUser {
			texts = append(texts, ends(m.Text))
		}
	}
	if len(texts) == 0 {
		return question{}
	}
	q := question{text: texts[len(texts)-1]}
	q.stems = contentStems(q.text)
	asked := q.text
	if len(q.stems) > maxStems {
		q.stems = slices.Concat(q.stems[:maxStems/2], q.stems[len(q.stems)-maxStems/2:])
	}
	if len(texts) > 1 && len(q.stems) <= 4 && (followUp.MatchString(q.text) || len(q.stems) == 0 || bare(q.text)) {
		q.before = texts[len(texts)-2]
		q.stems = merge(q.stems, contentStems(q.before))
		asked = q.before + " " + q.text
	}
	for _, c := range cues {
		if c.pattern.MatchString(asked) {
			q.cue = c.cue
			break
		}
	}
	q.story = q.cue == cueNone && (story.MatchString(asked) || !strings.Contains(asked, "?"))
	q.proper = properStems(q.text)
	return q
}

// bare reports whether a message is nothing but a value, as an answer to what
// was asked back: "March 2026", "ann@example.com".
func bare(text string) bool {
	v := readValues(text)
	return len(strings.Fields(text)) <= 6 && len(contentStems(v.rest)) == 0
}

func merge(a, b []string) []string {
	have := setOf(a)
	for _, s := range b {
		if !have[s] {
			a = append(a, s)
		}
	}
	return a
}

// properStems are the stems of names in a text: capitalised words that do not
// begin a sentence, and words with digits or several capitals.
func properStems(text string) wordSet {
	set := wordSet{}
	first := true
	for _, field := range strings.Fields(text) {
		word := strings.TrimFunc(field, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		begins := first
		first = strings.HasSuffix(field, ".") || strings.HasSuffix(field, "?") || strings.HasSuffix(field, "!") || strings.HasSuffix(field, ":")
		if word == "" || word == "I" || strings.HasPrefix(word, "I'") || strings.HasPrefix(word, "I’") {
			continue
		}
		upper := strings.IndexFunc(word, unicode.IsUpper)
		inner := len(word) > 1 && strings.IndexFunc(word[1:], unicode.IsUpper) >= 0
		if (upper == 0 && !begins) || inner {
			for _, s := range stemsOf(word) {
				if !stopStems[s] {
					set[s] = true
				}
			}
		}
	}
	return set
}
