package outbound

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// ErrRedirects is in the chain of the error of a request that was redirected
// more often than its client follows.
var ErrRedirects = errors.New("too many redirects")

// ClientConfig is what may differ between clients. The zero value is a client
// for tools: a fresh connection for each request, no redirects.
type ClientConfig struct {
	// Timeout bounds a whole exchange, the reading of the body included.
	// Default 15 minutes; callers bound shorter by the request's context.
	Timeout time.Duration
	// ConnectTimeout bounds each of connecting (names resolved included) and
	// the TLS handshake. Default 10 s.
	ConnectTimeout time.Duration
	// MaxHeaderBytes bounds the head of an answer. Default 64 KB.
	MaxHeaderBytes int64
	// Redirects is how many are followed. Default 0: the 3xx itself is the
	// answer. Each hop is checked as the first request was, and leaves behind
	// every header but Accept, Accept-Language, Accept-Encoding and
	// User-Agent once the scheme, host or port has changed.
	Redirects int
	// KeepAlive lets connections serve several requests. Default false. Go
	// sends a request a second time when a kept connection breaks under it
	// (any without a body, any with an Idempotency-Key), so this is only for
	// reading pages.
	KeepAlive bool
	// TLS is the base of the TLS configuration. Default: the system's roots,
	// TLS 1.2 and up.
	TLS *tls.Config
	// Resolver resolves names. Default: the system's.
	Resolver *net.Resolver
}

// Client makes a client that dials only what the policy allows. It speaks
// HTTP/1.1, uses no proxy (the guard would see only the proxy's address) and
// leaves bodies as they were sent: read them with ReadBody. Unless
// cfg.KeepAlive is set, it never sends a request twice: Go repeats requests
// only on connections that served one before.
func (p *Policy) Client(cfg ClientConfig) *http.Client {
	connect := cmp.Or(cfg.ConnectTimeout, 10*time.Second)
	d := &dialer{policy: p, resolver: cfg.Resolver, timeout: connect}
	return &http.Client{
		Timeout:       cmp.Or(cfg.Timeout, 15*time.Minute),
		CheckRedirect: checkRedirect(cfg.Redirects),
		Transport: &guard{policy: p, next: &http.Transport{
			Proxy:                  nil,
			DialContext:            d.dial,
			TLSClientConfig:        tlsConfig(cfg.TLS),
			TLSHandshakeTimeout:    connect,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2
			DisableKeepAlives:      !cfg.KeepAlive,
			DisableCompression:     true,
			MaxResponseHeaderBytes: cmp.Or(cfg.MaxHeaderBytes, 64<<10),
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
		}},
	}
}

func tlsConfig(base *tls.Config) *tls.Config {
	if base == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c := base.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// guard refuses, on every hop, URLs that no client of this package fetches.
type guard struct {
	policy *Policy
	next   *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkURL(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // RoundTrip owes it, and the refusal says more
		}
		return nil, err
	}
	return g.next.RoundTrip(req)
}

// CloseIdleConnections lets http.Client close what it keeps.
func (g *guard) CloseIdleConnections() { g.next.CloseIdleConnections() }

func checkURL(req *http.Request) error {
	switch u := req.URL; {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: only http and https are", ErrBlocked)
	case u.User != nil:
		return fmt.Errorf("%w: it holds a user or password", ErrBlocked)
	case u.Hostname() == "":
		return fmt.Errorf("%w: it has no host", ErrBlocked)
	}
	return nil
}

func checkRedirect(limit int) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if limit == 0 {
			return http.ErrUseLastResponse
		}
		if len(via) > limit {
			return ErrRedirects
		}
		req.Header.Del("Referer")
		// Go copies the first request's headers to each hop anew, so the way
		// back to the first host must be judged by the hops between.
		if slices.ContainsFunc(append(via[1:len(via):len(via)], req), func(hop *http.Request) bool {
			return hop.URL.Scheme != via[0].URL.Scheme || hop.URL.Host != via[0].URL.Host
		}) {
			stripHeaders(req.Header)
		}
		return nil
	}
}

func stripHeaders(h http.Header) {
	for name := range h {
		switch name {
		case "Accept", "Accept-Language", "Accept-Encoding", "User-Agent":
		default:
			delete(h, name)
		}
	}
}
