package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// view is what the layout shows.
type view struct {
	Page      page
	Canonical string
	Sections  []section
	Body      template.HTML
}

func serveHelp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != helpRoot && strings.HasSuffix(r.URL.Path, "/") {
		if p, ok := findPage(strings.TrimSuffix(r.URL.Path, "/")); ok {
			http.Redirect(w, r, p.Path, http.StatusMovedPermanently)
			return
		}
	}
	p, ok := findPage(r.URL.Path)
	if !ok {
		writePage(w, r, http.StatusNotFound, view{Page: notFound, Body: notFoundBody})
		return
	}
	body, err := fragments.ReadFile(p.File)
	if err != nil {
		http.Error(w, "page is missing", http.StatusInternalServerError)
		return
	}
	writePage(w, r, http.StatusOK, view{
		Page:      p,
		Canonical: origin(r) + p.Path,
		Body:      template.HTML(bytes.TrimSpace(body)), //nolint:gosec // G203: the fragment is embedded, not given by anyone
	})
}

// writePage answers with a page; one that was found may be had conditionally.
func writePage(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.Sections = sections
	var out bytes.Buffer
	if err := layout.Execute(&out, v); err != nil {
		http.Error(w, "page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusOK {
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(out.Bytes())))
		http.ServeContent(w, r, "", modified(v.Page), bytes.NewReader(out.Bytes()))
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client has gone; there is nobody to tell
}

// modified is the zero time, which HTTP leaves out, for a page without a date.
func modified(p page) time.Time {
	t, err := time.Parse(time.DateOnly, p.Updated)
	if err != nil {
		return time.Time{}
	}
	return t
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "help.css", time.Time{}, bytes.NewReader(style))
}

func serveRobots(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "User-agent: *\nDisallow: %s\n\nSitemap: %s/sitemap.xml\n", internalRoot, origin(r)) //nolint:gosec // plain text, read by crawlers
}

// sitemap is the form of sitemaps.org.
type sitemap struct {
	XMLName xml.Name     `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
	URLs    []sitemapURL `xml:"url"`
}

type sitemapURL struct {
	Loc     string `xml:"loc"`
	LastMod string `xml:"lastmod"`
}

func serveSitemap(w http.ResponseWriter, r *http.Request) {
	var m sitemap
	for _, s := range sections {
		for _, p := range s.Pages {
			m.URLs = append(m.URLs, sitemapURL{Loc: origin(r) + p.Path, LastMod: p.Updated})
		}
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(m) // the client has gone; there is nobody to tell
}

// origin is the scheme and host that the client used.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
