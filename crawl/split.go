package crawl

import (
	"net/url"
	"strings"
)

const (
	// targetTokens is the size that passages are filled to: with a path of
	// headings, passages of about this size found more than longer ones.
	targetTokens = 240
	// maxTokens is the size up to which a code block, a table row or a list
	// item is kept whole.
	maxTokens = 2 * targetTokens
	// tinyTokens is the size up to which neighbours under one heading are put
	// together. It is small, because a heading of its own is what finds a
	// short answer.
	tinyTokens = 40
)

// Document is a text to split.
type Document struct {
	Title string
	// URL is what the sections' URLs are made of; "" gives them none.
	URL string
	// Markdown may give headings ids, as in "## Plans {#plans}".
	Markdown string
}

// Section is a passage of a document that can stand alone.
type Section struct {
	// Heading is the path of headings above the passage, joined by " > ",
	// without a first one that only repeats the document's title.
	Heading string
	// URL is the document's, with the fragment of the nearest heading above
	// that has one.
	URL  string
	Text string
}

// Split cuts a document into sections of about 240 tokens (a token being
// estimated as 4 characters, or 1 of Chinese, Japanese or Korean), along its
// headings first, then between paragraphs, list items, table rows and lines of
// code, then between sentences, and within a sentence (or a word) only where it
// is larger than a section. The header of a table that is cut stands in each part. Every
// word is in the heading or text of some section, in the document's order, and
// the same document gives the same sections.
func Split(doc Document) []Section {
	s := splitter{doc: doc}
	for _, b := range blocks(doc.Markdown) {
		if b.kind == blockHeading {
			s.flush()
			s.enter(b.text)
			continue
		}
		s.add(b)
	}
	s.flush()
	s.closeUnused()
	return s.sections(mergeTiny(s.done))
}

// title is an open heading on the path to the current place.
type title struct {
	level int
	text  string
	id    string
}

// passage is a section in the making.
type passage struct {
	path   []title
	text   string
	tokens int
	// bare is set for a heading with nothing below it, whose text is its own.
	bare bool
}

type splitter struct {
	doc  Document
	path []title
	// used is set once the last heading of path has text or a heading below.
	used  bool
	parts []string
	size  int
	done  []passage
}

// enter opens a heading, and closes those of its level and deeper.
func (s *splitter) enter(line string) {
	level, text, id := heading(line)
	keep := len(s.path)
	for keep > 0 && s.path[keep-1].level >= level {
		keep--
	}
	if keep < len(s.path) {
		s.closeUnused()
	}
	s.path = append(s.path[:keep:keep], title{level: level, text: text, id: id})
	s.used = false
}

// closeUnused keeps the text of a heading that nothing stands below.
func (s *splitter) closeUnused() {
	if len(s.path) == 0 || s.used {
		return
	}
	last := s.path[len(s.path)-1].text
	if last != "" {
		s.done = append(s.done, passage{path: s.path, text: last, tokens: estimate(last), bare: true})
	}
	s.used = true
}

func (s *splitter) add(b block) {
	s.used = true
	for _, piece := range b.pieces() {
		size := estimate(piece)
		if s.size > 0 && s.size+size > targetTokens {
			s.emit()
		}
		s.parts = append(s.parts, piece)
		s.size += size
	}
}

// flush ends the passages of the current heading. A short rest joins the
// passage before it rather than standing alone.
func (s *splitter) flush() {
	s.emit()
	last := len(s.done) - 1
	if last < 1 || s.done[last].tokens > tinyTokens || s.done[last].bare || s.done[last-1].bare ||
		!samePath(s.done[last].path, s.done[last-1].path) || s.done[last-1].tokens > targetTokens {
		return
	}
	s.done[last-1].text += "\n\n" + s.done[last].text
	s.done[last-1].tokens += s.done[last].tokens
	s.done = s.done[:last]
}

func (s *splitter) emit() {
	if len(s.parts) > 0 {
		s.done = append(s.done, passage{path: s.path, text: strings.Join(s.parts, "\n\n"), tokens: s.size})
	}
	s.parts, s.size = nil, 0
}

func (s *splitter) sections(passages []passage) []Section {
	out := make([]Section, 0, len(passages))
	for _, p := range passages {
		out = append(out, Section{Heading: s.heading(p.path), URL: s.url(p.path), Text: p.text})
	}
	return out
}

func (s *splitter) heading(path []title) string {
	var names []string
	for i, t := range path {
		if t.text == "" || (i == 0 && strings.EqualFold(t.text, s.doc.Title)) {
			continue
		}
		names = append(names, t.text)
	}
	return strings.Join(names, " > ")
}

func (s *splitter) url(path []title) string {
	for i := len(path) - 1; i >= 0 && s.doc.URL != ""; i-- {
		if path[i].id != "" {
			page, _, _ := strings.Cut(s.doc.URL, "#")
			return page + "#" + (&url.URL{Fragment: path[i].id}).EscapedFragment()
		}
	}
	return s.doc.URL
}

// mergeTiny puts neighbours together that are the whole text of sibling
// headings and too short to stand alone: their headings move into the text,
// and the heading above them all becomes the passage's.
func mergeTiny(in []passage) []passage {
	var out []passage
	for i := 0; i < len(in); {
		end, size := i, 0
		for end < len(in) && siblings(in[i], in[end]) && size+in[end].tokens <= targetTokens {
			size += in[end].tokens
			end++
		}
		if end-i < 2 {
			out = append(out, in[i])
			i++
			continue
		}
		out = append(out, merged(in[i:end]))
		i = end
	}
	return out
}

// siblings reports whether two passages are tiny and stand under two headings
// (or one) of the same level below one parent.
func siblings(a, b passage) bool {
	if a.tokens > tinyTokens || b.tokens > tinyTokens || len(a.path) < 2 || len(a.path) != len(b.path) {
		return false
	}
	up := len(a.path) - 1
	return samePath(a.path[:up], b.path[:up]) && a.path[up].level == b.path[up].level
}

func merged(group []passage) passage {
	up := len(group[0].path) - 1
	p := passage{path: group[0].path[:up:up]}
	var parts []string
	for _, g := range group {
		last := g.path[up]
		parts = append(parts, strings.Repeat("#", last.level)+" "+last.text)
		if !g.bare {
			parts = append(parts, g.text)
		}
		p.tokens += g.tokens
	}
	p.text = strings.Join(parts, "\n\n")
	return p
}

func samePath(a, b []title) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// estimate is the number of tokens in a text, roughly.
func estimate(s string) int {
	quarters := 0
	for _, r := range s {
		if r >= 0x2E80 && r <= 0xD7FF {
			quarters += 4 // scripts in which a character is about a word
		} else {
			quarters++
		}
	}
	return (quarters + 3) / 4
}
