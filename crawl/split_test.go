package crawl

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplitHeadings(t *testing.T) {
	t.Parallel()
	long := strings.TrimSpace(strings.Repeat(prose, 3))
	sections := Split(Document{
		Title: "Billing", URL: "https://example.com/billing#old",
		Markdown: "Lead-in.\n\n# Billing\n\nIntro.\n\n## Plans {#plans}\n\n" + long + "\n\n### *Free* `plan_a`\n\n" + long +
			"\n\n## Größe {#größe x}\n\n" + long + "\n\n## Maß {#maß}\n\n" + long + "\n\n# Other\n\n## Empty",
	})
	require.Equal(t, []Section{
		{Heading: "", URL: "https://example.com/billing#old", Text: "Lead-in."},
		{Heading: "", URL: "https://example.com/billing#old", Text: "Intro."},
		{Heading: "Plans", URL: "https://example.com/billing#plans", Text: long},
		{Heading: "Plans > Free plan_a", URL: "https://example.com/billing#plans", Text: long},
		{Heading: "Größe {#größe x}", URL: "https://example.com/billing#old", Text: long},
		{Heading: "Maß", URL: "https://example.com/billing#ma%C3%9F", Text: long},
		{Heading: "Other > Empty", URL: "https://example.com/billing#old", Text: "Empty"},
	}, sections)
	require.Empty(t, Split(Document{Title: "x"}))
	require.Equal(t, "a b c*d e", plainInline(`a*b c\*d **e**`))
}

func TestSplitMergesTinySiblings(t *testing.T) {
	t.Parallel()
	long := strings.TrimSpace(strings.Repeat(prose, 3))
	sections := Split(Document{Markdown: "# FAQ {#faq}\n\n## One?\n\nYes.\n\n## Two?\n\nNo.\n\n## Three?\n\n" + long + "\n\n## Four?\n\nMaybe."})
	require.Equal(t, []Section{
		{Heading: "FAQ", Text: "## One?\n\nYes.\n\n## Two?\n\nNo."},
		{Heading: "FAQ > Three?", Text: long},
		{Heading: "FAQ > Four?", Text: "Maybe."},
	}, sections)
}

func TestSplitKeepsBlocks(t *testing.T) {
	t.Parallel()
	code := "```go\n" + strings.Repeat("fmt.Println(1) // # not a heading\n\n", 25) + "```"
	require.Greater(t, estimate(code), targetTokens-40)
	sections := Split(Document{Markdown: prose + "\n\n" + code + "\n\n" + prose})
	require.Contains(t, sections[1].Text, code)

	huge := "```go\n" + strings.Repeat("fmt.Println(1)\n", 300) + "```"
	sections = Split(Document{Markdown: huge})
	require.Greater(t, len(sections), 3)
	for _, s := range sections {
		require.True(t, strings.HasPrefix(s.Text, "```go\nfmt.Println(1)\n") && strings.HasSuffix(s.Text, "fmt.Println(1)\n```"), s.Text)
	}

	rows := strings.TrimSpace(strings.Repeat("| a plan of some kind | 10 dollars a month |\n", 100))
	sections = Split(Document{Markdown: "| Plan | Price |\n|---|---|\n" + rows})
	require.Greater(t, len(sections), 3)
	for _, s := range sections {
		require.True(t, strings.HasPrefix(s.Text, "| Plan | Price |\n|---|---|\n| a plan"), s.Text)
		require.True(t, strings.HasSuffix(s.Text, "month |"), s.Text)
	}

	items := strings.Repeat("- an item of the list\n  - with one below it\n", 60)
	sections = Split(Document{Markdown: items})
	require.Greater(t, len(sections), 2)
	for _, s := range sections {
		require.True(t, strings.HasPrefix(s.Text, "- an item"), s.Text)
	}
}

func TestSplitSizes(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"prose":      strings.Repeat(prose, 100),
		"paragraphs": strings.Repeat(prose+"\n\n", 100),
		"one word":   strings.Repeat("x", 20_000),
		"Chinese":    strings.Repeat("您可以从账单页面导出每张发票。", 300),
		"no stops":   strings.Repeat("word ", 5000),
		"wide table": "| " + strings.Repeat("cell | ", 2000) + "\n|---|\n| x |",
		"open fence": "```\n" + strings.Repeat("x y z\n", 2000),
	} {
		sections := Split(Document{Markdown: text})
		require.Greater(t, len(sections), 2, name)
		for _, s := range sections {
			require.LessOrEqual(t, estimate(s.Text), maxTokens+targetTokens, name)
		}
	}
}

// markdownDocument draws a document of every kind of block.
func markdownDocument() *rapid.Generator[string] {
	line := rapid.StringMatching(`[a-zäß]{1,8}( [a-z_0-9]{1,9}[.,]?){0,40}`)
	kind := rapid.SampledFrom([]string{"text", "heading", "code", "table", "list", "raw"})
	blockOf := rapid.Custom(func(t *rapid.T) string {
		text := line.Draw(t, "line")
		switch kind.Draw(t, "kind") {
		case "heading":
			return strings.Repeat("#", rapid.IntRange(1, 6).Draw(t, "level")) + " " + text + rapid.SampledFrom([]string{"", " {#id}"}).Draw(t, "id")
		case "code":
			return "```\n" + strings.ReplaceAll(text, " ", "\n") + "\n```"
		case "table":
			return "| " + strings.ReplaceAll(text, " ", " | ") + " |\n|---|\n" + strings.Repeat("| "+text+" |\n", rapid.IntRange(0, 30).Draw(t, "rows"))
		case "list":
			return strings.Repeat("- "+text+"\n", rapid.IntRange(1, 20).Draw(t, "items"))
		case "raw":
			return rapid.StringMatching("[#|`~a-z \n*_-]{0,60}").Draw(t, "raw")
		}
		return text
	})
	return rapid.Map(rapid.SliceOfN(blockOf, 0, 20), func(blocks []string) string { return strings.Join(blocks, "\n\n") })
}

// TestSplitLosesNothing: every word is in the heading or text of some section,
// the sections keep to their size, and splitting again gives the same.
func TestSplitLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := Document{URL: "https://example.com/", Markdown: markdownDocument().Draw(t, "markdown")}
		sections := Split(doc)
		require.Equal(t, sections, Split(doc))
		kept := map[string]bool{}
		for _, s := range sections {
			require.NotEmpty(t, strings.TrimSpace(s.Text))
			require.LessOrEqual(t, estimate(s.Text), maxTokens+targetTokens)
			for _, w := range words(s.Heading + " " + s.Text) {
				kept[w] = true
			}
		}
		for _, w := range words(headingIDs.ReplaceAllString(doc.Markdown, "")) {
			require.True(t, kept[w], "%q is lost", w)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("# a\n\n```\n## b\n~~~\n| x |\n- y\n  z\n\n1. w")
	f.Add("|\n|\n|")
	f.Fuzz(func(_ *testing.T, markdown string) { Split(Document{Markdown: markdown}) })
}
