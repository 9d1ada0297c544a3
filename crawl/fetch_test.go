package crawl

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/outbound"
	"runa/schemas"
)

// site is a web site on loopback and a Fetcher that may reach it.
type site struct {
	*httptest.Server
	mux     *http.ServeMux
	fetcher *Fetcher
	scope   Scope
}

func setup(t *testing.T, cfg Config) *site {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	policy, err := outbound.NewPolicy([]string{"127.0.0.0/8"})
	require.NoError(t, err)
	cfg.Client = policy.Client(outbound.ClientConfig{})
	fetcher, err := New(cfg)
	require.NoError(t, err)
	scope, err := NewScope(server.URL)
	require.NoError(t, err)
	return &site{Server: server, mux: mux, fetcher: fetcher, scope: scope}
}

func (s *site) fetch(path string) Page {
	return s.fetcher.Fetch(context.Background(), Target{URL: s.URL + path, Scope: s.scope})
}

// serve answers a path with a body; headers are name, value, name, value.
func (s *site) serve(path, body string, headers ...string) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		write(w, body)
	})
}

// write sends what it can: the reader may have had enough.
func write(w http.ResponseWriter, body string) {
	if _, err := w.Write([]byte(body)); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return
	}
}

const prose = "You can export every invoice as a PDF from the billing page, one by one or all at once, and send them to your accountant. "

const helpPage = `<html><head><title>Export invoices | Acme Help</title><meta property="og:site_name" content="Acme Help">
<link rel="canonical" href="/export?utm_source=x"><meta http-equiv="refresh" content="30; url='/next'"></head>
<body><nav><a href="/nav">Navigation words</a></nav><div class="cookie-banner consent">We use cookies, accept them all</div>
<main><h1>Export invoices</h1><p>` + prose + `</p><h2 id="steps">Steps<a href="#steps" class="anchor">#</a></h2>
<ol><li>Open <a href="billing#top">Billing</a></li><li>Press <code>Export_all</code></li></ol>
<h2 id="cli">Command line</h2><pre><code class="language-sh">acme export \
  --all   # every one

# done</code></pre>
<section id="prices"><h3>Prices</h3><table><tr><th>Plan</th><th>Price</th></tr><tr><td>Free</td><td>$0</td></tr></table></section>
<p>` + prose + `</p><a href="/ads" rel="sponsored nofollow">ad</a><a href="mailto:a@example.com">mail</a><a href="/export">self</a>
</main><footer>Copyright Acme footer</footer></body></html>`

func TestFetchPage(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	s.serve("/export", helpPage, "Content-Type", "text/html; charset=utf-8", "ETag", `"v1"`, "Last-Modified", "Mon, 02 Mar 2026 10:00:00 GMT")
	page := s.fetch("/export?utm_campaign=x#steps")
	require.Equal(t, schemas.ReasonIndexed, page.Reason, page.Detail)
	require.Equal(t, s.URL+"/export", page.URL)
	require.Equal(t, s.URL+"/export", page.FinalURL)
	require.Equal(t, s.URL+"/export", page.CanonicalURL)
	require.Equal(t, Validators{ETag: `"v1"`, LastModified: "Mon, 02 Mar 2026 10:00:00 GMT"}, page.Validators)
	require.Equal(t, "Export invoices", page.Title)
	require.Equal(t, []string{s.URL + "/next", s.URL + "/nav", s.URL + "/billing", s.URL + "/export"}, page.Links)
	require.Len(t, page.Hash, 64)
	for _, kept := range []string{
		"# Export invoices", "## Steps {#steps}", "1. Open Billing", "`Export_all`", "### Prices {#prices}",
		"```sh\nacme export \\\n  --all   # every one\n\n# done\n```", "| Plan | Price |", "| Free | $0 |",
	} {
		require.Contains(t, page.Markdown, kept)
	}
	for _, dropped := range []string{"Navigation", "cookies", "footer", "http", "\uE000"} {
		require.NotContains(t, page.Markdown, dropped)
	}
	require.Equal(t, page, s.fetch("/export"), "the same page gives the same outcome")
}

