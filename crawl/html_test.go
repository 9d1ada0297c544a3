package crawl

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const pageURL = "https://example.com/docs/page"

func TestTitle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ head, body, want string }{
		{"<title>Export</title>", "", "Export"},
		{"<title>Export | Acme</title>", "<h1>Export</h1>", "Export"},
		{"<title>Acme - Export</title>", "<h1>Export</h1>", "Export"},
		{"<title>Export – Help | Acme</title>", "<h1>Export</h1>", "Export"},
		{"<title>Export | Acme</title>", "<h1>Another</h1>", "Export | Acme"},
		{`<title>Export | Acme</title><meta property="og:site_name" content="ACME">`, "", "Export"},
		{`<title>Read-only mode - Acme</title><meta property="og:site_name" content="Acme">`, "", "Read-only mode"},
		{`<title>x</title><meta property="og:title" content=" Export  data ">`, "", "Export data"},
		{"", "<h1></h1><h1>Export <em>data</em></h1>", "Export data"},
		{"<title> </title>", "<p>x", "page"},
		{"<title>" + longRun(1000) + "</title>", "", longRun(maxTitle)},
		{"", `<svg><title>Icon</title></svg><h1>Export</h1>`, "Export"},
	} {
		page, err := readHTML("<html><head>"+c.head+"</head><body>"+c.body+"</body></html>", pageURL)
		require.NoError(t, err)
		require.Equal(t, c.want, page.title, "%+v", c)
	}
	require.Equal(t, "A title", plainTitle("text\n## A *title*\n", pageURL))
	require.Equal(t, "a b.txt", plainTitle("text", "https://example.com/x/a%20b.txt"))
	require.Equal(t, "example.com", plainTitle("text", "https://example.com/"))
}

func TestLinks(t *testing.T) {
	t.Parallel()
	page, err := readHTML(`<base href="/base/"><a href="a">1</a><a href=" ./b?b=1&amp;a=2 ">2</a><a href="#top">3</a><a>4</a>
		<a href="//cdn.example.com/x">5</a><a href="javascript:void(0)">6</a><a href="tel:1">7</a><a href="a#again">8</a>
		<map><area href="/area"></map><a href="https://user@example.com/">9</a><noscript><a href="/quiet">10</a></noscript>
		<meta http-equiv="Refresh" content="5; url=/later"><a href="/no" rel="NoFollow">11</a><a href="http://[">12</a>`, pageURL)
	require.NoError(t, err)
	require.Equal(t, []string{
		"https://example.com/base/a", "https://example.com/base/b?a=2&b=1", "https://cdn.example.com/x",
		"https://example.com/area", "https://example.com/quiet", "https://example.com/later",
	}, page.links)
}

// TestMarkdown keeps what a knowledge page is made of.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	text := "<p>" + prose + prose + "</p>"
	for name, c := range map[string]struct{ body, want string }{
		"id of an anchor":    {`<h2><a name="old"></a>Old style</h2>` + text, "## Old style {#old}"},
		"id of a section":    {`<section id="sec"><h2>In a section</h2>` + text + `</section>`, "## In a section {#sec}"},
		"no id":              {`<h2>Plain</h2>` + text, "## Plain\n"},
		"forged id":          {`<h2 id="a} b">Forged</h2>` + text, "## Forged\n"},
		"highlighted code":   {text + `<div class="highlight"><pre class="lang-py"><span>def</span> f():<br>    <span>pass</span></pre></div>`, "```py\ndef f():\n    pass\n```"},
		"code with fences":   {text + "<pre>a\n```\nb</pre>", "````\na\n```\nb\n````"},
		"markup in code":     {text + "<pre>&lt;a href=x&gt; *b* _c_ # d</pre>", "<a href=x> *b* _c_ # d"},
		"code in a list":     {text + "<ul><li>Run<pre>x  y\nz</pre></li></ul>", "x  y\n"},
		"nested list":        {text + "<ul><li>One<ul><li>Inner</li></ul></li><li>Two</li></ul>", "- One\n  \n  - Inner\n- Two"},
		"table without head": {text + "<table><tr><td>Free</td><td>$0</td></tr><tr><td>Pro</td><td>$9</td></tr></table>", "| Free | $0 |\n|---|---|\n| Pro | $9 |"},
		"identifier":         {"<p>" + prose + "Set max_page_size and <code>a_b</code> first.</p>" + text, "max_page_size and `a_b`"},
		"definition":         {text + "<dl><dt>Seat</dt><dd>A person who signs in</dd></dl>", "A person who signs in"},
		"question":           {text + "<details><summary>How do I pay?</summary><p>By card.</p></details>", "How do I pay?"},
		"private characters": {"<p>" + prose + "Icon \uE00012\uE001 here</p>" + text, "Icon 12 here"},
		"wide cells":         {text + `<table><tr><td colspan="99999999" rowspan="99999999">Wide</td><td>x</td></tr></table>`, "Wide"},
		"without scripts":    {"<noscript><div><p>" + strings.Repeat(prose, 3) + "Only here.</p></div></noscript>", "Only here."},
	} {
		page, err := readHTML("<html><body><main><h1>Title of it</h1>"+c.body+"</main></body></html>", pageURL)
		require.NoError(t, err, name)
		require.Contains(t, page.markdown+"\n", c.want, name)
	}
}

