package crawl

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"HTTP://Example.COM":                              "http://example.com/",
		"https://example.com:443/a":                       "https://example.com/a",
		"http://example.com:80/a":                         "http://example.com/a",
		"http://example.com:8080/a":                       "http://example.com:8080/a",
		"https://example.com./a":                          "https://example.com/a",
		"https://example.com/a#part":                      "https://example.com/a",
		"https://example.com/a?":                          "https://example.com/a",
		"https://example.com/a/../b/./c":                  "https://example.com/b/c",
		"https://example.com/a/%2e%2E/b":                  "https://example.com/b",
		`https://example.com\a\b`:                         "https://example.com/a/b",
		"  https://exa\nmple.com/a\t ":                    "https://example.com/a",
		"https://example.com/%7euser/%c3%a4/%2f":          "https://example.com/~user/%C3%A4/%2F",
		"https://example.com/ä b":                         "https://example.com/%C3%A4%20b",
		"https://bücher.example/":                         "https://xn--bcher-kva.example/",
		"http://ⓔxample.com/":                             "http://example.com/",
		"http://0x7f.1/":                                  "http://127.0.0.1/",
		"https://example.com/a?b=2&a=1&b=1":               "https://example.com/a?a=1&b=2&b=1",
		"https://example.com/a?utm_source=x&UTM_Medium=y": "https://example.com/a",
		"https://example.com/a?gclid=1&fbclid=2&id=3":     "https://example.com/a?id=3",
		"https://example.com/a?PHPSESSID=1&sid=2&side=3":  "https://example.com/a?side=3",
		"https://example.com/a;jsessionid=1A2B?x=1":       "https://example.com/a?x=1",
		"https://example.com/a;v=1;JSESSIONID=2/b":        "https://example.com/a;v=1/b",
		"https://example.com/a/..;jsessionid=1/b":         "https://example.com/b",
		"https://example.com/a?%75tm_source=x":            "https://example.com/a",
		"https://example.com/a?&&x=1&":                    "https://example.com/a?x=1",
		"https://example.com/100%":                        "https://example.com/100%",
		"https://example.com/a?utm_x=" + longRun(3000):    "https://example.com/a",
	} {
		got, err := Canonical(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "example.com", "/a", "ftp://example.com/", "javascript:alert(1)", "mailto:a@example.com", "file:///etc/passwd",
		"https://user@example.com/", "https://user:secret@example.com/", "https://", "https://./", "http://[::1",
		"https://example.com:99999/", "https://exa mple.com/",
		"https://example.com/" + longRun(2048), "https://example.com/" + longRun(1<<20),
	} {
		_, err := Canonical(in)
		require.Error(t, err, "%.60q", in)
	}
}

func longRun(n int) string { return strings.Repeat("a", n) }

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/a/../b?b=1&a=2#c", "http://a/..;jsessionid=1/%2e", "http://a/%zz%", "http://[::1]:80/?%26=&",
		"http://a/;sid=1;/..;sid=/.", "http://ä.example/?sid", "http://a/\x00\xff", "http://1.2.3.4./",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, err := Canonical(in)
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		require.NoError(t, err)
		require.Equal(t, once, twice)
		require.NotContains(t, once, "#")
		_ = Trap(once)
		scope, err := NewScope(once)
		require.NoError(t, err)
		require.True(t, scope.Contains(once))
	})
}

func TestTrap(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"https://example.com/":                      false,
		"https://example.com/a/b/a/b/a/b":           false,
		"https://example.com/a/b/a/b/a/b/a":         true,
		"https://example.com/en/en/en/en/":          true,
		"https://example.com/" + longRun(3000):      true,
		"not a URL":                                 true,
		"https://example.com/2026/2026/2026/page":   false,
		"https://example.com/cal?m=1&m=1&m=1&m=1":   false,
		"https://example.com//////////a":            false,
		"https://example.com/docs/docs/x/docs/docs": true,
	} {
		require.Equal(t, want, Trap(in), "%.60q", in)
	}
}

func TestPathKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, "example.com/a", PathKey("https://example.com/a?x=1"))
	require.Equal(t, PathKey("http://example.com/a?x=2"), PathKey("https://example.com/a"))
	require.NotEqual(t, PathKey("https://example.com/a"), PathKey("https://example.com/b"))
}

func TestScope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		root, url string
		in        bool
	}{
		{"https://example.com", "https://example.com/any/page", true},
		{"https://example.com", "http://example.com/any", true},
		{"https://example.com", "https://EXAMPLE.com:443/any", true},
		{"https://example.com", "https://www.example.com/any", true},
		{"https://www.example.com/help", "https://example.com/help/x", true},
		{"https://example.com", "https://www.example.com:8443/", false},
		{"https://example.com", "https://docs.example.com/", false},
		{"https://example.com", "https://example.com.evil.example/", false},
		{"https://example.com", "https://example.com:8443/", false},
		{"http://127.0.0.1:8080/", "http://127.0.0.1:8080/a", true},
		{"http://127.0.0.1:8080/", "http://127.0.0.1:8081/a", false},
		{"https://example.com/help", "https://example.com/help", true},
		{"https://example.com/help", "https://example.com/help?x=1", true},
		{"https://example.com/help", "https://example.com/help/", true},
		{"https://example.com/help", "https://example.com/help/x/y", true},
		{"https://example.com/help", "https://example.com/helper", false},
		{"https://example.com/help", "https://example.com/help/../admin", false},
		{"https://example.com/help/", "https://example.com/help", true},
		{"https://example.com/docs/index.html", "https://example.com/docs/a.html", true},
		{"https://example.com/docs/index.html", "https://example.com/other/", false},
		{"https://example.com/docs/v1.2", "https://example.com/docs/v1.3", false},
		{"https://example.com/index.html", "https://example.com/a", true},
		{"https://example.com/", "mailto:a@example.com", false},
	} {
		scope, err := NewScope(c.root)
		require.NoError(t, err)
		require.Equal(t, c.in, scope.Contains(c.url), "%s in %s", c.url, c.root)
	}
	require.False(t, Scope{}.Contains("https://example.com/"))
	_, err := NewScope("ftp://example.com")
	require.Error(t, err)
}