func TestFetchConditional(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	s.mux.HandleFunc("/a", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == "then" {
			w.WriteHeader(http.StatusNotModified)
		}
	})
	page := s.fetcher.Fetch(t.Context(), Target{URL: s.URL + "/a", Scope: s.scope, Validators: Validators{`"v1"`, "then"}})
	require.True(t, page.NotModified)
	require.Equal(t, schemas.ReasonUnchanged, page.Reason)
	require.Equal(t, schemas.ReasonEmpty, s.fetch("/a").Reason)
}

func TestFetchStatus(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	s.mux.HandleFunc("/{status}", func(w http.ResponseWriter, r *http.Request) {
		var status int
		if _, err := fmt.Sscan(r.PathValue("status"), &status); err != nil {
			status = http.StatusTeapot
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
	})
	for status, transient := range map[int]bool{403: false, 404: false, 410: false, 429: true, 500: true, 501: false, 503: true} {
		page := s.fetch(fmt.Sprintf("/%d", status))
		require.Equal(t, schemas.ReasonStatus, page.Reason)
		require.Equal(t, status, page.Status)
		require.Contains(t, page.Detail, fmt.Sprint(status))
		require.Equal(t, transient, page.Transient, status)
		require.Equal(t, 7*time.Second, page.RetryAfter)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	at := func(value string) time.Duration {
		return retryAfter(&http.Response{Header: http.Header{"Retry-After": {value}}})
	}
	require.Equal(t, maxRetryAfter, at("999999"))
	require.Equal(t, maxRetryAfter, at(time.Now().Add(48*time.Hour).UTC().Format(http.TimeFormat)))
	require.InDelta(t, 60, at(time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)).Seconds(), 5)
	for _, none := range []string{"", "-1", "soon", "Mon, 02 Jan 2006 15:04:05 GMT"} {
		require.Zero(t, at(none), none)
	}
}

func TestFetchRedirects(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	other := setup(t, Config{})
	for from, to := range map[string]string{
		"/1": "/2", "/2": "3?utm_source=x", "/3": "/page", "/loop": "/loop2", "/loop2": "/loop",
		"/out": other.URL + "/in", "/closed": "/private/a", "/broken": "http://[", "/maze": "/x/x/x/x",
	} {
		s.mux.Handle(from, http.RedirectHandler(to, http.StatusFound))
	}
	other.mux.Handle("/in", http.RedirectHandler(s.URL+"/out", http.StatusFound))
	s.serve("/page", "<p>"+prose)
	page := s.fetch("/1")
	require.Equal(t, schemas.ReasonIndexed, page.Reason)
	require.Equal(t, s.URL+"/1", page.URL)
	require.Equal(t, s.URL+"/page", page.FinalURL)

	robots := ParseRobots(http.StatusOK, []byte("User-agent: *\nDisallow: /private"))
	for path, reason := range map[string]schemas.PageReason{
		"/loop": schemas.ReasonNetwork, "/out": schemas.ReasonScope, "/closed": schemas.ReasonRobots,
		"/broken": schemas.ReasonStatus, "/maze": schemas.ReasonTrap, "/private": schemas.ReasonRobots,
	} {
		page := s.fetcher.Fetch(t.Context(), Target{URL: s.URL + path, Scope: s.scope, Robots: robots})
		require.Equal(t, reason, page.Reason, path)
		require.False(t, page.Transient, path)
		require.NotEmpty(t, page.Detail)
	}
}

func TestFetchRobotsDirectives(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	html := func(meta string) string { return "<head>" + meta + "</head><a href=/x>x</a><p>" + prose }
	for i, c := range []struct {
		body, header      string
		noIndex, noFollow bool
	}{
		{html(""), "", false, false},
		{html(`<meta name="robots" content="NoIndex, follow">`), "", true, false},
		{html(`<meta name="robots" content="none">`), "", true, true},
		{html(`<meta name="runa" content="nofollow">`), "", false, true},
		{html(`<meta name="googlebot" content="noindex">`), "", false, false},
		{html(""), "noindex", true, false},
		{html(""), "noindex, nofollow", true, true},
		{html(""), "googlebot: noindex", false, false},
		{html(""), "Runa: nofollow", false, true},
		{html(""), "max-snippet:20, noindex", true, false},
		{html(""), "unavailable_after: 25 Jun 2010 15:00:00 PST", false, false},
	} {
		path := fmt.Sprintf("/%d", i)
		s.serve(path, c.body, "Content-Type", "text/html", "X-Robots-Tag", c.header)
		page := s.fetch(path)
		require.Equal(t, c.noIndex, page.NoIndex, "%+v", c)
		require.Equal(t, c.noIndex, page.Reason == schemas.ReasonNoIndex, "%+v", c)
		require.Equal(t, c.noFollow, len(page.Links) == 0, "%+v", c)
	}
}

func TestFetchTypes(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	page := "<!doctype html><p>" + prose
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 100)
	for i, c := range []struct {
		declared, body string
		reason         schemas.PageReason
	}{
		{"text/html", page, schemas.ReasonIndexed},
		{"TEXT/HTML; charset=x-unknown", page, schemas.ReasonIndexed},
		{"application/xhtml+xml", page, schemas.ReasonIndexed},
		{"text/plain", prose, schemas.ReasonIndexed},
		{"text/markdown", "# Title\n\n" + prose, schemas.ReasonIndexed},
		{"text/plain", page, schemas.ReasonIndexed},
		{"application/octet-stream", page, schemas.ReasonIndexed},
		{"", page, schemas.ReasonIndexed},
		{"text/html", png, schemas.ReasonType},
		{"text/html", "%PDF-1.7\n" + prose, schemas.ReasonType},
		{"text/plain", "\x00\x01\x02\x03" + prose, schemas.ReasonType},
		{"application/pdf", page, schemas.ReasonType},
		{"application/json", `{"a":1}`, schemas.ReasonType},
		{"image/png", png, schemas.ReasonType},
		{"application/octet-stream", png, schemas.ReasonType},
		{"text/html", "", schemas.ReasonEmpty},
		{"text/html", "<script>only()</script>", schemas.ReasonEmpty},
		{"text/plain", " \n ", schemas.ReasonEmpty},
	} {
		path := fmt.Sprintf("/%d", i)
		s.serve(path, c.body, "Content-Type", c.declared)
		got := s.fetch(path)
		require.Equal(t, c.reason, got.Reason, "%+v", c)
		if got.Reason == schemas.ReasonIndexed {
			require.Contains(t, got.Markdown, "export every invoice", "%+v", c)
			require.NotContains(t, got.Markdown, "<p>")
		}
	}
}