// TestMainText leaves out what surrounds the text, and keeps lists of things,
// which an extractor made for articles takes for decoration.
func TestMainText(t *testing.T) {
	t.Parallel()
	var cards strings.Builder
	for i := range 30 {
		fmt.Fprintf(&cards, `<div class="card"><a href="/p/%d"><h3>Product %d</h3></a><span>Costs %d dollars</span></div>`, i, i, i)
	}
	page, err := readHTML(`<body><header>Header words</header><nav>Nav words</nav><div id="cookie-consent">Cookie words</div>
		<div role="dialog">Dialog words</div><div hidden>Hidden words</div><main><h1>All products</h1>`+cards.String()+`</main>
		<aside>Aside words</aside><footer>Footer words</footer><script>Script words</script></body>`, pageURL)
	require.NoError(t, err)
	require.Contains(t, page.markdown, "Product 7")
	require.Contains(t, page.markdown, "Costs 29 dollars")
	require.NotContains(t, page.markdown, " words")
}

// TestDamagedHTML ends with text or an error, never with a panic.
func TestDamagedHTML(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":        "",
		"cut tag":        "<p>" + prose + "<a href=\"x",
		"wrong nesting":  "<b><p><table><b><tr><p></b>" + prose + "</table></i></p>",
		"deep":           strings.Repeat("<div>", 100_000) + prose,
		"deep lists":     strings.Repeat("<ul><li>", 240) + prose,
		"NULs":           "<p>\x00\x00" + prose + "\xff\xfe",
		"two bodies":     "<body><p>" + prose + "</body></html><body><p>" + prose,
		"frameset":       "<frameset><frame src=a></frameset>",
		"open comment":   "<p>" + prose + "<!-- " + prose,
		"open script":    "<p>" + prose + "<script>" + prose,
		"many attribute": "<p " + strings.Repeat("a=b ", 10_000) + ">" + prose,
		"half":           helpPage[:len(helpPage)/2],
	} {
		page, err := readHTML(body, pageURL)
		if err != nil {
			require.ErrorIs(t, err, errDamaged, name)
			require.Empty(t, page, name)
		}
	}
}

// TestLargeHTML reads the largest page that is let in within a page's time.
func TestLargeHTML(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"paragraphs": strings.Repeat("<p>"+prose+"</p>", (3<<20)/len(prose)),
		"tables":     strings.Repeat("<table><tr><td>"+prose+"</table>", 500),
		"spans":      "<p>" + strings.Repeat("<span>x</span> ", 60_000),
	} {
		start := time.Now()
		page, err := readHTML(body, pageURL)
		require.NoError(t, err, name)
		require.NotEmpty(t, page.markdown, name)
		require.Less(t, time.Since(start), 15*time.Second, name)
		t.Logf("%s: %d bytes in %s", name, len(body), time.Since(start).Round(time.Millisecond))
	}
}

func FuzzReadHTML(f *testing.F) {
	f.Add(helpPage)
	f.Add("<table><tr><td colspan=9><pre><code>\uE0000\uE001</code></pre><h2 id=a><a href=#a>#</a>")
	f.Add("<noscript><ul><li><ol><pre>x</noscript><base href='//['><meta http-equiv=refresh content=url=>")
	f.Fuzz(func(t *testing.T, body string) {
		page, err := readHTML(body, pageURL)
		if err == nil {
			require.NotContains(t, page.markdown, markStart)
			Split(Document{Title: page.title, URL: pageURL, Markdown: page.markdown})
		}
	})
}
