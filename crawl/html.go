package crawl

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	// maxLinks bounds the links taken of one page.
	maxLinks = 2000
	// maxTitle bounds a title, in bytes.
	maxTitle = 300
)

// webPage is what is read of an HTML page.
type webPage struct {
	title     string
	markdown  string
	canonical string
	links     []string
	robots    directives
}

// errDamaged is a page that the parser or an extractor failed on.
var errDamaged = errors.New("damaged HTML")

// readHTML reads a page that was fetched from pageURL. The libraries that it
// relies on are written for sound pages: whatever they do with a damaged one,
// the outcome here is an error.
func readHTML(text, pageURL string) (page webPage, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", errDamaged, fault)
		}
	}()
	// Without scripting, what a page offers in <noscript> is part of it; sites
	// built by scripts put their whole text there.
	doc, err := html.ParseWithOptions(strings.NewReader(text), html.ParseOptionEnableScripting(false))
	if err != nil {
		return webPage{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	base, err := url.Parse(pageURL)
	if err != nil {
		return webPage{}, fmt.Errorf("page URL: %w", err)
	}
	h := readHead(doc, pageURL)
	page = webPage{canonical: h.canonical, links: h.links, robots: h.robots}
	page.markdown = mainMarkdown(doc, base)
	page.title = h.bestTitle(pageURL)
	return page, nil
}

// directives are what a page says to robots about itself.
type directives struct{ noIndex, noFollow bool }

func (d *directives) add(content string) {
	for token := range strings.SplitSeq(strings.ToLower(content), ",") {
		switch strings.TrimSpace(token) {
		case "noindex":
			d.noIndex = true
		case "nofollow":
			d.noFollow = true
		case "none":
			d.noIndex, d.noFollow = true, true
		}
	}
}

// headerDirectives reads X-Robots-Tag. A value that names another robot
// ("googlebot: noindex") is not for this one.
func headerDirectives(header http.Header) directives {
	var d directives
	for _, value := range header.Values("X-Robots-Tag") {
		agent, rest, named := strings.Cut(value, ":")
		agent = strings.ToLower(strings.TrimSpace(agent))
		switch {
		case named && agent == robotsToken:
			d.add(rest)
		case !named || strings.ContainsAny(agent, ", ") || valued(agent):
			d.add(value)
		}
	}
	return d
}

// valued reports whether a word before a colon is a directive with a value
// rather than the name of a robot.
func valued(word string) bool {
	switch word {
	case "unavailable_after", "max-snippet", "max-image-preview", "max-video-preview":
		return true
	}
	return false
}

// head is what the elements of a page say about the page.
type head struct {
	base                       string
	title, ogTitle, site, h1   string
	canonical                  string
	robots                     directives
	links                      []string
	known                      map[string]bool
	titleSeen, h1Seen, baseSet bool
}

// readHead walks the whole document: links stand everywhere, and damaged
// pages have their metadata anywhere.
func readHead(doc *html.Node, pageURL string) *head {
	h := &head{base: pageURL, known: map[string]bool{}}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Namespace == "" {
			h.element(n)
		}
	}
	return h
}

func (h *head) element(n *html.Node) {
	switch n.DataAtom {
	case atom.Base:
		if base, err := resolve(attr(n, "href"), h.base); err == nil && !h.baseSet {
			h.base, h.baseSet = base, true
		}
	case atom.Title:
		if !h.titleSeen {
			h.title, h.titleSeen = oneLine(textOf(n)), true
		}
	case atom.H1:
		if !h.h1Seen {
			h.h1 = oneLine(textOf(n))
			h.h1Seen = h.h1 != ""
		}
	case atom.Meta:
		h.meta(n)
	case atom.Link:
		if hasToken(attr(n, "rel"), "canonical") && h.canonical == "" {
			h.canonical, _ = resolve(attr(n, "href"), h.base) // an unusable one is none
		}
	case atom.A, atom.Area:
		if !hasToken(attr(n, "rel"), "nofollow") {
			h.link(attr(n, "href"))
		}
	}
}

func (h *head) meta(n *html.Node) {
	content := attr(n, "content")
	name := strings.ToLower(attr(n, "name") + attr(n, "property"))
	switch name {
	case "robots", robotsToken:
		h.robots.add(content)
	case "og:title":
		h.ogTitle = oneLine(content)
	case "og:site_name":
		h.site = oneLine(content)
	}
	if strings.EqualFold(attr(n, "http-equiv"), "refresh") {
		// A page that sends its reader on links to where it sends.
		if at := strings.Index(strings.ToLower(content), "url="); at >= 0 {
			h.link(strings.Trim(strings.TrimSpace(content[at+len("url="):]), `'"`))
		}
	}
}

func (h *head) link(href string) {
	href = strings.TrimSpace(href)
	if href == "" || href[0] == '#' || len(h.links) >= maxLinks {
		return
	}
	if u, err := resolve(href, h.base); err == nil && !h.known[u] {
		h.known[u] = true
		h.links = append(h.links, u)
	}
}

// bestTitle prefers what the page says for sharing, then its title, then its
// first heading; without the name of the site, which every page repeats.
func (h *head) bestTitle(pageURL string) string {
	for _, candidate := range []string{h.ogTitle, h.title, h.h1} {
		if candidate != "" {
			return clip(h.withoutSite(candidate), maxTitle)
		}
	}
	return urlTitle(pageURL)
}

// withoutSite drops the part of a title that names the site: the part that
// og:site_name says, or what stands beside a repetition of the first heading.
func (h *head) withoutSite(title string) string {
	for _, separator := range []string{" | ", " - ", " – ", " — ", " · ", " :: ", " » "} {
		before, after, cut := cutLast(title, separator)
		switch {
		case !cut:
		case strings.EqualFold(before, h.h1), strings.EqualFold(after, h.site):
			return before
		case strings.EqualFold(after, h.h1), strings.EqualFold(before, h.site):
			return after
		}
		if strings.HasPrefix(strings.ToLower(title), strings.ToLower(h.h1)+separator) && h.h1 != "" {
			return h.h1
		}
	}
	return title
}

func cutLast(s, separator string) (before, after string, found bool) {
	at := strings.LastIndex(s, separator)
	if at <= 0 || at+len(separator) == len(s) {
		return s, "", false
	}
	return s[:at], s[at+len(separator):], true
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name && a.Namespace == "" {
			return a.Val
		}
	}
	return ""
}

func hasToken(list, token string) bool {
	for _, word := range strings.Fields(list) {
		if strings.EqualFold(word, token) {
			return true
		}
	}
	return false
}

// textOf is the text of a node and all below it, as it stands.
func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// oneLine puts text on one line, with single spaces, without marks.
func oneLine(s string) string {
	return strings.Join(strings.Fields(withoutPrivate(s)), " ")
}

// clip shortens text to at most limit bytes, at the start of a character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