func TestFetchCharsets(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	const latin, utf8Text = "Gr\xf6\xdfe und Ma\xdf", "Größe und Maß"
	for i, c := range []struct{ contentType, body string }{
		{"text/html; charset=utf-8", utf8Text},
		{"text/html; charset=iso-8859-1", latin},
		{"text/html", `<meta charset="windows-1252">` + latin},
		{"text/html", latin},
		{"text/html; charset=iso-8859-1", utf8Text}, // lies
		{"text/html; charset=utf-8", latin},         // lies
		{"text/html; charset=utf-8", `<meta charset="iso-8859-1">` + latin},
		{"text/html", "\xef\xbb\xbf" + utf8Text},
		{"text/plain; charset=utf-16le", "G\x00r\x00\xf6\x00\xdf\x00e\x00 \x00u\x00n\x00d\x00 \x00M\x00a\x00\xdf\x00"},
		{"text/plain; charset=nonsense", utf8Text},
	} {
		require.Contains(t, decode([]byte(c.body), c.contentType), utf8Text, "%+v", c)
		if strings.HasPrefix(c.contentType, "text/html") {
			path := fmt.Sprintf("/%d", i)
			s.serve(path, "<html><head></head><body><p>"+prose+"</p><p>"+c.body, "Content-Type", c.contentType)
			require.Contains(t, s.fetch(path).Markdown, utf8Text, "%+v", c)
		}
	}
}

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(body))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

