package outbound_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/outbound"
)

const inside = "127.0.0.1" // allowed where a test needs a server

// mustCuttingServer answers the first request of each connection, and cuts the
// connection after it has read the second, or the first if answers is 0.
func mustCuttingServer(t testing.TB, answers int) (base string, requests *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	requests = &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go cutAfter(conn, answers, requests)
		}
	}()
	return "http://" + l.Addr().String(), requests
}

func cutAfter(conn net.Conn, answers int, requests *atomic.Int64) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for i := 0; ; i++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		requests.Add(1)
		if i >= answers {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func mustRequest(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, target, body)
	require.NoError(t, err)
	return req
}

func TestRequestsAreNeverReplayed(t *testing.T) {
	t.Parallel()
	client := mustPolicy(t, inside).Client(outbound.ClientConfig{})
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		base, requests := mustCuttingServer(t, 1)
		for i := range 2 { // two, so that a kept connection would be used again
			req := mustRequest(t, method, base, bytes.NewReader([]byte("{}")))
			req.Header.Set("Idempotency-Key", "key")
			resp, err := client.Do(req)
			require.NoError(t, err)
			_, err = outbound.ReadBody(resp, outbound.Limits{})
			require.NoError(t, err)
			require.EqualValues(t, i+1, requests.Load(), method)
		}

		base, requests = mustCuttingServer(t, 0)
		req := mustRequest(t, method, base, bytes.NewReader([]byte("{}")))
		req.Header.Set("Idempotency-Key", "key")
		_, err := client.Do(req)
		require.Error(t, err)
		require.EqualValues(t, 1, requests.Load(), method)
	}
}

// This is the reason for fresh connections: Go repeats what a kept connection
// broke under.
func TestKeptConnectionsReplay(t *testing.T) {
	t.Parallel()
	base, requests := mustCuttingServer(t, 1)
	client := mustPolicy(t, inside).Client(outbound.ClientConfig{KeepAlive: true})
	t.Cleanup(client.CloseIdleConnections)
	for range 2 {
		resp, err := client.Do(mustRequest(t, "GET", base, nil))
		require.NoError(t, err)
		_, err = outbound.ReadBody(resp, outbound.Limits{})
		require.NoError(t, err)
	}
	require.EqualValues(t, 3, requests.Load())
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	canary := mustCanary(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+canary.port)
	t.Setenv("http_proxy", "http://127.0.0.1:"+canary.port)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	resp, err := mustPolicy(t, "proxied.test").Client(outbound.ClientConfig{Resolver: loopbackResolver(t)}).
		Get("http://proxied.test:" + server.URL[strings.LastIndexByte(server.URL, ':')+1:])
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Zero(t, canary.hits.Load())
}

func TestRedirectLimits(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err == nil && n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		limit, hops, status int
		requests            int64
	}{
		{0, 0, 200, 1},
		{0, 1, 307, 1},
		{3, 3, 200, 4},
		{3, 4, 0, 4},
	} {
		requests.Store(0)
		resp, err := mustPolicy(t, inside).Client(outbound.ClientConfig{Redirects: c.limit}).Get(fmt.Sprintf("%s/%d", server.URL, c.hops))
		require.Equal(t, c.requests, requests.Load())
		if c.status == 0 {
			require.ErrorIs(t, err, outbound.ErrRedirects)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode)
	}
}

func TestHeadersStayWithTheirHost(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 8)
	var first, other *httptest.Server
	first = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		switch r.URL.Path {
		case "/start":
			http.Redirect(w, r, "/same", http.StatusFound)
		case "/same":
			http.Redirect(w, r, other.URL, http.StatusFound)
		}
	}))
	t.Cleanup(first.Close)
	other = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		http.Redirect(w, r, first.URL+"/back", http.StatusFound)
	}))
	t.Cleanup(other.Close)

	req := mustRequest(t, "GET", first.URL+"/start", nil)
	req.Header.Set("Accept", "text/html")
	req.Header.Set("X-Api-Key", "secret")
	req.Header.Set("Authorization", "secret")
	resp, err := mustPolicy(t, inside).Client(outbound.ClientConfig{Redirects: 5}).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	for i, kept := range []bool{true, true, false, false} {
		h := <-seen
		require.Equal(t, "text/html", h.Get("Accept"), i)
		require.Equal(t, kept, h.Get("X-Api-Key") == "secret", i)
		require.Equal(t, kept, h.Get("Authorization") == "secret", i)
		require.Empty(t, h.Get("Referer"), i)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	_, err := mustPolicy(t, inside).Client(outbound.ClientConfig{}).Get(server.URL)
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	resp, err := mustPolicy(t, inside).Client(outbound.ClientConfig{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}).Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 1, resp.ProtoMajor)
}

func TestHangingServersAreLeft(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	start := time.Now()
	client := mustPolicy(t, inside).Client(outbound.ClientConfig{Timeout: 100 * time.Millisecond})
	_, err = client.Get("http://" + l.Addr().String())
	var failed *url.Error
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Timeout())
	_, err = mustPolicy(t, inside).Client(outbound.ClientConfig{ConnectTimeout: 100 * time.Millisecond}).Get("https://" + l.Addr().String())
	require.ErrorContains(t, err, "TLS handshake timeout")
	require.Less(t, time.Since(start), 3*time.Second)
}

func TestLookupErrorsHideTheResolver(t *testing.T) {
	t.Parallel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", "127.0.0.1:1")
	}}
	client := mustPolicy(t).Client(outbound.ClientConfig{Resolver: resolver, ConnectTimeout: time.Second})
	_, err := client.Get("http://nowhere.test/")
	require.EqualError(t, err, `Get "http://nowhere.test/": lookup nowhere.test: lookup failed`)
}
