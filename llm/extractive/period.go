package extractive

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// layout is a way to write a day or a longer period.
type layout int

const (
	layoutDay layout = iota
	layoutMonth
	layoutQuarter
	layoutYear
	layoutTime
)

// period is a day, month, quarter or year that a message names.
type period struct {
	native layout
	start  time.Time // its first day, UTC
}

// end is the last day.
func (p period) end() time.Time {
	switch p.native {
	case layoutMonth:
		return p.start.AddDate(0, 1, -1)
	case layoutQuarter:
		return p.start.AddDate(0, 3, -1)
	case layoutYear:
		return p.start.AddDate(1, 0, -1)
	default:
		return p.start
	}
}

// unitStems are words that a message need not say when it names the period.
func (p period) unitStems() []string {
	names := map[layout]string{
		layoutDay:     "day daily date period",
		layoutMonth:   "month monthly date period",
		layoutQuarter: "quarter quarterly date period",
		layoutYear:    "year yearly annual date period",
	}
	return stemsOf(names[p.native])
}

const (
	monthWord = `(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?`
	yearWord  = `((?:19|20)\d{2})`
	joining   = `(\s*(?:to|and|or|-|–|until|till|through|,|vs\.?|versus)\s*)`
)

// sharedYear is "March and April 2026": the year is said once.
var sharedYear = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b` + monthWord + joining + monthWord + `,?\s+` + yearWord + `\b`),
	regexp.MustCompile(`(?i)\b(Q[1-4])` + joining + `(Q[1-4]),?\s+(?:of\s+)?` + yearWord + `\b`),
}

// dates are the ways a period is written, the most particular first; read
// makes a period of the groups.
var dates = []struct {
	pattern *regexp.Regexp
	read    func(groups []string) (period, bool)
}{
	{
		regexp.MustCompile(`\b` + yearWord + `-(\d{2})-(\d{2})(?:T[0-9:.]+Z?)?\b`),
		func(g []string) (period, bool) { return day(g[1], g[2], g[3]) },
	},
	{
		regexp.MustCompile(`(?i)\b(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?` + monthWord + `,?\s+` + yearWord + `\b`),
		func(g []string) (period, bool) { return day(g[3], g[2], g[1]) },
	},
	{
		regexp.MustCompile(`(?i)\b` + monthWord + `\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+` + yearWord + `\b`),
		func(g []string) (period, bool) { return day(g[3], g[1], g[2]) },
	},
	{
		regexp.MustCompile(`(?i)\bQ([1-4])[-/ ]?\s*(?:of\s+)?` + yearWord + `\b`),
		func(g []string) (period, bool) { return quarter(g[2], g[1]), true },
	},
	{
		regexp.MustCompile(`(?i)\b` + yearWord + `[-/ ]?Q([1-4])\b`),
		func(g []string) (period, bool) { return quarter(g[1], g[2]), true },
	},
	{
		regexp.MustCompile(`(?i)\b(first|second|third|fourth|1st|2nd|3rd|4th)\s+quarter\s+(?:of\s+)?` + yearWord + `\b`),
		func(g []string) (period, bool) { return quarter(g[2], ordinals[strings.ToLower(g[1])]), true },
	},
	{
		regexp.MustCompile(`(?i)\b` + monthWord + `,?\s+(?:of\s+)?` + yearWord + `\b`),
		func(g []string) (period, bool) { return month(g[2], g[1]) },
	},
	{
		regexp.MustCompile(`\b` + yearWord + `[-/](\d{2})\b`),
		func(g []string) (period, bool) { return month(g[1], g[2]) },
	},
	{
		regexp.MustCompile(`\b(\d{1,2})/` + yearWord + `\b`),
		func(g []string) (period, bool) { return month(g[2], g[1]) },
	},
	{
		regexp.MustCompile(`\b` + yearWord + `\b`),
		func(g []string) (period, bool) { return period{layoutYear, at(atoi(g[1]), 1, 1)}, true },
	},
}

var ordinals = map[string]string{
	"first": "1", "second": "2", "third": "3", "fourth": "4", "1st": "1", "2nd": "2", "3rd": "3", "4th": "4",
}

// takePeriods cuts the periods out of a text, in the order they stand.
func takePeriods(text string) (rest string, found []period) {
	for _, p := range sharedYear {
		text = p.ReplaceAllString(text, "$1 $4$2$3 $4")
	}
	type placed struct {
		at int
		period
	}
	var list []placed
	for _, d := range dates {
		for _, loc := range d.pattern.FindAllStringSubmatchIndex(text, -1) {
			groups := make([]string, len(loc)/2)
			for i := range groups {
				if loc[2*i] >= 0 {
					groups[i] = text[loc[2*i]:loc[2*i+1]]
				}
			}
			if p, ok := d.read(groups); ok {
				list = append(list, placed{loc[0], p})
				text = text[:loc[0]] + strings.Repeat(" ", loc[1]-loc[0]) + text[loc[1]:]
			}
		}
	}
	slices.SortFunc(list, func(a, b placed) int { return a.at - b.at })
	for _, p := range list {
		if !slices.Contains(found, p.period) {
			found = append(found, p.period)
		}
	}
	return text, found
}

func at(year, month, day int) time.Time {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // digits by the patterns
	return n
}

func monthNumber(s string) int {
	if n := atoi(s); n > 0 {
		return n
	}
	if len(s) < 3 {
		return 0
	}
	return strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(s[:3]))/3 + 1
}

func day(y, m, d string) (period, bool) {
	t := at(atoi(y), monthNumber(m), atoi(d))
	return period{layoutDay, t}, t.Day() == atoi(d) && int(t.Month()) == monthNumber(m)
}

func month(y, m string) (period, bool) {
	n := monthNumber(m)
	return period{layoutMonth, at(atoi(y), n, 1)}, n >= 1 && n <= 12
}

func quarter(y, q string) period {
	return period{layoutQuarter, at(atoi(y), 3*atoi(q)-2, 1)}
}

// write writes a moment's period in a layout; style is an example or a hint of
// how the owner writes it.
func write(t time.Time, l layout, style string, last bool) string {
	switch l {
	case layoutMonth:
		return t.Format("2006-01")
	case layoutQuarter:
		return writeQuarter(t, style)
	case layoutYear:
		return t.Format("2006")
	case layoutTime:
		if last {
			return t.Format("2006-01-02") + "T23:59:59Z"
		}
		return t.Format(time.RFC3339)
	default:
		return t.Format("2006-01-02")
	}
}

func writeQuarter(t time.Time, style string) string {
	q := (int(t.Month()) + 2) / 3
	switch {
	case regexp.MustCompile(`(?i)Q[1-4nNqQ#]\s(\d{4}|Y)`).MatchString(style):
		return fmt.Sprintf("Q%d %d", q, t.Year())
	case regexp.MustCompile(`(?i)Q[1-4nNqQ#]-(\d{4}|Y)`).MatchString(style):
		return fmt.Sprintf("Q%d-%d", q, t.Year())
	case regexp.MustCompile(`(?i)(\d{4}|YYYY)Q`).MatchString(style):
		return fmt.Sprintf("%dQ%d", t.Year(), q)
	default:
		return fmt.Sprintf("%d-Q%d", t.Year(), q)
	}
}
