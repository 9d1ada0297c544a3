package crawl

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Extractors rebuild the document and lose ids, languages and the line breaks
// of code. So before one runs, each heading and code block gets a mark in its
// text, a number between two private-use characters, which survives whatever
// is done to the elements around it and says afterwards what stood there.
const (
	markStart = "\uE000"
	markEnd   = "\uE001"
	// markSpace stands for the space between a text and an element in its
	// line, which extractors trim: "press <b>Save</b> now" would lose both.
	markSpace = "\uE002"
)

var markPattern = regexp.MustCompile(markStart + `(\d+)` + markEnd)

// marks remembers what was marked.
type marks struct {
	ids   map[int]string     // of headings
	codes map[int]*html.Node // <pre> elements
}

// mark marks the headings and code blocks of a page, and takes every private
// character out of its text so that no page can forge a mark. (Icon fonts use
// them; they say nothing.)
func mark(doc *html.Node) *marks {
	m := &marks{ids: map[int]string{}, codes: map[int]*html.Node{}}
	var found []*html.Node
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.TextNode:
			n.Data = withoutPrivate(n.Data)
		case headingLevel(n) > 0, n.DataAtom == atom.Pre:
			found = append(found, n)
		}
	}
	for i, n := range found {
		if n.DataAtom == atom.Pre {
			m.codes[i] = codeBlock(n)
		} else {
			m.ids[i] = headingID(n)
			removePermalinks(n)
		}
		n.AppendChild(textNode(markStart + strconv.Itoa(i) + markEnd))
	}
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			n.Data = markSpaces(n)
		}
	}
	return m
}

// inline are the elements that stand within a line of text.
var inline = map[atom.Atom]bool{
	atom.A: true, atom.Abbr: true, atom.B: true, atom.Cite: true, atom.Code: true, atom.Em: true, atom.I: true,
	atom.Kbd: true, atom.Mark: true, atom.S: true, atom.Samp: true, atom.Small: true, atom.Span: true,
	atom.Strong: true, atom.Sub: true, atom.Sup: true, atom.Time: true, atom.U: true, atom.Var: true,
}

func isInline(n *html.Node) bool {
	return n != nil && n.Type == html.ElementNode && inline[n.DataAtom]
}

// markSpaces is a text with its spaces towards inline elements marked.
func markSpaces(n *html.Node) string {
	const spaces = " \t\n\r\f"
	text := n.Data
	if strings.Trim(text, spaces) == "" {
		return text // between elements that need not be words of a line
	}
	if rest := strings.TrimLeft(text, spaces); rest != text && isInline(n.PrevSibling) {
		text = markSpace + rest
	}
	if rest := strings.TrimRight(text, spaces); rest != text && isInline(n.NextSibling) {
		text = rest + markSpace
	}
	return text
}

func withoutPrivate(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '\uE000' && r <= '\uF8FF' {
			return -1
		}
		return r
	}, s)
}

func textNode(s string) *html.Node { return &html.Node{Type: html.TextNode, Data: s} }

// headingLevel is 1 to 6 for h1 to h6, 0 for any other node.
func headingLevel(n *html.Node) int {
	if n.Type == html.ElementNode && len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
		return int(n.Data[1] - '0')
	}
	return 0
}

// headingID is the fragment that leads to a heading: its own id, that of an
// anchor in it, or that of the section that it opens.
func headingID(n *html.Node) string {
	if id := anchorID(n); id != "" {
		return id
	}
	for d := range n.Descendants() {
		if id := anchorID(d); id != "" {
			return id
		}
	}
	if p := n.Parent; p != nil && firstElement(p) == n {
		switch p.DataAtom {
		case atom.Section, atom.Div, atom.Article, atom.Header:
			return anchorID(p)
		}
	}
	return ""
}

// validID is what fits between "{#" and "}".
var validID = regexp.MustCompile(`^[^\s{}\x{E000}-\x{F8FF}]{1,200}$`)

func anchorID(n *html.Node) string {
	id := attr(n, "id")
	if id == "" && n.DataAtom == atom.A {
		id = attr(n, "name")
	}
	if !validID.MatchString(id) {
		return ""
	}
	return id
}

func firstElement(n *html.Node) *html.Node {
	for child := range n.ChildNodes() {
		if child.Type == html.ElementNode {
			return child
		}
	}
	return nil
}

// removePermalinks takes out of a heading the links to itself ("#", "¶").
func removePermalinks(n *html.Node) {
	remove(n, func(d *html.Node) bool {
		return d.DataAtom == atom.A && len(strings.TrimSpace(textOf(d))) <= len("🔗") &&
			strings.HasPrefix(attr(d, "href"), "#")
	})
}

