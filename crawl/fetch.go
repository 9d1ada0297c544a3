package crawl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"runa/outbound"
	"runa/schemas"
)

// errRedirects is a chain of redirects longer than Config.Redirects.
var errRedirects = errors.New("too many redirects")

// Config is what a Fetcher may differ in. Client is required; any other field
// of 0 is its default.
type Config struct {
	// Client's transport makes the requests and decides which addresses may be
	// dialled. Nothing else of it is used: redirects are followed here, where
	// each hop is held against scope and robots.txt.
	Client *http.Client
	// UserAgent is sent with each request. Default "Runa/1.0".
	UserAgent string
	// PageTimeout bounds the fetch of a page, redirects and body included.
	// Default 15 s.
	PageTimeout time.Duration
	// SitemapTimeout bounds the fetch of one sitemap or robots.txt. Default
	// 30 s.
	SitemapTimeout time.Duration
	// Redirects is how many are followed. Default 5.
	Redirects int
	// Page bounds the body of a page. Default as outbound.Limits.
	Page outbound.Limits
	// Sitemap bounds the body of a sitemap. Default 50 MB, as sent and
	// decoded.
	Sitemap outbound.Limits
	// SitemapURLs is how many URLs of one sitemap are read. Default 50,000.
	SitemapURLs int
	// Sitemaps is how many sitemaps of one site are read, the children of
	// index files included. Default 50.
	Sitemaps int
}

func (c Config) withDefaults() Config {
	c.UserAgent = cmp.Or(c.UserAgent, "Runa/1.0")
	c.PageTimeout = cmp.Or(c.PageTimeout, 15*time.Second)
	c.SitemapTimeout = cmp.Or(c.SitemapTimeout, 30*time.Second)
	c.Redirects = cmp.Or(c.Redirects, 5)
	c.Sitemap.Wire = cmp.Or(c.Sitemap.Wire, 50<<20)
	c.Sitemap.Decoded = cmp.Or(c.Sitemap.Decoded, 50<<20)
	c.SitemapURLs = cmp.Or(c.SitemapURLs, 50_000)
	c.Sitemaps = cmp.Or(c.Sitemaps, 50)
	return c
}

// Fetcher reads from web sites, one request after another. It keeps nothing
// between calls and is safe for concurrent use; pauses between requests are
// the caller's.
type Fetcher struct {
	cfg       Config
	transport http.RoundTripper
}

// New makes a Fetcher.
func New(cfg Config) (*Fetcher, error) {
	if cfg.Client == nil {
		return nil, errors.New("crawl: Config.Client is missing")
	}
	f := &Fetcher{cfg: cfg.withDefaults(), transport: cfg.Client.Transport}
	if f.transport == nil {
		f.transport = http.DefaultTransport
	}
	return f, nil
}

// Validators are what a server gave with a page to tell later whether it has
// changed. Empty ones are not sent.
type Validators struct {
	ETag         string
	LastModified string
}

// Target is a page to fetch, and what binds its fetch.
type Target struct {
	URL string
	// Scope holds the page and each redirect on the way to it.
	Scope Scope
	// Robots is asked about the page and each redirect on the way to it.
	Robots Robots
	// Validators of the last fetch make it conditional.
	Validators Validators
}

// Page is the outcome of one fetch. Reason always says what it came to; the
// fields of content are set for ReasonIndexed, ReasonNoIndex and ReasonEmpty.
type Page struct {
	// URL is the canonical URL asked for, FinalURL the one after redirects.
	URL      string
	FinalURL string
	// Status is the last HTTP status, 0 if there was no answer.
	Status      int
	NotModified bool
	Validators

	Title string
	// Markdown is the main text: headings (with "{#id}" behind those that can
	// be linked to), lists, tables and code blocks; no links, no images.
	Markdown string
	// Hash is the SHA-256 of Markdown in hexadecimal; "" when there is none.
	Hash string
	// Links are the canonical URLs that the page links to and lets be
	// followed, each once, in order; other sites' are among them.
	Links []string
	// NoIndex is set when the page asks not to be indexed.
	NoIndex bool
	// CanonicalURL is what the page names as its own URL; "" when it names
	// none.
	CanonicalURL string

	// Reason is ReasonIndexed for a page worth indexing, ReasonUnchanged for
	// one that is as it was, and otherwise why there is nothing to index.
	Reason schemas.PageReason
	// Detail says more about Reason, in words for the source's owner.
	Detail string
	// RetryAfter is the pause the server asks for, at most an hour; 0: none.
	RetryAfter time.Duration
	// Transient is set when a later fetch may well do better.
	Transient bool
}

// maxRetryAfter bounds the pause that a server can ask for.
const maxRetryAfter = time.Hour

