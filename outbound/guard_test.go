package outbound_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/outbound"
)

// innerAddresses are the first, the last or a known address of every range
// that is private or special, and the ways to write them inside IPv6.
var innerAddresses = []string{
	"0.0.0.0", "0.0.0.1", "0.255.255.255",
	"10.0.0.0", "10.0.0.1", "10.255.255.255",
	"100.64.0.0", "100.100.100.200", "100.127.255.255",
	"127.0.0.1", "127.0.0.2", "127.1.1.1", "127.255.255.254",
	"169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.123", "169.254.255.255",
	"168.63.129.16",
	"172.16.0.0", "172.17.0.1", "172.31.255.255",
	"192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1",
	"192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1",
	"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::2",
	"::127.0.0.1", "::10.0.0.1", "::169.254.169.254",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:7f00:1",
	"0:0:0:0:0:ffff:7f00:0001", "::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "64:ff9b:1::7f00:1",
	"100::1", "100:0:0:1::1",
	"2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
	"2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1",
	"2001:db8::1", "2001:db8:ffff::1",
	"2002::1", "2002:7f00:1::", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:a00:1::1",
	"2620:4f:8000::1", "3fff::1", "3fff:fff::1", "5f00::1",
	"fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fdff:ffff::1",
	"fe80::1", "fe80::1%25lo", "fe80::a9fe:a9fe%25eth0", "febf::1", "fec0::1", "feff::1",
	"ff00::1", "ff02::1", "ff0e::1", "4000::1", "8000::1", "e000::1",
}

// innerSpellings reach loopback, or would if somebody read them so.
var innerSpellings = []string{
	"2130706433", "017700000001", "0x7f000001", "0x7F000001", "0X7f000001", "0x7f.1", "0x7f.0.0.1", "0x7f.0x0.0x0.0x1",
	"127.1", "127.0.1", "0", "0.0", "0177.0.0.1", "0177.1", "127.0.0.01", "127.000.000.001", "1.1.1.127.0.0.1",
	"127.0.0.1.", "127.0.0.1.example.1", "3232235777", "0xa9fea9fe", "2852039166", "169.254.43518", "256.256.256.256", "4294967296",
	"１２７.０.０.１", "１２７。０。０。１", "127。0。0。1", "①②⑦.⓪.⓪.①", "⑯⑨。②⑤④。⑯⑨。②⑤④",
	"localhost", "LOCALHOST", "localhost.", "ｌｏｃａｌｈｏｓｔ",
}

// innerURLs are refused for what they are, before any name is resolved.
func innerURLs(port string) []string {
	return []string{
		"http://user@127.0.0.1:" + port, "http://user:password@127.0.0.1:" + port,
		"http://public.test@127.0.0.1:" + port, "http://public.test:80@127.0.0.1:" + port + "/",
		"http://127.0.0.1:" + port + "@public.test/", "http://@127.0.0.1:" + port,
		"ftp://127.0.0.1:" + port, "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/_x", "unix:///run/docker.sock",
		"ws://127.0.0.1:" + port, "HTTP+unix://127.0.0.1:" + port, "data:text/plain,x", "http:///etc/passwd", "http://:" + port + "/",
	}
}

// canary counts the connections that reach this machine on a port, by any of
// its addresses.
type canary struct {
	port string
	hits atomic.Int64
}

func mustCanary(t testing.TB) *canary {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	c := &canary{port: port}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.hits.Add(1)
			_ = conn.Close()
		}
	}()
	return c
}

func mustPolicy(t testing.TB, allow ...string) *outbound.Policy {
	t.Helper()
	p, err := outbound.NewPolicy(allow)
	require.NoError(t, err)
	return p
}

func hostOf(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

func innerTargets(port string) []string {
	var urls []string
	for _, a := range innerAddresses {
		urls = append(urls, "http://"+hostOf(a)+":"+port+"/")
	}
	for _, s := range innerSpellings {
		urls = append(urls, "http://"+s+":"+port+"/")
	}
	return append(urls, innerURLs(port)...)
}

func requireRefused(t *testing.T, client *http.Client, target string) {
	t.Helper()
	resp, err := client.Get(target)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err, target)
	require.ErrorIs(t, err, outbound.ErrBlocked, target)
}

