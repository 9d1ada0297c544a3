package crawl

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRobotsRules holds RFC 9309's rules of matching, section by section.
func TestRobotsRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		robots        string
		allowed, held string // paths, separated by spaces
	}{
		"no rules":                  {"", "/ /a", ""},
		"disallow all":              {"User-agent: *\nDisallow: /", "/robots.txt", "/ /a /a?b"},
		"empty disallow":            {"User-agent: *\nDisallow:", "/ /a", ""},
		"prefix":                    {"User-agent: *\nDisallow: /fish", "/ /Fish /catfish", "/fish /fish.html /fishheads/a /fish?id=1"},
		"folder":                    {"User-agent: *\nDisallow: /fish/", "/fish /fish.html", "/fish/ /fish/a /fish/?id=1"},
		"longest wins":              {"User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/b /a/bc", "/a /a/c"},
		"longest wins, other order": {"User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b", "/a/c"},
		"equal: allow wins":         {"User-agent: *\nDisallow: /folder\nAllow: /folder", "/folder/page", ""},
		"wildcard":                  {"User-agent: *\nDisallow: /*.php", "/index.html /a.PHP", "/index.php /a/b.php?x /a.php.html"},
		"wildcard stands at start":  {"User-agent: *\nDisallow: /a*b", "/x/ab /xa/b", "/ab /axxb /a/b/c"},
		"end":                       {"User-agent: *\nDisallow: /*.php$", "/a.php?x /a.php5 /a", "/a.php /b/a.php"},
		"end without wildcard":      {"User-agent: *\nDisallow: /$", "/a", "/"},
		"end repeats":               {"User-agent: *\nDisallow: /ab*ab$", "/ab", "/abab /abxab /ababab"},
		"dollar inside is a letter": {"User-agent: *\nDisallow: /a$b", "/a", "/a$b /a%24b"},
		"escaped star is a letter":  {"User-agent: *\nDisallow: /a%2Ab", "/axb", "/a*b /a%2ab"},
		"percent-encoding":          {"User-agent: *\nDisallow: /foo/bar/%62%61%7A", "/foo/bar/b", "/foo/bar/baz /foo/bar/%62az"},
		"UTF-8 in the rule":         {"User-agent: *\nDisallow: /ツ", "/x", "/%E3%83%84 /%e3%83%84/a"},
		"escaped slash is another":  {"User-agent: *\nDisallow: /a%2fb", "/a/b", "/a%2Fb"},
		"our group":                 {"User-agent: *\nDisallow: /\n\nUser-agent: Runa\nDisallow: /x", "/ /a", "/x"},
		"our group in any case":     {"user-agent: rUnA/2.0\ndisallow: /x", "/a", "/x"},
		"not ours":                  {"User-agent: Runabot\nDisallow: /\n\nUser-agent: ru\nDisallow: /", "/ /a", ""},
		"groups of one agent":       {"User-agent: runa\nDisallow: /a\n\nUser-agent: other\nDisallow: /b\n\nUser-agent: runa\nDisallow: /c", "/b", "/a /c"},
		"several agents, one group": {"User-agent: x\nUser-agent: runa\nDisallow: /a", "/b", "/a"},
		"our group without rules":   {"User-agent: *\nDisallow: /\n\nUser-agent: runa\n", "/ /a", ""},
		"rules before any agent":    {"Disallow: /a\nUser-agent: *\nDisallow: /b", "/a", "/b"},
		"bad lines are skipped":     {"User-agent: *\nnonsense\nCrawl-delay: soon\nDisallow /c\nDisallow: /b", "/c", "/b"},
		"comments and blanks":       {" # x\nUser-agent : * # all\n\tDisallow:\t/b # no", "/a", "/b"},
		"carriage returns":          {"User-agent: *\rDisallow: /a\r\nDisallow: /b", "/c", "/a /b"},
		"byte order mark":           {"\xef\xbb\xbfUser-agent: *\nDisallow: /a", "/b", "/a"},
		"sitemap inside a group":    {"User-agent: x\nSitemap: https://example.com/s.xml\nUser-agent: runa\nDisallow: /a", "/b", "/a"},
		"query":                     {"User-agent: *\nDisallow: /*?sort=", "/list /list?page=1", "/list?sort=a"},
		"a web page":                {"<!doctype html><pre>User-agent: *\nDisallow: /</pre>", "/ /a", ""},
		"NULs":                      {"User-agent: *\nDisallow: /a\x00b\n\x00\x01\x02", "/a", ""},
	} {
		r := ParseRobots(http.StatusOK, []byte(c.robots))
		for _, path := range strings.Fields(c.allowed) {
			require.True(t, r.Allowed("https://example.com"+path), "%s: %s", name, path)
		}
		for _, path := range strings.Fields(c.held) {
			require.False(t, r.Allowed("https://example.com"+path), "%s: %s", name, path)
		}
	}
}

