package crawl

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"io"
	"strings"

	"golang.org/x/net/html/charset"

	"runa/schemas"
)

// maxLoc is the length of a URL in a sitemap; longer ones are no pages.
const maxLoc = schemas.MaxURLLength

// sitemapEntry is one URL of a sitemap.
type sitemapEntry struct {
	loc string
	// index is set when the URL is that of a further sitemap.
	index bool
}

// parseSitemap reads a sitemap or an index of sitemaps, gzipped or not, as far
// as it is well formed and within the limits. A document type ends it: no
// sitemap needs one, and entities are what bombs are made of.
func parseSitemap(body []byte, maxBytes int64, maxURLs int) []sitemapEntry {
	r := sitemapReader{decoder: xml.NewDecoder(plain(body, maxBytes))}
	r.decoder.CharsetReader = charset.NewReaderLabel
	var entries []sitemapEntry
	for len(entries) < maxURLs {
		entry, ok := r.next()
		if !ok {
			break
		}
		entries = append(entries, entry)
	}
	return entries
}

// plain undoes the gzip of a file that is sent as one (sitemap.xml.gz).
func plain(body []byte, maxBytes int64) io.Reader {
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return bytes.NewReader(body)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return bytes.NewReader(nil)
	}
	return io.LimitReader(z, maxBytes)
}

// sitemapReader walks a sitemap's XML, one URL at a time.
type sitemapReader struct {
	decoder *xml.Decoder
	// path holds the names of the open elements.
	path []string
	loc  strings.Builder
}

// next returns the next URL; false at the end or at the first fault.
func (r *sitemapReader) next() (sitemapEntry, bool) {
	for {
		token, err := r.decoder.RawToken()
		if err != nil {
			return sitemapEntry{}, false
		}
		switch t := token.(type) {
		case xml.Directive:
			return sitemapEntry{}, false
		case xml.StartElement:
			if len(r.path) == maxSitemapDepth {
				return sitemapEntry{}, false
			}
			r.path = append(r.path, t.Name.Local)
			r.loc.Reset()
		case xml.CharData:
			if r.at("loc") && r.loc.Len() <= maxLoc {
				r.loc.Write(t)
			}
		case xml.EndElement:
			if entry, ok := r.close(); ok {
				return entry, true
			}
		}
	}
}

// maxSitemapDepth is more than any extension of the format nests.
const maxSitemapDepth = 20

func (r *sitemapReader) at(name string) bool {
	return len(r.path) == 3 && r.path[2] == name
}

// close leaves an element, and returns the URL if it was a whole one.
func (r *sitemapReader) close() (sitemapEntry, bool) {
	defer func() { r.path = r.path[:max(len(r.path)-1, 0)] }()
	loc := strings.TrimSpace(r.loc.String())
	if !r.at("loc") || loc == "" || len(loc) > maxLoc {
		return sitemapEntry{}, false
	}
	switch r.path[1] {
	case "url":
		return sitemapEntry{loc: loc}, true
	case "sitemap":
		return sitemapEntry{loc: loc, index: true}, true
	}
	return sitemapEntry{}, false
}
