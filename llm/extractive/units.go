package extractive

import (
	"regexp"
	"strings"
	"unicode"

	"runa/llm"
)

// unitKind tells what a piece of Markdown is.
type unitKind int

const (
	sentence unitKind = iota
	listItem
	tableRow
	codeBlock
)

// unit is the least piece of a passage that can stand in a reply.
type unit struct {
	kind    unitKind
	passage int // index in the request's Knowledge
	block   int // units of one block belong together
	text    string
	heading string // the heading inside the passage above it
	words   wordSet
	above   wordSet // the words of heading
	ordered bool    // of a numbered list
	intro   bool    // ends with a colon: the next block says it
	head    bool    // a table's header or separator row
}

var (
	itemStart    = regexp.MustCompile(`^\s*(?:[-*+•]|\d{1,3}[.)])\s+`)
	orderedStart = regexp.MustCompile(`^\s*\d{1,3}[.)]\s+`)
	headingStart = regexp.MustCompile(`^\s{0,3}#{1,6}\s+`)
	tableRule    = regexp.MustCompile(`^\s*\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?\s*$`)
)

// splitter cuts one passage into units.
type splitter struct {
	passage int
	block   int
	heading string
	para    []string
	units   []unit
}

// unitsOf cuts a passage into its units, in order.
func unitsOf(index int, p llm.Passage) []unit {
	s := splitter{passage: index}
	lines := strings.Split(strings.ReplaceAll(p.Text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); {
		i += s.take(lines[i:])
	}
	s.flush()
	return s.units
}

// take reads what begins at the first line and returns how many it took.
func (s *splitter) take(lines []string) int {
	line := lines[0]
	switch {
	case strings.TrimSpace(line) == "":
		s.flush()
		return 1
	case strings.HasPrefix(strings.TrimSpace(line), "```"):
		return s.code(lines)
	case headingStart.MatchString(line):
		s.flush()
		s.heading = strings.Trim(headingStart.ReplaceAllString(line, ""), "# ")
		return 1
	case strings.HasPrefix(strings.TrimSpace(line), "|"):
		return s.table(lines)
	case itemStart.MatchString(line):
		return s.list(lines)
	default:
		s.para = append(s.para, strings.TrimSpace(line))
		return 1
	}
}

func (s *splitter) add(u unit) {
	u.passage, u.block, u.heading = s.passage, s.block, s.heading
	u.words, u.above = setOf(stemsOf(u.text)), setOf(stemsOf(s.heading))
	s.units = append(s.units, u)
}

// flush ends a paragraph.
func (s *splitter) flush() {
	if len(s.para) == 0 {
		return
	}
	s.block++
	for _, text := range sentencesOf(strings.Join(s.para, " ")) {
		s.add(unit{kind: sentence, text: text, intro: strings.HasSuffix(text, ":")})
	}
	s.para = nil
}

func (s *splitter) code(lines []string) int {
	s.flush()
	s.block++
	n := 1
	for n < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[n]), "```") {
		n++
	}
	n = min(n+1, len(lines))
	text := strings.Join(lines[:n], "\n")
	if strings.Count(text, "```") < 2 {
		text += "\n```" // the passage was cut inside
	}
	s.add(unit{kind: codeBlock, text: text})
	return n
}

func (s *splitter) table(lines []string) int {
	s.flush()
	s.block++
	n := 0
	for n < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[n]), "|") {
		row := strings.TrimSpace(lines[n])
		head := tableRule.MatchString(row) || (n == 0 && len(lines) > 1 && tableRule.MatchString(lines[1]))
		s.add(unit{kind: tableRow, text: row, head: head})
		n++
	}
	return n
}

// list takes the items that follow one another; a line that is indented below
// an item is part of it.
func (s *splitter) list(lines []string) int {
	s.flush()
	s.block++
	n := 0
	for n < len(lines) {
		end := n + 1
		for end < len(lines) && continues(lines[end]) {
			end++
		}
		text := strings.TrimRight(strings.Join(lines[n:end], "\n"), " \n")
		s.add(unit{kind: listItem, text: text, ordered: orderedStart.MatchString(text)})
		n = end
		next := n
		for next < len(lines) && strings.TrimSpace(lines[next]) == "" {
			next++
		}
		if next == len(lines) || !itemStart.MatchString(lines[next]) {
			return n
		}
		n = next
	}
	return n
}

// continues reports whether a line goes on with the list item above it.
func continues(line string) bool {
	return strings.TrimSpace(line) != "" && !itemStart.MatchString(line) &&
		!headingStart.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "```") &&
		!strings.HasPrefix(strings.TrimSpace(line), "|")
}

// abbreviations end with a dot that ends no sentence.
var abbreviations = map[string]bool{
	"e.g.": true, "i.e.": true, "etc.": true, "vs.": true, "no.": true, "mr.": true, "mrs.": true, "ms.": true,
	"dr.": true, "st.": true, "inc.": true, "ltd.": true, "approx.": true, "cf.": true,
}

// sentencesOf cuts a paragraph after . ! ? and the like, where a new sentence
// may begin.
func sentencesOf(text string) []string {
	var out []string
	runes := []rune(text)
	start := 0
	for i, r := range runes {
		if !endsSentence(runes, i, r) || abbreviation(runes[start:i+1]) {
			continue
		}
		end := i + 1
		for end < len(runes) && strings.ContainsRune(`"')]”’*_`, runes[end]) {
			end++
		}
		if end < len(runes) && !unicode.IsSpace(runes[end]) && r < 0x3000 {
			continue
		}
		out = appendTrimmed(out, string(runes[start:end]))
		start = end
	}
	return appendTrimmed(out, string(runes[start:]))
}

func endsSentence(runes []rune, i int, r rune) bool {
	switch r {
	case '。', '！', '？':
		return true
	case '.', '!', '?': // a small letter goes on: "click **Lost it?** below"
		next := i + 1
		for next < len(runes) && next < i+8 && !unicode.IsLetter(runes[next]) && !unicode.IsDigit(runes[next]) {
			next++
		}
		return next == len(runes) || !unicode.IsLower(runes[next])
	}
	return false
}

func abbreviation(runes []rune) bool {
	fields := strings.Fields(string(runes[max(0, len(runes)-12):]))
	return len(fields) > 0 && abbreviations[strings.ToLower(strings.Trim(fields[len(fields)-1], `("'*_`))]
}

func appendTrimmed(list []string, s string) []string {
	if s = strings.TrimSpace(s); s != "" {
		return append(list, s)
	}
	return list
}
