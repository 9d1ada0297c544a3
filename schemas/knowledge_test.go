package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

func TestSourceSpecValidate(t *testing.T) {
	t.Parallel()
	const site = "https://help.example.com/docs/"
	for _, ok := range []schemas.SourceSpec{
		{Type: "url", URL: site},
		{Type: "url", URL: "HTTP://127.0.0.1:8080", Name: strings.Repeat("n", 200)},
		{Type: "url", URL: "http://[::1]:80/"},
		{Type: "url", URL: site, Crawl: schemas.CrawlOptions{MaxPages: new(1), MaxDepth: new(0), DelayMs: new(0)}},
		{Type: "url", URL: site, Crawl: schemas.CrawlOptions{MaxPages: new(100_000), MaxDepth: new(100), DelayMs: new(60_000)}},
	} {
		require.NoError(t, ok.Validate(), "%+v", ok)
	}
	for _, c := range []struct {
		param string
		spec  schemas.SourceSpec
	}{
		{"type", schemas.SourceSpec{URL: site}},
		{"type", schemas.SourceSpec{Type: "file", URL: site}},
		{"url", schemas.SourceSpec{Type: "url"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "help.example.com"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "ftp://help.example.com"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "file:///etc/passwd"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "http:///path"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "http://:8080/"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "http://user:pass@help.example.com"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "http://h/%zz"}},
		{"url", schemas.SourceSpec{Type: "url", URL: "http://h/" + strings.Repeat("a", 2048)}},
		{"name", schemas.SourceSpec{Type: "url", URL: site, Name: strings.Repeat("n", 201)}},
		{"crawl.maxPages", schemas.SourceSpec{Type: "url", URL: site, Crawl: schemas.CrawlOptions{MaxPages: new(0)}}},
		{"crawl.maxPages", schemas.SourceSpec{Type: "url", URL: site, Crawl: schemas.CrawlOptions{MaxPages: new(100_001)}}},
		{"crawl.maxDepth", schemas.SourceSpec{Type: "url", URL: site, Crawl: schemas.CrawlOptions{MaxDepth: new(-1)}}},
		{"crawl.delayMs", schemas.SourceSpec{Type: "url", URL: site, Crawl: schemas.CrawlOptions{DelayMs: new(60_001)}}},
	} {
		requireInvalid(t, c.spec.Validate(), c.param)
	}
}

func TestCrawlOptionsDefaults(t *testing.T) {
	t.Parallel()
	var none schemas.CrawlOptions
	require.Equal(t, []int{1000, 10, 250}, []int{none.Pages(), none.Depth(), none.Delay()})
	zero := schemas.CrawlOptions{MaxPages: new(5), MaxDepth: new(0), DelayMs: new(0)}
	require.Equal(t, []int{5, 0, 0}, []int{zero.Pages(), zero.Depth(), zero.Delay()})
}

func TestSearchRequestValidate(t *testing.T) {
	t.Parallel()
	r := schemas.SearchRequest{Query: "q"}
	require.NoError(t, r.Validate())
	require.Equal(t, 8, r.Limit)
	r = schemas.SearchRequest{Query: strings.Repeat("q", 8192), Limit: 50, SourceIDs: make([]string, 100)}
	require.NoError(t, r.Validate())
	require.Equal(t, 50, r.Limit)
	for param, bad := range map[string][]schemas.SearchRequest{
		"query":     {{}, {Query: strings.Repeat("q", 8193)}},
		"limit":     {{Query: "q", Limit: -1}, {Query: "q", Limit: 51}},
		"sourceIds": {{Query: "q", SourceIDs: make([]string, 101)}},
	} {
		for _, r := range bad {
			requireInvalid(t, r.Validate(), param)
		}
	}
}