// loopbackResolver says that every name is this machine: a canary is hit
// unless the dial itself is refused.
func loopbackResolver(t testing.TB) *net.Resolver {
	return mustResolver(t, func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	})
}

func TestInsideIsRefused(t *testing.T) {
	t.Parallel()
	canary := mustCanary(t)
	client := mustPolicy(t).Client(outbound.ClientConfig{Resolver: loopbackResolver(t), ConnectTimeout: 2 * time.Second})
	targets := innerTargets(canary.port)
	require.GreaterOrEqual(t, len(targets), 140)
	for _, target := range targets {
		requireRefused(t, client, target)
	}
	require.Zero(t, canary.hits.Load())
	t.Logf("%d vectors, %d connections", len(targets), canary.hits.Load())
}

func TestNamesOfTheInsideAreRefused(t *testing.T) {
	t.Parallel()
	canary := mustCanary(t)
	resolver := mustResolver(t, func(name string) []netip.Addr {
		var i int
		if _, err := fmt.Sscanf(name, "v%d.inner.test", &i); err != nil {
			return nil
		}
		return []netip.Addr{netip.MustParseAddr(strings.Split(innerAddresses[i], "%")[0])}
	})
	client := mustPolicy(t).Client(outbound.ClientConfig{Resolver: resolver, ConnectTimeout: 2 * time.Second})
	for i, addr := range innerAddresses {
		target := fmt.Sprintf("http://v%d.inner.test:%s/", i, canary.port)
		resp, err := client.Get(target)
		if err == nil {
			_ = resp.Body.Close()
		}
		require.ErrorIs(t, err, outbound.ErrBlocked, addr)
		require.Equal(t, fmt.Sprintf("Get %q: the address is not allowed", target), err.Error(), "the same for each address")
	}
	require.Zero(t, canary.hits.Load())
}

func TestRedirectsToTheInsideAreRefused(t *testing.T) {
	t.Parallel()
	canary := mustCanary(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(server.Close)
	client := mustPolicy(t, server.Listener.Addr().String()).Client(outbound.ClientConfig{
		Redirects: 5, Resolver: loopbackResolver(t), ConnectTimeout: 2 * time.Second,
	})
	for _, target := range innerTargets(canary.port) {
		if _, err := url.Parse(target); err != nil {
			continue // net/http refuses the Location itself
		}
		requireRefused(t, client, server.URL+"/?to="+url.QueryEscape(target))
	}
	require.Zero(t, canary.hits.Load())
}

func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	canary := mustCanary(t)
	var asked atomic.Int64
	resolver := mustResolver(t, func(string) []netip.Addr {
		if asked.Add(1)%2 == 0 {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	client := mustPolicy(t).Client(outbound.ClientConfig{Resolver: resolver, ConnectTimeout: 2 * time.Second})
	for range 200 {
		requireRefused(t, client, "http://rebind.test:"+canary.port+"/")
	}
	require.Zero(t, canary.hits.Load())
}

func TestMixedAnswersReachOnlyWhatIsAllowed(t *testing.T) {
	t.Parallel()
	canary := mustCanary(t)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	resolver := mustResolver(t, func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("127.0.0.1")}
	})
	client := mustPolicy(t, "127.0.0.1").Client(outbound.ClientConfig{Resolver: resolver})
	resp, err := client.Get(fmt.Sprintf("http://mixed.test:%d/", port))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	requireRefused(t, client, "http://[::1]:"+canary.port+"/")
	require.Zero(t, canary.hits.Load())
}

func TestPublicAddressesPass(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t)
	for _, a := range []string{
		"8.8.8.8:443", "1.1.1.1:80", "100.63.255.255:80", "100.128.0.0:80", "172.15.255.255:80", "172.32.0.0:8080", "192.0.1.1:80",
		"198.17.255.255:80", "198.20.0.0:80", "223.255.255.255:80", "[::ffff:8.8.8.8]:80", "[2606:4700::1]:443", "[2a00:1450::1]:443", "[2001:4860::8888]:53",
	} {
		require.NoError(t, outbound.CheckAddr(p, netip.MustParseAddrPort(a)), a)
	}
}