// Fetch reads a page. It does not fail: Page.Reason says what went wrong.
func (f *Fetcher) Fetch(ctx context.Context, t Target) Page {
	page := Page{URL: t.URL, FinalURL: t.URL}
	canonical, err := Canonical(t.URL)
	if err != nil {
		return page.end(schemas.ReasonTrap, err.Error())
	}
	page.URL, page.FinalURL = canonical, canonical
	ctx, cancel := context.WithTimeout(ctx, f.cfg.PageTimeout)
	defer cancel()
	header := conditional(t.Validators)
	for range f.cfg.Redirects + 1 {
		if reason := t.refuses(page.FinalURL); reason != "" {
			return page.end(reason, page.FinalURL)
		}
		resp, err := f.get(ctx, page.FinalURL, header)
		if err != nil {
			return page.failed(err)
		}
		page.Status = resp.StatusCode
		next, redirected := location(resp, page.FinalURL)
		if !redirected {
			return f.read(page, resp)
		}
		discard(resp)
		page.FinalURL = next
	}
	return page.failed(errRedirects)
}

// refuses is the reason not to ask for a URL, "" if there is none.
func (t Target) refuses(canonical string) schemas.PageReason {
	switch {
	case !t.Scope.Contains(canonical):
		return schemas.ReasonScope
	case Trap(canonical):
		return schemas.ReasonTrap
	case !t.Robots.Allowed(canonical):
		return schemas.ReasonRobots
	}
	return ""
}

func conditional(v Validators) http.Header {
	h := http.Header{"Accept": {"text/html,application/xhtml+xml,text/markdown;q=0.9,text/plain;q=0.8"}}
	if v.ETag != "" {
		h.Set("If-None-Match", v.ETag)
	}
	if v.LastModified != "" {
		h.Set("If-Modified-Since", v.LastModified)
	}
	return h
}

// get sends one request; the caller closes the body.
func (f *Fetcher) get(ctx context.Context, target string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", f.cfg.UserAgent)
	// Set by hand so that Go's transport leaves bodies as they were sent and
	// the limits see the bytes on the wire.
	req.Header.Set("Accept-Encoding", outbound.AcceptEncoding)
	return f.transport.RoundTrip(req)
}

// location is where an answer redirects to. A target that is no URL ends the
// chain: the 3xx itself is the answer.
func location(resp *http.Response, base string) (string, bool) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		next, err := resolve(resp.Header.Get("Location"), base)
		return next, err == nil
	}
	return "", false
}

func discard(resp *http.Response) {
	_ = resp.Body.Close() // nothing of it is wanted
}

// read turns the last answer into the page's outcome.
func (f *Fetcher) read(page Page, resp *http.Response) Page {
	page.ETag = headerValue(resp, "ETag")
	page.LastModified = headerValue(resp, "Last-Modified")
	page.RetryAfter = retryAfter(resp)
	switch {
	case resp.StatusCode == http.StatusNotModified:
		discard(resp)
		page.NotModified = true
		return page.end(schemas.ReasonUnchanged, "")
	case resp.StatusCode != http.StatusOK:
		discard(resp)
		page.Transient = mendable(resp.StatusCode)
		return page.end(schemas.ReasonStatus, strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))))
	}
	declared := declaredType(resp.Header.Get("Content-Type"))
	if declared != "" && !readable(declared) {
		discard(resp)
		return page.end(schemas.ReasonType, declared)
	}
	body, err := outbound.ReadBody(resp, f.cfg.Page)
	if err != nil {
		return page.failed(err)
	}
	return page.content(resp.Header, body)
}

// mendable reports whether a status may be another one later.
func mendable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status != http.StatusNotImplemented
}

// maxHeaderValue bounds what of a server's validators is kept and sent back.
const maxHeaderValue = 1024

func headerValue(resp *http.Response, name string) string {
	if v := resp.Header.Get(name); len(v) <= maxHeaderValue {
		return v
	}
	return ""
}

func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}

func (p Page) end(reason schemas.PageReason, detail string) Page {
	p.Reason, p.Detail = reason, detail
	return p
}

// failed is the page whose fetch ended in an error. The error's own text may
// name addresses inside the operator's network, so that only its kind is told.
func (p Page) failed(err error) Page {
	reason, detail, transient := failure(err)
	p.Transient = transient
	return p.end(reason, detail)
}

// Failure says why a host or page could not be read, by the error of a
// request for it.
func Failure(err error) (reason schemas.PageReason, detail string) {
	reason, detail, _ = failure(err)
	return reason, detail
}

func failure(err error) (reason schemas.PageReason, detail string, transient bool) {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, outbound.ErrBlocked):
		return schemas.ReasonBlocked, "the address is not allowed", false
	case errors.Is(err, outbound.ErrTooLarge):
		return schemas.ReasonTooBig, "the page is larger than the limit", false
	case errors.Is(err, outbound.ErrTooSlow):
		return schemas.ReasonNetwork, "the page came too slowly", true
	case errors.Is(err, outbound.ErrEncoding):
		return schemas.ReasonNetwork, "the page's encoding could not be read", false
	case errors.Is(err, errRedirects):
		return schemas.ReasonNetwork, "too many redirects", false
	case errors.Is(err, context.Canceled):
		return schemas.ReasonNetwork, "the fetch was cancelled", true
	case errors.As(err, &timeout) && timeout.Timeout():
		return schemas.ReasonNetwork, "no answer in time", true
	}
	return schemas.ReasonNetwork, "the connection failed", true
}
