package crawl

import (
	"regexp"
	"strings"
)

// blockKind says what a block of Markdown is, and so where it may be cut.
type blockKind int

const (
	blockText blockKind = iota
	blockHeading
	blockCode
	blockTable
	blockList
)

// block is a run of lines of Markdown that belong together.
type block struct {
	kind blockKind
	text string
}

var (
	headingLine = regexp.MustCompile(`^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$`)
	headingMark = regexp.MustCompile(`[ \t]*\{#([^\s{}]+)\}[ \t]*$`)
	fenceLine   = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})")
	itemLine    = regexp.MustCompile(`^ {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]`)
)

// heading reads a line as an ATX heading: level 0 is none. The text is without
// emphasis, code marks and escapes, the id that of "{#id}" at its end.
func heading(line string) (level int, text, id string) {
	m := headingLine.FindStringSubmatch(line)
	if m == nil {
		return 0, "", ""
	}
	text = m[2]
	if at := headingMark.FindStringSubmatchIndex(text); at != nil {
		text, id = text[:at[0]], text[at[2]:at[3]]
	}
	return len(m[1]), plainInline(text), id
}

// plainInline drops the marks of Markdown within a line. Marks between two
// words leave a space, so that no two words become one.
func plainInline(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && isPunct(s[i+1]):
			i++
			b.WriteByte(s[i])
		case isMark(c):
			start := i
			for i+1 < len(s) && isMark(s[i+1]) {
				i++
			}
			if start > 0 && i+1 < len(s) && isWord(s[start-1]) && isWord(s[i+1]) {
				b.WriteByte(' ')
			}
		default:
			b.WriteByte(c)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func isMark(c byte) bool { return c == '*' || c == '`' }

func isWord(c byte) bool { return c > ' ' && !isPunct(c) }

func isPunct(c byte) bool { return strings.IndexByte("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c) >= 0 }

// blocks reads Markdown into blocks. It knows what this package writes, which
// is the Markdown that people write too; of anything stranger it makes text.
func blocks(markdown string) []block {
	r := blockReader{lines: strings.Split(markdown, "\n")}
	for r.at < len(r.lines) {
		r.next()
	}
	return r.out
}

type blockReader struct {
	lines []string
	at    int
	out   []block
}

// next reads the block that starts at the current line.
func (r *blockReader) next() {
	line := r.lines[r.at]
	level, _, _ := heading(line)
	switch {
	case strings.TrimSpace(line) == "":
		r.at++
	case level > 0:
		r.take(blockHeading, r.at+1)
	case fenceLine.MatchString(line):
		r.take(blockCode, r.fenceEnd())
	case isTableRow(line):
		r.take(blockTable, r.until(func(l string) bool { return !isTableRow(l) }))
	case itemLine.MatchString(line):
		r.take(blockList, r.listEnd())
	default:
		r.take(blockText, r.until(startsBlock))
	}
}

func (r *blockReader) take(kind blockKind, end int) {
	text := strings.Join(r.lines[r.at:end], "\n")
	r.out = append(r.out, block{kind: kind, text: strings.Trim(text, "\n")})
	r.at = end
}

// until is the first line after the current one at which stop holds.
func (r *blockReader) until(stop func(string) bool) int {
	end := r.at + 1
	for end < len(r.lines) && !stop(r.lines[end]) {
		end++
	}
	return end
}

// fenceEnd is the line after the fence that closes the one at the current
// line; the rest of the text is code where none does.
func (r *blockReader) fenceEnd() int {
	fence := fenceLine.FindStringSubmatch(r.lines[r.at])[1]
	end := r.until(func(l string) bool { return closesFence(l, fence) })
	return min(end+1, len(r.lines))
}

func closesFence(line, fence string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, fence) && strings.Trim(line, fence[:1]) == ""
}

// listEnd is the line at which a list ends: an unindented one that is not an
// item, after an empty line or as a block of another kind.
func (r *blockReader) listEnd() int {
	for end := r.at + 1; end < len(r.lines); end++ {
		line := r.lines[end]
		inside := strings.TrimSpace(line) == "" || line[0] == ' ' || line[0] == '\t' || itemLine.MatchString(line)
		if !inside && (strings.TrimSpace(r.lines[end-1]) == "" || startsBlock(line)) {
			return end
		}
	}
	return len(r.lines)
}

func startsBlock(line string) bool {
	level, _, _ := heading(line)
	return strings.TrimSpace(line) == "" || level > 0 || fenceLine.MatchString(line) || isTableRow(line) || itemLine.MatchString(line)
}

func isTableRow(line string) bool { return strings.HasPrefix(line, "|") }

// pieces cuts a block so that each piece fits a section: whole where it does,
// else at the joints of its kind.
func (b block) pieces() []string {
	size := estimate(b.text)
	if size <= targetTokens || (b.kind == blockCode && size <= maxTokens) {
		return []string{b.text}
	}
	switch b.kind {
	case blockCode:
		return codePieces(b.text)
	case blockTable:
		return tablePieces(b.text)
	case blockList:
		return listPieces(b.text)
	default:
		return textPieces(b.text)
	}
}

// codePieces cuts code between lines and fences each piece as the whole was.
func codePieces(text string) []string {
	lines := strings.Split(text, "\n")
	opening, inner := lines[0], lines[1:]
	fence := fenceLine.FindStringSubmatch(opening)[1]
	if n := len(inner); n > 0 && closesFence(inner[n-1], fence) {
		inner = inner[:n-1]
	}
	var out []string
	for _, part := range pack(cutLong(inner), "\n") {
		out = append(out, opening+"\n"+part+"\n"+fence)
	}
	return out
}

// tablePieces cuts a table between rows and repeats its header.
func tablePieces(text string) []string {
	rows := strings.Split(text, "\n")
	var header string
	if len(rows) > 2 && strings.Trim(rows[1], "|-: \t") == "" {
		header, rows = rows[0]+"\n"+rows[1]+"\n", rows[2:]
	}
	if estimate(header) > targetTokens/2 {
		rows, header = append(cutLong(strings.Split(strings.TrimSpace(header), "\n")), rows...), ""
	}
	var out []string
	for _, part := range pack(cutLong(rows), "\n") {
		out = append(out, header+part)
	}
	return out
}

// listPieces cuts a list between its outermost items, and between the lines of
// an item only where it is too large.
func listPieces(text string) []string {
	var items []string
	for _, line := range strings.Split(text, "\n") {
		if len(items) == 0 || itemLine.MatchString(line) && line[0] != ' ' {
			items = append(items, line)
		} else {
			items[len(items)-1] += "\n" + line
		}
	}
	var units []string
	for _, item := range items {
		if estimate(item) > maxTokens {
			units = append(units, strings.Split(item, "\n")...)
		} else {
			units = append(units, item)
		}
	}
	return pack(cutLong(units), "\n")
}

// sentenceEnd is where a text may be cut with least harm.
var sentenceEnd = regexp.MustCompile(`[.!?][)"'”’]*\s+|[。！？]\s*|\n+`)

// textPieces cuts text between sentences.
func textPieces(text string) []string {
	var sentences []string
	start := 0
	for _, m := range sentenceEnd.FindAllStringIndex(text, -1) {
		sentences = append(sentences, strings.TrimSpace(text[start:m[1]]))
		start = m[1]
	}
	sentences = append(sentences, strings.TrimSpace(text[start:]))
	return pack(cutLong(sentences), " ")
}

// cutLong cuts units that are larger than can be kept whole between words.
func cutLong(units []string) []string {
	var out []string
	for _, unit := range units {
		if estimate(unit) <= maxTokens {
			out = append(out, unit)
			continue
		}
		var words []string
		for _, word := range strings.Fields(unit) {
			words = append(words, cutWord(word)...)
		}
		out = append(out, pack(words, " ")...)
	}
	return out
}

// cutWord cuts what has no space for longer than a section.
func cutWord(word string) []string {
	var out []string
	runes := []rune(word)
	for len(runes) > maxTokens {
		out = append(out, string(runes[:maxTokens]))
		runes = runes[maxTokens:]
	}
	return append(out, string(runes))
}

// pack joins neighbouring units into pieces of at most the target size, or of
// one unit where that is larger.
func pack(units []string, joint string) []string {
	var out []string
	var part []string
	size := 0
	for _, unit := range units {
		n := estimate(unit)
		if len(part) > 0 && size+n > targetTokens {
			out = append(out, strings.Join(part, joint))
			part, size = nil, 0
		}
		part = append(part, unit)
		size += n
	}
	if len(part) > 0 {
		out = append(out, strings.Join(part, joint))
	}
	return out
}
