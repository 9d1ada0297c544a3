package crawl

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"runa/schemas"
)

const (
	typeHTML  = "text/html"
	typeXHTML = "application/xhtml+xml"
	typePlain = "text/plain"
)

// declaredType is the media type of a Content-Type header, "" where it says
// nothing that could be relied on.
func declaredType(header string) string {
	media, _, err := mime.ParseMediaType(header)
	if (err != nil && media == "") || media == "application/octet-stream" {
		return ""
	}
	return media
}

func readable(media string) bool {
	switch media {
	case typeHTML, typeXHTML, typePlain, "text/markdown", "text/x-markdown":
		return true
	}
	return false
}

// actualType decides between what a server says of a body and what the body
// looks like: a readable type is believed unless the body is plainly binary,
// or a web page sent as plain text.
func actualType(declared string, body []byte) string {
	sniffed := declaredType(http.DetectContentType(body))
	isText := strings.HasPrefix(sniffed, "text/")
	switch {
	case len(body) == 0:
		return declared
	case sniffed == "": // octets that are no known format
		return "application/octet-stream"
	case declared == "", !isText, declared == typePlain && sniffed == typeHTML:
		return sniffed
	}
	return declared
}

// content reads the body of a page.
func (p Page) content(header http.Header, body []byte) Page {
	contentType := header.Get("Content-Type")
	media := actualType(declaredType(contentType), body)
	if media != "" && !readable(media) {
		return p.end(schemas.ReasonType, media)
	}
	text := decode(body, contentType)
	robots := headerDirectives(header)
	p.NoIndex = robots.noIndex
	if media == typeHTML || media == typeXHTML {
		doc, err := readHTML(text, p.FinalURL)
		if err != nil {
			return p.end(schemas.ReasonEmpty, "the page is damaged and could not be read")
		}
		p.Title, p.Markdown, p.CanonicalURL = doc.title, doc.markdown, doc.canonical
		p.NoIndex = p.NoIndex || doc.robots.noIndex
		if !robots.noFollow && !doc.robots.noFollow {
			p.Links = doc.links
		}
	} else {
		p.Title, p.Markdown = plainTitle(text, p.FinalURL), normalText(text)
	}
	return p.judged()
}

// judged gives a page that was read its reason.
func (p Page) judged() Page {
	if p.Markdown != "" {
		sum := sha256.Sum256([]byte(p.Markdown))
		p.Hash = hex.EncodeToString(sum[:])
	}
	switch {
	case p.NoIndex:
		return p.end(schemas.ReasonNoIndex, "")
	case p.Markdown == "":
		return p.end(schemas.ReasonEmpty, "no main text")
	}
	return p.end(schemas.ReasonIndexed, "")
}

// decode turns a body into UTF-8. Text beyond ASCII that is valid UTF-8 is
// UTF-8 whatever the server calls it, and what is called UTF-8 and is not gets
// judged by what the page itself says.
func decode(body []byte, contentType string) string {
	valid := utf8.Valid(body)
	if valid && !isASCII(body) {
		return string(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	}
	enc, name, _ := charset.DetermineEncoding(body, contentType)
	if !valid && name == "utf-8" {
		enc, _, _ = charset.DetermineEncoding(body, "")
	}
	out, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		out = body
	}
	return strings.ToValidUTF8(string(bytes.TrimPrefix(out, []byte("\xef\xbb\xbf"))), "\uFFFD")
}

func isASCII(body []byte) bool {
	for _, c := range body {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// normalText unifies line ends and drops what no text holds.
func normalText(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	s = strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\t') || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// plainTitle is the first heading of a plain or Markdown text, or else what
// its URL ends in.
func plainTitle(text, pageURL string) string {
	for line := range strings.Lines(text) {
		if level, title, _ := heading(strings.TrimSpace(line)); level > 0 && title != "" {
			return clip(title, maxTitle)
		}
	}
	return urlTitle(pageURL)
}

// urlTitle names a page by the last segment of its URL's path, or by its host.
func urlTitle(pageURL string) string {
	u, err := parse(pageURL, "")
	if err != nil {
		return ""
	}
	name := path.Base(u.Pathname())
	if name == "/" || name == "." {
		return hostPort(u)
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return clip(name, maxTitle)
}