// TestFetchTraps meets the servers that try to keep a crawler busy; each ends
// with its reason within the limits.
func TestFetchTraps(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{
		PageTimeout: 2 * time.Second,
		Page:        outbound.Limits{MinRate: 1 << 10, RateWindow: 200 * time.Millisecond},
	})
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	s.serve("/gzip", gzipped(t, "<p>"+prose), "Content-Type", "text/html", "Content-Encoding", "gzip")
	s.serve("/bomb", gzipped(t, strings.Repeat("\x00", 64<<20)), "Content-Type", "text/html", "Content-Encoding", "gzip")
	s.serve("/nested", gzipped(t, "x"), "Content-Type", "text/html", "Content-Encoding", "gzip, br")
	s.serve("/broken-gzip", "not gzip", "Content-Type", "text/html", "Content-Encoding", "gzip")
	s.mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for r.Context().Err() == nil {
			write(w, "<p>"+strings.Repeat(prose, 100))
		}
	})
	s.mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		write(w, "<p>slow")
		_ = http.NewResponseController(w).Flush() // the reader may be gone
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	})
	s.mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	})
	s.mux.HandleFunc("/reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.serve("/refresh", `<meta http-equiv="refresh" content="0;URL=/refresh"><p>`+prose, "Content-Type", "text/html")
	for path, want := range map[string]struct {
		reason    schemas.PageReason
		transient bool
	}{
		"/gzip": {schemas.ReasonIndexed, false}, "/bomb": {schemas.ReasonTooBig, false}, "/endless": {schemas.ReasonTooBig, false},
		"/nested": {schemas.ReasonNetwork, false}, "/broken-gzip": {schemas.ReasonNetwork, false},
		"/drip": {schemas.ReasonNetwork, true}, "/silent": {schemas.ReasonNetwork, true}, "/reset": {schemas.ReasonNetwork, true},
		"/refresh": {schemas.ReasonIndexed, false},
	} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			page := s.fetch(path)
			require.Equal(t, want.reason, page.Reason, page.Detail)
			require.Equal(t, want.transient, page.Transient)
			require.Less(t, time.Since(start), 10*time.Second)
			if path == "/refresh" {
				require.Equal(t, []string{s.URL + "/refresh"}, page.Links)
			}
		})
	}
}

func TestFetchManyLinks(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	var b strings.Builder
	b.WriteString("<main><p>" + prose + "</p></main><ul>")
	for i := range 100_000 {
		fmt.Fprintf(&b, "<li><a href=/%d>%d</a></li>", i, i)
	}
	s.serve("/links", b.String(), "Content-Type", "text/html")
	start := time.Now()
	page := s.fetch("/links")
	require.Equal(t, schemas.ReasonIndexed, page.Reason)
	require.Len(t, page.Links, maxLinks)
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestFetchUnreachable(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	scope, err := NewScope(gone)
	require.NoError(t, err)
	page := s.fetcher.Fetch(t.Context(), Target{URL: gone, Scope: scope})
	require.Equal(t, schemas.ReasonNetwork, page.Reason)
	require.True(t, page.Transient)
	require.NotContains(t, page.Detail, "127.0.0.1")

	closed, err := outbound.NewPolicy(nil)
	require.NoError(t, err)
	guarded, err := New(Config{Client: closed.Client(outbound.ClientConfig{})})
	require.NoError(t, err)
	page = guarded.Fetch(t.Context(), Target{URL: s.URL, Scope: s.scope})
	require.Equal(t, schemas.ReasonBlocked, page.Reason)
	require.False(t, page.Transient)

	page = s.fetcher.Fetch(t.Context(), Target{URL: "ftp://example.com", Scope: s.scope})
	require.Equal(t, schemas.ReasonTrap, page.Reason)
	_, err = New(Config{})
	require.Error(t, err)
}
