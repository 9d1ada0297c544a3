package crawl

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

func TestSpacesAroundInlineElementsSurvive(t *testing.T) {
	t.Parallel()
	page := `<html><body><article><h1>Export</h1><p>Some words so that the page has a text that is long enough to be
	the main text of a page, whatever an extractor thinks of it, and then some more of them.</p>
	<ol><li>Select the <strong>…</strong> menu in its upper right corner, then <strong>Export</strong>.</li>
	<li>Choose <strong>CSV</strong> and the <em>period</em> of it, or run <code>export --all</code> instead.</li></ol></article></body></html>`
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	text := mainMarkdown(doc, &url.URL{Scheme: "https", Host: "example.com"})
	require.Contains(t, text, "Select the **…** menu in its upper right corner, then **Export**.")
	require.Contains(t, text, "Choose **CSV** and the *period* of it, or run `export --all` instead.")
}