func TestRobotsStatus(t *testing.T) {
	t.Parallel()
	all := []byte("User-agent: *\nDisallow: /")
	for status, c := range map[int]struct{ allowed, unavailable bool }{
		200: {false, false}, 204: {false, false}, 301: {true, false}, 401: {true, false}, 403: {true, false},
		404: {true, false}, 410: {true, false}, 429: {false, true}, 500: {false, true}, 503: {false, true}, 0: {false, true},
	} {
		r := ParseRobots(status, all)
		require.Equal(t, c.allowed, r.Allowed("https://example.com/a"), status)
		require.Equal(t, c.unavailable, r.Unavailable(), status)
	}
	require.True(t, Robots{}.Allowed("https://example.com/a"))
	require.False(t, Robots{}.Allowed("not a URL"))
}

func TestRobotsCrawlDelay(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"2": 2 * time.Second, "0.5": 500 * time.Millisecond, "86400": time.Minute, "Inf": time.Minute,
		"-1": 0, "NaN": 0, "x": 0, "": 0,
	} {
		r := ParseRobots(http.StatusOK, []byte("User-agent: *\nCrawl-delay: "+value))
		require.Equal(t, want, r.CrawlDelay(), value)
	}
}

func TestRobotsSitemaps(t *testing.T) {
	t.Parallel()
	r := ParseRobots(http.StatusOK, []byte("Sitemap: https://example.com/a.xml\nsitemap: /relative.xml\n"+
		strings.Repeat("Sitemap: https://example.com/b.xml\n", 100)))
	require.Len(t, r.Sitemaps(), maxRobotsSitemaps)
	require.Equal(t, "https://example.com/a.xml", r.Sitemaps()[0])
}

// TestRobotsSize reads 500 KiB, and no rule that only the cut made.
func TestRobotsSize(t *testing.T) {
	t.Parallel()
	start := "User-agent: *\nDisallow: /first\n"
	line := "Disallow: /" + strings.Repeat("x", 88) + "\n"
	body := start + strings.Repeat(line, (maxRobotsBytes-len(start))/len(line)) + "Disallow: /last\nDisallow: /" + line
	require.Greater(t, len(body), maxRobotsBytes)
	r := ParseRobots(http.StatusOK, []byte(body))
	require.False(t, r.Allowed("https://example.com/first"))
	require.True(t, r.Allowed("https://example.com/second"))
}

// TestRobotsHostilePatterns answers within a moment for a file made to be slow.
func TestRobotsHostilePatterns(t *testing.T) {
	t.Parallel()
	line := "Disallow: /" + strings.Repeat("*a", 40) + "b\n"
	r := ParseRobots(http.StatusOK, []byte("User-agent: *\n"+strings.Repeat(line, maxRobotsBytes/len(line))))
	start := time.Now()
	require.True(t, r.Allowed("https://example.com/"+strings.Repeat("a", 2000)))
	require.Less(t, time.Since(start), 2*time.Second)
}

func FuzzParseRobots(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /*a$\nAllow: /%zz\nCrawl-delay: 1e9"), "https://example.com/a")
	f.Add([]byte("User-agent: runa\nDisallow: **$\nDisallow: $"), "https://example.com/a?b=*$")
	f.Fuzz(func(_ *testing.T, body []byte, target string) {
		r := ParseRobots(http.StatusOK, body)
		_ = r.Allowed(target)
	})
}
