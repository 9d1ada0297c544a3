package crawl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func urlset(urls ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>` +
		strings.Join(urls, "</loc><lastmod>2026-03-01</lastmod></url><url><loc>") + "</loc></url></urlset>"
}

func sitemapIndex(urls ...string) string {
	return "<sitemapindex><sitemap><loc>" + strings.Join(urls, "</loc></sitemap><sitemap><loc>") + "</loc></sitemap></sitemapindex>"
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	s.serve("/sitemap.xml", urlset(s.URL+"/help/a", " "+s.URL+"/help/b?utm_source=x#y\n", s.URL+"/help/a", s.URL+"/shop",
		"https://example.com/help/x", "/help/relative?a=1&amp;b=2", "javascript:x"))
	s.serve("/named.xml.gz", gzipped(t, urlset(s.URL+"/help/named")), "Content-Type", "application/gzip")
	s.serve("/index.xml", sitemapIndex(s.URL+"/index.xml", s.URL+"/child.xml", s.URL+"/nested.xml", s.URL+"/missing.xml"))
	s.serve("/child.xml", urlset(s.URL+"/help/child"))
	s.serve("/nested.xml", sitemapIndex(s.URL+"/deep.xml"))
	s.serve("/deep.xml", urlset(s.URL+"/help/deep"))
	s.serve("/robots.txt", "User-agent: *\nDisallow: /help/b\nSitemap: "+s.URL+"/index.xml\nSitemap: "+s.URL+"/named.xml.gz")
	status, body, err := s.fetcher.FetchRobots(t.Context(), s.URL+"/help")
	require.NoError(t, err)
	robots := ParseRobots(status, body)
	require.False(t, robots.Allowed(s.URL+"/help/b"))

	urls, err := s.fetcher.Discover(t.Context(), s.URL+"/help", robots, 100)
	require.NoError(t, err)
	require.Equal(t, []string{
		s.URL + "/help", s.URL + "/help/child", s.URL + "/help/named", s.URL + "/help/a", s.URL + "/help/b",
		s.URL + "/help/relative?a=1&b=2",
	}, urls)

	urls, err = s.fetcher.Discover(t.Context(), s.URL+"/help", robots, 2)
	require.NoError(t, err)
	require.Len(t, urls, 2)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.fetcher.Discover(ctx, s.URL+"/help", robots, 2)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.fetcher.Discover(t.Context(), "ftp://example.com", robots, 2)
	require.Error(t, err)
}

func TestDiscoverWithoutSitemap(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	urls, err := s.fetcher.Discover(t.Context(), s.URL, Robots{}, 10)
	require.NoError(t, err)
	require.Equal(t, []string{s.URL + "/"}, urls)
}

// TestDiscoverManySitemaps reads so many sitemaps and no more, whatever an
// index names.
func TestDiscoverManySitemaps(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{Sitemaps: 5})
	var children []string
	for i := range 1000 {
		path := fmt.Sprintf("/s/%d.xml", i)
		children = append(children, s.URL+path)
		s.serve(path, urlset(fmt.Sprintf("%s/%d", s.URL, i)))
	}
	s.serve("/sitemap.xml", sitemapIndex(children...))
	urls, err := s.fetcher.Discover(t.Context(), s.URL, Robots{}, 100)
	require.NoError(t, err)
	require.Len(t, urls, 1+4)
}

func TestParseSitemap(t *testing.T) {
	t.Parallel()
	const entity = `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>`
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"whole":               {urlset("https://a.example/1", "https://a.example/2"), 2},
		"entities":            {entity + urlset("https://a.example/&b;"), 0},
		"unknown entity":      {urlset("https://a.example/1", "https://a.example/&b;", "https://a.example/3"), 1},
		"outside entity":      {`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + urlset("https://a.example/&a;"), 0},
		"cut off":             {urlset("https://a.example/1", "https://a.example/2")[:160], 1},
		"more than the limit": {urlset(strings.Fields(strings.Repeat("https://a.example/1 ", 60))...), 50},
		"too long":            {urlset("https://a.example/"+longRun(3000), "https://a.example/2"), 1},
		"deep":                {strings.Repeat("<a>", 100_000), 0},
		"latin-1":             {`<?xml version="1.0" encoding="ISO-8859-1"?><urlset><url><loc>https://a.example/` + "\xe4" + `</loc></url></urlset>`, 1},
		"a web page":          {"<!doctype html><p>Not found", 0},
		"image locations":     {`<urlset><url><loc>https://a.example/1</loc><image:image><image:loc>https://a.example/i.png</image:loc></image:image></url></urlset>`, 1},
		"bomb":                {gzipped(t, "<urlset>"+strings.Repeat(" ", 8<<20)+"<url><loc>https://a.example/1</loc></url></urlset>"), 0},
		"empty":               {"", 0},
		"broken gzip":         {"\x1f\x8bxxxx", 0},
	} {
		require.Len(t, parseSitemap([]byte(c.body), 1<<20, 50), c.want, name)
	}
}

func FuzzParseSitemap(f *testing.F) {
	f.Add([]byte(urlset("https://a.example/1")))
	f.Add([]byte("</loc></url><loc><url>"))
	f.Fuzz(func(_ *testing.T, body []byte) { parseSitemap(body, 1<<20, 50) })
}

func TestFetchRobotsAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler     http.HandlerFunc
		allowed     bool
		unavailable bool
	}{
		"missing":     {http.NotFound, true, false},
		"too many":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, false, true},
		"unavailable": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, false, true},
		"reset":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, true},
		"loop":        {http.RedirectHandler("/robots.txt", http.StatusFound).ServeHTTP, false, true},
		"web page":    {func(w http.ResponseWriter, _ *http.Request) { write(w, "<html>Disallow: /</html>") }, true, false},
		"large": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, "User-agent: *\nDisallow: /a\n"+strings.Repeat("# filler\n", 100_000))
		}, false, false},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			write(w, "User-agent: *\nDisallow: /a\n")
			for r.Context().Err() == nil {
				write(w, strings.Repeat("# filler\n", 1000))
			}
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Config{SitemapTimeout: 5 * time.Second})
			s.mux.HandleFunc("/robots.txt", c.handler)
			status, body, err := s.fetcher.FetchRobots(t.Context(), s.URL+"/x/y")
			robots := ParseRobots(status, body)
			require.Equal(t, status == 0, err != nil)
			require.Equal(t, c.allowed, robots.Allowed(s.URL+"/a"))
			require.Equal(t, c.unavailable, robots.Unavailable())
		})
	}
}

// TestFetchRobotsRedirects follows five redirects, the least RFC 9309 asks for.
func TestFetchRobotsRedirects(t *testing.T) {
	t.Parallel()
	s := setup(t, Config{})
	s.mux.Handle("/robots.txt", http.RedirectHandler("/r1", http.StatusMovedPermanently))
	for i := range 4 {
		s.mux.Handle(fmt.Sprintf("/r%d", i+1), http.RedirectHandler(fmt.Sprintf("/r%d", i+2), http.StatusFound))
	}
	s.serve("/r5", "User-agent: *\nDisallow: /a")
	status, body, err := s.fetcher.FetchRobots(t.Context(), s.URL)
	require.NoError(t, err)
	require.False(t, ParseRobots(status, body).Allowed(s.URL+"/a"))
}
