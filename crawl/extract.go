package crawl

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/markusmobius/go-trafilatura"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	// maxExtractNodes and maxExtractText are the size of a page, in nodes and in
	// bytes of text, beyond which no extractor is asked: it cannot be
	// interrupted, and takes more than a second for each megabyte.
	maxExtractNodes = 50_000
	maxExtractText  = 1 << 20
	// minKept is the share of a page's own text below which the extractor has
	// taken a listing, a product page or a forum for decoration. Measured on
	// WCXB's development pages, where .5 was best of .3 to .7.
	minKept = 0.5
	// maxFurniture is the size in bytes of text up to which an element is
	// believed to be what its class or id calls it: some pages put all they
	// have into a "modal".
	maxFurniture = 3000
)

// furniture matches classes and ids of what surrounds a page's text.
var furniture = regexp.MustCompile(`(?i)\b(cookies?|consent|gdpr|onetrust|navbar|breadcrumbs?|sidebar|site-footer|` +
	`site-header|skip-link|sr-only|visually-hidden|newsletter|social-share|share-buttons|popup|modal)\b`)

// mainMarkdown is the main text of a page as Markdown, "" if there is none. It
// changes doc.
//
// An extractor made for articles decides first. What it leaves out is often
// what pages of other kinds consist of, so that where it keeps less than half
// of the text outside navigation, banner and footer, all of that text is kept.
func mainMarkdown(doc *html.Node, base *url.URL) string {
	clean(doc)
	m := mark(doc)
	rest := body(doc)
	if rest == nil {
		return ""
	}
	outside := clone(rest)
	remove(outside, func(n *html.Node) bool {
		return n.DataAtom == atom.Aside || n.DataAtom == atom.Form
	})
	chosen := outside
	if main := extracted(doc, base); main != nil && textSize(main) >= int(minKept*float64(textSize(outside))) {
		chosen = main
	}
	return m.markdown(chosen)
}

// extracted is what trafilatura takes for the main text, nil for nothing.
func extracted(doc *html.Node, base *url.URL) *html.Node {
	nodes := 0
	for range doc.Descendants() {
		nodes++
	}
	if nodes > maxExtractNodes || len(textOf(doc)) > maxExtractText {
		return nil
	}
	result, err := trafilatura.ExtractDocument(doc, trafilatura.Options{
		OriginalURL:     base,
		EnableFallback:  true,
		Focus:           trafilatura.FavorRecall,
		ExcludeComments: true,
		HtmlDateMode:    trafilatura.Disabled,
	})
	if err != nil || result.ContentNode == nil {
		return nil
	}
	return result.ContentNode
}

// clean removes what is never text of the page: what is not shown, what is
// operated rather than read, and what stands on every page.
func clean(doc *html.Node) {
	remove(doc, func(n *html.Node) bool {
		switch n.DataAtom {
		case atom.Script, atom.Style, atom.Template, atom.Svg, atom.Iframe, atom.Object, atom.Canvas, atom.Button,
			atom.Select, atom.Dialog, atom.Nav, atom.Footer:
			return true
		case atom.Html, atom.Head, atom.Body, atom.Main, atom.Article:
			return false
		}
		return hidden(n) || isFurniture(n) || isBanner(n)
	})
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Noscript {
			n.Data, n.DataAtom = "div", atom.Div // no later step may take it for hidden
		}
	}
}

func hidden(n *html.Node) bool {
	for _, a := range n.Attr {
		switch {
		case a.Key == "hidden" && a.Val != "until-found", a.Key == "aria-hidden" && a.Val == "true":
			return true
		}
	}
	switch attr(n, "role") {
	case "dialog", "alertdialog", "navigation", "banner", "contentinfo", "search":
		return true
	}
	// What a page offers without scripts is often one line or a picture.
	return n.DataAtom == atom.Noscript && len(strings.Fields(textOf(n))) < 20
}

// isBanner tells the header of the site from that of the text, which holds its
// first heading or stands inside of it.
func isBanner(n *html.Node) bool {
	if n.DataAtom != atom.Header || hasElement(n, atom.H1) {
		return false
	}
	for p := n.Parent; p != nil; p = p.Parent {
		switch p.DataAtom {
		case atom.Main, atom.Article, atom.Section:
			return false
		}
	}
	return true
}

func hasElement(n *html.Node, kind atom.Atom) bool {
	for d := range n.Descendants() {
		if d.DataAtom == kind {
			return true
		}
	}
	return false
}

func isFurniture(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Div, atom.Section, atom.Aside, atom.Ul, atom.P, atom.Span:
		return furniture.MatchString(attr(n, "class")+" "+attr(n, "id")) && len(textOf(n)) < maxFurniture
	}
	return false
}

// remove takes out the elements that match, with all below them.
func remove(root *html.Node, match func(*html.Node) bool) {
	for child := root.FirstChild; child != nil; {
		next := child.NextSibling
		if child.Type == html.CommentNode || (child.Type == html.ElementNode && match(child)) {
			root.RemoveChild(child)
		} else {
			remove(child, match)
		}
		child = next
	}
}

func body(doc *html.Node) *html.Node {
	for n := range doc.Descendants() {
		if n.DataAtom == atom.Body {
			return n
		}
	}
	return nil
}

func clone(n *html.Node) *html.Node {
	c := &html.Node{Type: n.Type, DataAtom: n.DataAtom, Data: n.Data, Namespace: n.Namespace}
	c.Attr = append(c.Attr, n.Attr...)
	for child := range n.ChildNodes() {
		c.AppendChild(clone(child))
	}
	return c
}

// textSize is the length of a node's text, each run of white space counted as
// one byte.
func textSize(n *html.Node) int {
	return len(strings.Join(strings.Fields(textOf(n)), " "))
}