// codeBlock is a copy of a <pre> as plain text with its language.
func codeBlock(pre *html.Node) *html.Node {
	language := codeLanguage(pre)
	for d := range pre.Descendants() {
		if language == "" && d.DataAtom == atom.Code {
			language = codeLanguage(d)
		}
	}
	code := &html.Node{Type: html.ElementNode, Data: "code", DataAtom: atom.Code}
	if language != "" {
		code.Attr = []html.Attribute{{Key: "class", Val: "language-" + language}}
	}
	code.AppendChild(textNode(codeText(pre)))
	block := &html.Node{Type: html.ElementNode, Data: "pre", DataAtom: atom.Pre}
	block.AppendChild(code)
	return block
}

// codeText is the text of code, where highlighters break lines with elements.
func codeText(pre *html.Node) string {
	var b strings.Builder
	for d := range pre.Descendants() {
		switch {
		case d.Type == html.TextNode:
			b.WriteString(d.Data)
		case d.DataAtom == atom.Br, d.DataAtom == atom.Div && b.Len() > 0 && !strings.HasSuffix(b.String(), "\n"):
			b.WriteByte('\n')
		}
	}
	return strings.Trim(b.String(), "\n")
}

var languageClass = regexp.MustCompile(`(?:^|\s)(?:language|lang|highlight-source)-([\w+#.-]{1,30})(?:\s|$)`)

func codeLanguage(n *html.Node) string {
	if m := languageClass.FindStringSubmatch(attr(n, "class")); m != nil {
		return m[1]
	}
	return ""
}

// markdown writes what an extractor left of a marked page.
func (m *marks) markdown(root *html.Node) string {
	m.restoreCode(root)
	tame(root)
	out, err := newConverter().ConvertNode(root)
	if err != nil {
		return ""
	}
	text := markPattern.ReplaceAllStringFunc(string(out), m.anchor)
	return normalText(strings.ReplaceAll(text, markSpace, " "))
}

// newConverter is made for each page: a converter is not documented to be safe
// for concurrent use.
func newConverter() *converter.Converter {
	c := converter.NewConverter(
		// Escapes would stand inside identifiers ("max\_page\_size"), where a
		// search does not find them and a reader should not see them. What looks
		// like Markdown by chance costs less.
		converter.WithEscapeMode(converter.EscapeModeDisabled),
		converter.WithPlugins(
			base.NewBasePlugin(),
			commonmark.NewCommonmarkPlugin(commonmark.WithListEndComment(false)),
			table.NewTablePlugin(
				table.WithHeaderPromotion(true),
				table.WithSkipEmptyRows(true),
				table.WithNewlineBehavior(table.NewlineBehaviorPreserve),
				table.WithCellPaddingBehavior(table.CellPaddingBehaviorMinimal),
			),
		),
	)
	c.Register.TagType("img", converter.TagTypeRemove, converter.PriorityEarly)
	return c
}

// anchor is the Markdown that stands for a mark.
func (m *marks) anchor(mark string) string {
	n, err := strconv.Atoi(strings.Trim(mark, markStart+markEnd))
	if err != nil || m.ids[n] == "" {
		return ""
	}
	return " {#" + m.ids[n] + "}"
}

// restoreCode puts the remembered code blocks where their marks are.
func (m *marks) restoreCode(root *html.Node) {
	var texts []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.TextNode && strings.Contains(n.Data, markStart) {
			texts = append(texts, n)
		}
	}
	for _, n := range texts {
		found := markPattern.FindStringSubmatch(n.Data)
		if found == nil {
			continue
		}
		number, err := strconv.Atoi(found[1])
		if err != nil || m.codes[number] == nil {
			continue
		}
		at := n
		for isCode(at.Parent) && at.Parent != root {
			at = at.Parent
		}
		if at.Parent == nil || at == root {
			continue
		}
		at.Parent.InsertBefore(m.codes[number], at)
		at.Parent.RemoveChild(at)
		delete(m.codes, number)
	}
}

func isCode(n *html.Node) bool {
	return n != nil && (n.DataAtom == atom.Pre || n.DataAtom == atom.Code || n.Data == "pre" || n.Data == "code")
}

// tame keeps the text of links and drops where they lead: addresses are noise
// to retrieval, and a page must not bring its own into answers. It also drops
// spans of cells, which a hostile page makes millions of.
func tame(root *html.Node) {
	for n := range root.Descendants() {
		switch {
		case n.Type == html.ElementNode && n.Data == "a":
			n.Data, n.DataAtom, n.Attr = "span", atom.Span, nil
		case n.Type == html.ElementNode && (n.Data == "td" || n.Data == "th"):
			n.Attr = nil
		}
	}
}
