package crawl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"runa/outbound"
)

// FetchRobots reads the robots.txt of the host of a URL, as ParseRobots takes
// it: after redirects, to any host, and cut to the size that is read. An error
// says why there was no answer; the status is then 0, which ParseRobots takes
// as unavailable.
func (f *Fetcher) FetchRobots(ctx context.Context, site string) (status int, body []byte, err error) {
	target, err := resolve("/robots.txt", site)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.SitemapTimeout)
	defer cancel()
	// ReadBody stops at a whole piece of its buffer before a limit; with this
	// much above it, what is returned is more than is read of it.
	const enough = maxRobotsBytes + 64<<10
	limits := outbound.Limits{Wire: enough, Decoded: enough, MinRate: f.cfg.Page.MinRate}
	status, body, err = f.file(ctx, target, limits)
	if errors.Is(err, outbound.ErrTooLarge) {
		// The last line may be cut to a rule that nobody wrote.
		return status, body[:bytes.LastIndexAny(body, "\r\n")+1], nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("fetch robots.txt: %w", err)
	}
	return status, body, nil
}

// file reads a file through redirects. What was read before an error is
// returned with it.
func (f *Fetcher) file(ctx context.Context, target string, limits outbound.Limits) (int, []byte, error) {
	for range f.cfg.Redirects + 1 {
		resp, err := f.get(ctx, target, http.Header{})
		if err != nil {
			return 0, nil, err
		}
		next, redirected := location(resp, target)
		if !redirected {
			body, err := outbound.ReadBody(resp, limits)
			return resp.StatusCode, body, err
		}
		discard(resp)
		target = next
	}
	return 0, nil, errRedirects
}

// Discover names the pages to start from: root, then what the sitemaps of
// robots.txt and /sitemap.xml list in the scope of root; canonical, each once,
// at most limit. A sitemap that is missing or broken adds what could be read
// of it. The error is that of root, or of the context.
func (f *Fetcher) Discover(ctx context.Context, root string, robots Robots, limit int) ([]string, error) {
	scope, err := NewScope(root)
	if err != nil {
		return nil, err
	}
	first, err := Canonical(root)
	if err != nil {
		return nil, err
	}
	d := &discovery{
		fetcher: f, scope: scope, limit: limit,
		urls: []string{first}, known: map[string]bool{first: true}, asked: map[string]bool{},
	}
	usual, err := resolve("/sitemap.xml", first)
	if err != nil {
		return nil, err
	}
	for _, sitemap := range append(robots.Sitemaps(), usual) {
		d.read(ctx, sitemap, true)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("discover %s: %w", first, err)
	}
	return d.urls[:min(len(d.urls), limit)], nil
}

// discovery gathers the URLs of a site's sitemaps.
type discovery struct {
	fetcher *Fetcher
	scope   Scope
	limit   int
	urls    []string
	known   map[string]bool
	// asked holds the sitemaps already fetched: index files may name each
	// other, or themselves.
	asked map[string]bool
}

// read adds the URLs of a sitemap, and of those it names if it is an index
// that stands at the top.
func (d *discovery) read(ctx context.Context, sitemap string, top bool) {
	cfg := d.fetcher.cfg
	if d.asked[sitemap] || len(d.asked) >= cfg.Sitemaps || len(d.urls) >= d.limit {
		return
	}
	d.asked[sitemap] = true
	var children []string
	for _, entry := range d.fetcher.sitemap(ctx, sitemap) {
		u, err := resolve(entry.loc, sitemap)
		switch {
		case err != nil:
		case entry.index:
			children = append(children, u)
		case d.scope.Contains(u) && !d.known[u] && len(d.urls) < d.limit:
			d.known[u] = true
			d.urls = append(d.urls, u)
		}
	}
	if !top {
		return // index files nest one level
	}
	for _, child := range children {
		d.read(ctx, child, false)
	}
}

// sitemap fetches one sitemap; nothing is read of one that is missing.
func (f *Fetcher) sitemap(ctx context.Context, target string) []sitemapEntry {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.SitemapTimeout)
	defer cancel()
	status, body, err := f.file(ctx, target, f.cfg.Sitemap)
	if err != nil || status != http.StatusOK {
		return nil
	}
	return parseSitemap(body, f.cfg.Sitemap.Decoded, f.cfg.SitemapURLs)
}
