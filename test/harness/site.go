package harness

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Site is a customer's help centre: a front page and the pages that it links
// to, each with a word that no other page has.
type Site struct {
	*httptest.Server
	pages int
	slow  time.Duration
	// fetched counts the requests for pages.
	fetched atomic.Int64
}

// NewSite serves a site; each of its answers takes slow.
func NewSite(t testing.TB, pages int, slow time.Duration) *Site {
	s := &Site{pages: pages, slow: slow}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /help/{$}", func(w http.ResponseWriter, _ *http.Request) { s.write(w, 0) })
	mux.HandleFunc("GET /help/page/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscanf(r.PathValue("n"), "%d", &n); err != nil || n < 1 || n >= pages {
			http.NotFound(w, r)
			return
		}
		s.write(w, n)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// front is the address to register; page 0 is there.
func (s *Site) front() string { return s.URL + "/help/" }

func (s *Site) address(n int) string {
	if n == 0 {
		return s.front()
	}
	return fmt.Sprintf("%s/help/page/%d", s.URL, n)
}

func (s *Site) write(w http.ResponseWriter, n int) {
	s.fetched.Add(1)
	Pause(s.slow)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><head><title>Article %[1]d</title></head><body><main><article>
		<h1>Article %[1]d</h1>
		<p>This article is about the part that the workshop calls %[2]s. It is fitted before the machine leaves the hall.</p>
		<h2>Care</h2><p>Clean it every %[3]d days with a dry cloth, and oil the joint when it creaks in cold weather.</p>
		%[4]s</article></main></body></html>`, n, word(n), n+2, s.links(n)) // the caller may be dead
}

// links are on the front page only.
func (s *Site) links(n int) string {
	if n > 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<h2>All articles</h2><ul>")
	for i := 1; i < s.pages; i++ {
		fmt.Fprintf(&b, `<li><a href="/help/page/%d">Article %d</a></li>`, i, i)
	}
	b.WriteString("</ul>")
	return b.String()
}

// word is a word that only page n has, and that no stemmer shortens.
func word(n int) string {
	const letters = "bcdfghjklm"
	return "zq" + string([]byte{letters[n/100%10], letters[n/10%10], letters[n%10]}) + "vx"
}
