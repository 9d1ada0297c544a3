package outbound_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/outbound"
)

func TestAllowEntries(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	resolver := loopbackResolver(t)
	for _, c := range []struct {
		entry, host string
		ok          bool
	}{
		{"127.0.0.0/8", "127.0.0.1", true},
		{"127.0.0.5/8", "127.0.0.1", true},
		{"127.0.0.0/8", "[::ffff:127.0.0.1]", true},
		{"127.0.0.0/8", "any.test", true},
		{"10.0.0.0/8", "127.0.0.1", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.1.", false},
		{"127.0.0.1", "2130706433", false},
		{"127.0.0.2", "127.0.0.1", false},
		{fmt.Sprintf("127.0.0.1:%d", port), "127.0.0.1", true},
		{"127.0.0.1:1", "127.0.0.1", false},
		{fmt.Sprintf(" 127.0.0.1:%d ", port), "any.test", true},
		{"tools.internal", "tools.internal", true},
		{"Tools.Internal.", "tools.internal", true},
		{"tools.internal", "TOOLS.internal.", true},
		{"tools.internal", "other.internal", false},
		{"tools.internal", "a.tools.internal", false},
		{"internal", "tools.internal", false},
		{"tools.internal", "127.0.0.1", false},
		{fmt.Sprintf("tools.internal:%d", port), "tools.internal", true},
		{"tools.internal:1", "tools.internal", false},
	} {
		client := mustPolicy(t, c.entry).Client(outbound.ClientConfig{Resolver: resolver})
		resp, err := client.Get(fmt.Sprintf("http://%s:%d/", c.host, port))
		if !c.ok {
			require.ErrorIs(t, err, outbound.ErrBlocked, "%s with %s", c.host, c.entry)
			continue
		}
		require.NoError(t, err, "%s with %s", c.host, c.entry)
		require.NoError(t, resp.Body.Close())
	}
}

func TestAllowEntriesOfIPv6(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, "fd00::/8", "::1", "[fd12::7]:81", "[fe80::1]:82", "[64:ff9b::7f00:1]:80")
	for address, ok := range map[string]bool{
		"[fd00::1]:80": true, "[fc00::1]:80": false, "[::1]:8080": true, "[::2]:80": false,
		"[fe80::1%lo]:82": true, "[fe80::1]:83": false, "[64:ff9b::7f00:1]:80": true, "[64:ff9b::7f00:1]:81": false,
	} {
		err := outbound.CheckAddr(p, netip.MustParseAddrPort(address))
		require.Equal(t, ok, err == nil, address)
	}
}

func TestInvalidAllowEntries(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", " ", "10.0.0.0/33", "10.0.0/8", "::ffff:10.0.0.0/104", "http://tools.internal", "tools.internal/path", "user@tools.internal",
		"tools.internal:0", "tools.internal:65536", "tools.internal:http", "tools.internal:", ":80", "[::1]", "*.internal", "tools..internal",
		"-tools.internal", "127.1", "0x7f.1", "2130706433", "tool s", "bücher.de",
	} {
		_, err := outbound.NewPolicy([]string{"10.0.0.0/8", entry})
		require.Error(t, err, "%q", entry)
		require.Contains(t, err.Error(), "is not a CIDR (10.0.0.0/8)", "%q", entry)
	}
	_, err := outbound.NewPolicy([]string{"http://x"})
	require.ErrorContains(t, err, `"http://x"`)
}

func FuzzNewPolicy(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::1", "[::1]:80", "tools.internal:80", "127.1"} {
		f.Add(s)
	}
	loopback := netip.MustParseAddrPort("127.0.0.1:80")
	f.Fuzz(func(t *testing.T, entry string) {
		p, err := outbound.NewPolicy([]string{entry})
		if err != nil || strings.Contains(entry, "/") {
			return
		}
		if outbound.CheckAddr(p, loopback) == nil {
			require.Regexp(t, `127\.0\.0\.1|7[fF]00:0*1`, entry, "only the address itself or a CIDR opens it")
		}
	})
}
