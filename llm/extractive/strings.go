package extractive

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// string reads a text property by what its name, format and description say it
// is. An optional one is filled only by a value that can be nothing else.
func (f *filler) string(name string, s *schema, required bool) (any, bool) {
	if v, ok := f.explicit(name); ok && s.accepts(v) && !dateLike(name, s) {
		return v, true
	}
	words := setOf(splitName(name))
	about := setOf(wordsOf(s.hints()))
	switch {
	case dateLike(name, s):
		return f.date(name, s)
	case s.Format == "email" || words["email"] || words["mail"]:
		return f.takeTyped(&f.v.emails, s)
	case s.Format == "uri" || words["url"] || words["link"]:
		return f.takeTyped(&f.v.urls, s)
	case about["email"] && len(f.v.emails) > 0:
		return f.takeTyped(&f.v.emails, s)
	case isID(words):
		return f.id(name, s)
	case !required && !isText(words):
		return nil, false
	}
	return f.free(words, s, required)
}

func (f *filler) takeTyped(list *[]string, s *schema) (any, bool) {
	v, ok := f.take(list, s)
	f.typed = f.typed || ok
	return v, ok
}

func isID(words wordSet) bool {
	for _, w := range []string{"id", "ids", "number", "no", "code", "ref", "reference", "key", "sku", "uuid", "identifier"} {
		if words[w] {
			return true
		}
	}
	return false
}

// id reads an identifier, or a number that stands behind the thing's name
// ("order 1234") or alone.
func (f *filler) id(name string, s *schema) (any, bool) {
	if v, ok := f.takeTyped(&f.v.ids, s); ok {
		return v, ok
	}
	stems := setOf(stemsOf(strings.Join(splitName(name), " ")))
	for i, n := range f.v.numbers {
		if (stems[n.before] || len(f.v.numbers) == 1) && s.accepts(n.text) {
			f.v.numbers = slices.Delete(slices.Clone(f.v.numbers), i, i+1)
			f.typed = true
			f.took()
			return n.text, true
		}
	}
	return f.takeTyped(&f.v.quoted, s)
}

// textNames are properties that take words of the message.
var textNames = []string{
	"query", "q", "search", "term", "keyword", "keywords", "text", "message", "subject", "title", "body",
	"name", "city", "location", "country", "place", "customer", "company", "product", "user", "person",
}

func isText(words wordSet) bool {
	return slices.ContainsFunc(textNames, func(n string) bool { return words[n] })
}

var (
	afterFor   = regexp.MustCompile(`(?i)\b(?:for|about|matching|named|called|titled|saying)\s+(.+)$`)
	afterColon = regexp.MustCompile(`:\s+(.+)$`)
)

// free reads a text without a form of its own: what is quoted, a name, an id,
// or what stands behind "for".
func (f *filler) free(words wordSet, s *schema, required bool) (any, bool) {
	if v, ok := f.take(&f.v.quoted, s); ok {
		f.typed = true
		return v, true
	}
	if words["message"] || words["body"] || words["text"] || words["subject"] || words["title"] {
		return f.behind(afterColon, s)
	}
	if v, ok := f.take(&f.v.names, s); ok {
		return v, true
	}
	if !required {
		return nil, false
	}
	for _, list := range []*[]string{&f.v.ids, &f.v.emails} {
		if v, ok := f.takeTyped(list, s); ok {
			return v, ok
		}
	}
	if words["query"] || words["q"] || words["search"] || words["term"] || words["keyword"] || words["keywords"] {
		return f.behind(afterFor, s)
	}
	return nil, false
}

func (f *filler) behind(p *regexp.Regexp, s *schema) (any, bool) {
	m := p.FindStringSubmatch(strings.TrimRight(f.text, " .?!\n"))
	if m == nil || !s.accepts(m[1]) {
		return nil, false
	}
	f.found++
	return m[1], true
}

var (
	dateWords   = setOf([]string{"date", "day", "month", "quarter", "year", "period", "since", "until"})
	boundWords  = setOf([]string{"from", "to", "start", "end", "after", "before", "begin"})
	dayHint     = regexp.MustCompile(`(?i)YYYY-MM-DD|\b\d{4}-\d{2}-\d{2}\b`)
	monthHint   = regexp.MustCompile(`(?i)YYYY-MM(?:[^-]|$)|\b\d{4}-\d{2}(?:[^-\d]|$)`)
	quarterHint = regexp.MustCompile(`(?i)YYYY[- ]?Q|\bQ[1-4nNqQ#][- ](?:\d{4}|Y)|\b\d{4}[- ]?Q[1-4]`)
	yearHint    = regexp.MustCompile(`(?i)\bYYYY(?:[^-\w ]|\s|$)|(?:^|\s)(?:19|20)\d{2}(?:[^-\w]|$)`)
)

