package extractive

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// filler reads the arguments of one tool from a message. A value that was used
// is not used again, but for the bounds of a range.
type filler struct {
	text string
	stem wordSet
	v    values
	// typed says that a value was used that only an argument can be: a date,
	// an address, an id.
	typed bool
	// found counts what was read, taken the values that were used up for it.
	found, taken int
}

func newFiller(text string) *filler {
	return &filler{text: text, stem: setOf(stemsOf(text)), v: readValues(text)}
}

// fill returns the arguments, and the first required property that could not
// be read.
func (f *filler) fill(s *schema) (args map[string]any, missing string) {
	args = map[string]any{}
	for _, name := range s.names() {
		p := s.Properties[name]
		required := slices.Contains(s.Required, name)
		if v, ok := f.value(name, p, required); ok {
			args[name] = v
		} else if required && missing == "" {
			missing = name
		}
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil && missing == "" {
			missing = name
		}
	}
	return args, missing
}

// value reads one property.
func (f *filler) value(name string, s *schema, required bool) (any, bool) {
	if s.Const != nil {
		return s.Const, required
	}
	v, ok := f.read(name, s, required)
	if !ok && required && s.Default != nil {
		return s.Default, true
	}
	return v, ok
}

func (f *filler) read(name string, s *schema, required bool) (any, bool) {
	switch {
	case len(s.Enum) > 0:
		return f.enum(s.Enum)
	case s.is("boolean"):
		return f.boolean(name)
	case s.is("integer"), s.is("number"):
		return f.number(name, s, required)
	case s.is("array"):
		return f.array(name, s, required)
	case s.is("object"), len(s.Properties) > 0:
		args, missing := f.fill(s)
		return args, missing == "" && (len(args) > 0 || required)
	default:
		v, ok := f.string(name, s, required)
		return v, ok
	}
}

// enum returns the value whose words the message has, the one with the most.
func (f *filler) enum(choices []any) (any, bool) {
	var best any
	most := 0
	for _, c := range choices {
		stems := stemsOf(fmt.Sprint(c))
		all := len(stems) > 0
		for _, s := range stems {
			all = all && f.stem[s]
		}
		if all && len(stems) > most {
			best, most = c, len(stems)
		}
	}
	if most > 0 {
		f.found++
	}
	return best, most > 0
}

var negation = regexp.MustCompile(`(?i)\b(without|no|not|exclude|excluding|except|dont|don't)\s+(\w+\s+)?$`)

// boolean is true when the message has the property's words, false when they
// are denied.
func (f *filler) boolean(name string) (any, bool) {
	if v, ok := f.explicit(name); ok {
		b, err := strconv.ParseBool(strings.ToLower(v))
		return b, err == nil
	}
	words := splitName(name)
	last := lastWord(words)
	if len(words) < 2 && len(last) < 4 {
		return nil, false
	}
	for _, w := range words {
		if s := stem(w); !stopStems[s] && s != stem("include") && !f.stem[s] {
			return nil, false
		}
	}
	at := strings.Index(strings.ToLower(f.text), last)
	if at < 0 {
		return true, true
	}
	return !negation.MatchString(f.text[:at]), true
}

func lastWord(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// counting are words by which people say how many.
var counting = stemSet("top first last limit latest only max maximum")

// number reads a number that stands beside the property's name; a required one
// takes the only number there is.
func (f *filler) number(name string, s *schema, required bool) (any, bool) {
	if n, ok := f.datePart(name); ok {
		return n, true
	}
	if v, ok := f.explicit(name); ok {
		return f.asNumber(v, s)
	}
	stems := setOf(stemsOf(strings.Join(splitName(name), " ")))
	isLimit := stems[stem("limit")] || stems[stem("count")] || stems[stem("top")] || stems[stem("size")]
	for i, n := range f.v.numbers {
		beside := stems[n.before] || stems[n.after] || (isLimit && counting[n.before])
		if beside || (required && len(f.v.numbers) == 1) {
			if v, ok := f.asNumber(n.text, s); ok {
				f.v.numbers = slices.Delete(f.v.numbers, i, i+1)
				f.typed = true
				f.took()
				return v, true
			}
		}
	}
	if required {
		if id, ok := f.take(&f.v.ids, s); ok {
			return f.asNumber(id, s)
		}
	}
	return nil, false
}

func (f *filler) asNumber(text string, s *schema) (any, bool) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !s.inRange(n) {
		return nil, false
	}
	if s.is("integer") && n != float64(int64(n)) {
		return nil, false
	}
	return json.Number(text), true
}

// datePart reads the year, month, quarter or day of the first period.
func (f *filler) datePart(name string) (any, bool) {
	if len(f.v.periods) == 0 {
		return nil, false
	}
	p := f.v.periods[0]
	known := map[string]bool{
		"year": true, "quarter": p.native == layoutQuarter,
		"month": p.native == layoutMonth || p.native == layoutDay, "day": p.native == layoutDay,
	}
	parts := map[string]int{
		"year": p.start.Year(), "quarter": (int(p.start.Month()) + 2) / 3, "month": int(p.start.Month()), "day": p.start.Day(),
	}
	last := lastWord(splitName(name))
	if known[last] {
		f.typed = true
	}
	return parts[last], known[last]
}

func (f *filler) array(name string, s *schema, required bool) (any, bool) {
	if s.Items == nil || s.Items.is("object") || len(s.Items.Properties) > 0 {
		return nil, false
	}
	var list []any
	if len(s.Items.Enum) > 0 {
		for _, choice := range s.Items.Enum {
			if v, ok := f.enum([]any{choice}); ok {
				list = append(list, v)
			}
		}
		return list, len(list) > 0
	}
	for {
		before := f.taken
		v, ok := f.read(strings.TrimSuffix(name, "s"), s.Items, required)
		if !ok || f.taken == before {
			return list, len(list) > 0
		}
		list = append(list, v)
	}
}

// took counts a value that is used up.
func (f *filler) took() {
	f.found++
	f.taken++
}

// take returns the first of a list that the schema accepts, and removes it.
func (f *filler) take(list *[]string, s *schema) (string, bool) {
	for i, v := range *list {
		if s.accepts(v) {
			*list = slices.Delete(slices.Clone(*list), i, i+1)
			f.took()
			return v, true
		}
	}
	return "", false
}

// explicit reads "name: value" and "name = value".
func (f *filler) explicit(name string) (string, bool) {
	words := splitName(name)
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	p, err := regexp.Compile(`(?i)(?:^|[^\w])` + strings.Join(words, `[\s_-]*`) + `\s*[:=]\s*(?:"([^"]+)"|'([^']+)'|([^\s,;]+))`)
	if err != nil {
		return "", false
	}
	m := p.FindStringSubmatch(f.text)
	if m == nil {
		return "", false
	}
	f.found++
	return strings.TrimRight(m[1]+m[2]+m[3], ".?!"), true
}