// dateLike reports whether a property is a day or a longer period.
func dateLike(name string, s *schema) bool {
	words := splitName(name)
	if s.Format == "date" || s.Format == "date-time" || slices.ContainsFunc(words, func(w string) bool { return dateWords[w] }) {
		return true
	}
	hints := s.hints()
	if dayHint.MatchString(hints) || monthHint.MatchString(hints) || quarterHint.MatchString(hints) {
		return true
	}
	about := setOf(wordsOf(hints))
	return slices.ContainsFunc(words, func(w string) bool { return boundWords[w] }) &&
		(s.Description == "" || about["date"] || about["day"] || about["month"] || about["period"] || about["iso"])
}

// bound is which end of a range a property is.
type bound int

const (
	wholePeriod bound = iota
	startBound
	endBound
)

func boundOf(name string) bound {
	for _, w := range splitName(name) {
		switch w {
		case "from", "start", "since", "after", "begin":
			return startBound
		case "to", "end", "until", "before":
			return endBound
		}
	}
	return wholePeriod
}

var openRange = map[bound]*regexp.Regexp{
	startBound: regexp.MustCompile(`(?i)\b(until|till|before|up to)\s*$`),
	endBound:   regexp.MustCompile(`(?i)\b(since|after|starting|from)\b`),
}

// date reads a day or period. The bounds of a range share the periods of the
// message; any other property takes one for itself.
func (f *filler) date(name string, s *schema) (any, bool) {
	if len(f.v.periods) == 0 {
		return nil, false
	}
	b := boundOf(name)
	p := f.v.periods[0]
	if b == endBound {
		if len(f.v.periods) == 1 && openRange[endBound].MatchString(f.text) {
			return nil, false // "since March" has no end
		}
		p = f.v.periods[min(1, len(f.v.periods)-1)]
	}
	v, ok := writePeriod(p, b, s)
	if !ok {
		return nil, false
	}
	if b == wholePeriod {
		f.v.periods = f.v.periods[1:]
		f.took()
	}
	f.typed = true
	return v, true
}

// writePeriod writes a period as the schema wants it; not at all when that
// would say more or less than the message.
func writePeriod(p period, b bound, s *schema) (string, bool) {
	t := p.start
	if b == endBound {
		t = p.end()
	}
	order := []layout{p.native}
	if b != wholePeriod {
		order = append(order, layoutDay, layoutTime, layoutMonth, layoutYear)
	}
	if p.native == layoutDay {
		order = append(order, layoutTime)
	}
	allowed := layoutsOf(s)
	for _, l := range order {
		v := write(t, l, s.hints()+" "+s.Pattern, b == endBound)
		if (len(allowed) == 0 || slices.Contains(allowed, l)) && s.accepts(v) {
			return v, true
		}
	}
	return writeByPattern(t, p.native, s)
}

// writeByPattern tries other ways to write the period where only a pattern
// says what is wanted.
func writeByPattern(t time.Time, native layout, s *schema) (string, bool) {
	if s.Pattern == "" {
		return "", false
	}
	year := strconv.Itoa(t.Year())
	ways := map[layout][]string{
		layoutMonth:   {t.Format("01/2006"), t.Format("200601"), t.Format("January 2006"), t.Format("Jan 2006")},
		layoutQuarter: {writeQuarter(t, "Q1 2026"), writeQuarter(t, "2026Q1"), writeQuarter(t, "Q1-2026")},
		layoutDay:     {t.Format("02.01.2006"), t.Format("01/02/2006"), t.Format("20060102")},
		layoutYear:    {year},
	}
	for _, v := range ways[native] {
		if s.accepts(v) {
			return v, true
		}
	}
	return "", false
}

// layoutsOf are the layouts that a schema's format, description and examples
// speak of; none is any.
func layoutsOf(s *schema) []layout {
	switch s.Format {
	case "date":
		return []layout{layoutDay}
	case "date-time":
		return []layout{layoutTime}
	}
	if s.Pattern != "" {
		return nil // the pattern decides
	}
	var list []layout
	hints := s.hints()
	for l, p := range []*regexp.Regexp{dayHint, monthHint, quarterHint, yearHint} {
		if p.MatchString(hints) {
			list = append(list, layout(l))
		}
	}
	return list
}
