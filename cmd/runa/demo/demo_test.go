package demo

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"github.com/temoto/robotstxt"
	"golang.org/x/net/html"
)

const (
	brokenLink = "/help/mobile-app"
	canary     = "the blue heron that files its taxes on a Tuesday"
)

func setup(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(Handler())
	t.Cleanup(srv.Close)
	return srv
}

func get(t *testing.T, address string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body), resp.Header
}

func articles() (all []page) {
	for _, s := range sections {
		all = append(all, s.Pages...)
	}
	return all
}

func TestPagesAreValidHTML(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	require.Len(t, articles(), 13)
	for _, p := range append(articles(), runbook, page{Path: brokenLink, Title: notFound.Title}) {
		_, body, header := get(t, srv.URL+p.Path)
		require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
		require.NoError(t, wellFormed(body), p.Path)

		doc := parse(t, body)
		require.Len(t, doc["h1"], 1, p.Path)
		require.Equal(t, p.Title, text(doc["h1"][0]))
		require.Equal(t, p.Title+" | Ledgerline Help", text(doc["title"][0]))
		require.Equal(t, "en", attr(doc["html"][0], "lang"))
		for _, part := range []string{"header", "nav", "aside", "main", "article", "footer"} {
			require.NotEmpty(t, doc[part], "%s has a %s", p.Path, part)
		}
		seen := make(map[string]bool)
		for _, id := range ids(doc) {
			require.False(t, seen[id], "%s has the id %s twice", p.Path, id)
			seen[id] = true
		}
		for _, table := range doc["table"] {
			requireEvenRows(t, table)
		}
	}
}

func requireEvenRows(t *testing.T, table *html.Node) {
	t.Helper()
	var cells []int
	for n := range table.Descendants() {
		switch n.Data {
		case "tr":
			cells = append(cells, 0)
		case "th", "td":
			cells[len(cells)-1]++
		}
	}
	require.Greater(t, len(cells), 1)
	for _, n := range cells {
		require.Equal(t, cells[0], n, "cells of each row: %v", cells)
	}
}

// wellFormed holds a page to the rules of XML, which are stricter than those
// of HTML: each element is closed, in order, and each attribute is quoted.
func wellFormed(body string) error {
	d := xml.NewDecoder(strings.NewReader(body))
	d.Entity = xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parse returns the elements of a page by name.
func parse(t *testing.T, body string) map[string][]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	require.NoError(t, err)
	elements := make(map[string][]*html.Node)
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			elements[n.Data] = append(elements[n.Data], n)
		}
	}
	return elements
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func ids(doc map[string][]*html.Node) (all []string) {
	for _, nodes := range doc {
		for _, n := range nodes {
			if id := attr(n, "id"); id != "" {
				all = append(all, id)
			}
		}
	}
	return all
}

func TestLinksResolveExceptOne(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	anchors := make(map[string]map[string]bool)
	links := make(map[string][]string)
	for _, p := range append(articles(), runbook) {
		status, body, _ := get(t, srv.URL+p.Path)
		require.Equal(t, http.StatusOK, status, p.Path)
		doc := parse(t, body)
		anchors[p.Path] = make(map[string]bool)
		for _, id := range ids(doc) {
			anchors[p.Path][id] = true
		}
		for _, a := range append(doc["a"], doc["link"]...) {
			links[attr(a, "href")] = append(links[attr(a, "href")], p.Path)
		}
	}
	var broken []string
	for href, from := range links {
		u, err := url.Parse(href)
		require.NoError(t, err)
		if u.Scheme == "mailto" {
			continue
		}
		target := srv.URL + u.Path
		status, _, _ := get(t, target)
		if status != http.StatusOK {
			broken = append(broken, href)
			continue
		}
		if u.Fragment != "" {
			require.True(t, anchors[u.Path][u.Fragment], "%s, linked from %v", href, from)
		}
	}
	require.Equal(t, []string{brokenLink}, broken)
	require.Equal(t, []string{"/help/dashboards"}, links[brokenLink])
	require.Equal(t, []string{"/help/troubleshooting"}, links[runbook.Path])
	for _, p := range articles() {
		require.GreaterOrEqual(t, len(links[p.Path]), len(articles()), "%s is in every sidebar", p.Path)
	}
}

func TestSitemapListsAllArticles(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	_, body, header := get(t, srv.URL+"/sitemap.xml")
	require.Equal(t, "application/xml; charset=utf-8", header.Get("Content-Type"))
	var m sitemap
	require.NoError(t, xml.Unmarshal([]byte(body), &m))
	var want []sitemapURL
	for _, p := range articles() {
		want = append(want, sitemapURL{Loc: srv.URL + p.Path, LastMod: p.Updated})
	}
	require.Equal(t, want, m.URLs)
	require.NotContains(t, body, internalRoot)
}

func TestAddressesFollowTheHost(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/sitemap.xml":  "<loc>http://help.example:81/help/pricing</loc>",
		"/robots.txt":   "Sitemap: http://help.example:81/sitemap.xml\n",
		"/help/pricing": `<link rel="canonical" href="http://help.example:81/help/pricing"/>`,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://help.example:81"+path, nil)
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, r)
		require.Contains(t, w.Body.String(), want)
	}
}

func TestRobotsDisallowsTheRunbook(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	_, body, _ := get(t, srv.URL+"/robots.txt")
	robots, err := robotstxt.FromString(body)
	require.NoError(t, err)
	require.Equal(t, []string{srv.URL + "/sitemap.xml"}, robots.Sitemaps)
	require.False(t, robots.TestAgent(runbook.Path, "Runa"))
	for _, p := range articles() {
		require.True(t, robots.TestAgent(p.Path, "Runa"), p.Path)
		_, body, _ := get(t, srv.URL+p.Path)
		require.NotContains(t, body, canary)
	}
	_, body, _ = get(t, srv.URL+runbook.Path)
	require.Contains(t, body, canary)
}

func TestUnchangedPageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	_, _, header := get(t, srv.URL+"/help/pricing")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/help/pricing", nil)
	require.NoError(t, err)
	req.Header.Set("If-None-Match", header.Get("ETag"))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNotModified, resp.StatusCode)
	require.Equal(t, "Tue, 24 Mar 2026 00:00:00 GMT", header.Get("Last-Modified"))
}

func TestOtherAddresses(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	for _, path := range []string{"/", "/help", "/help/"} {
		_, body, _ := get(t, srv.URL+path)
		require.Contains(t, body, "<h1>Ledgerline help centre</h1>", path)
	}
	_, body, _ := get(t, srv.URL+"/help/pricing/")
	require.Contains(t, body, "<h1>Pricing and plans</h1>", "a slash at the end is taken off")
	for _, path := range []string{"/help/none", "/help/none/", "/help/internal/", "/help/pricing/x", "/none", "/help/%3Cscript%3E"} {
		status, body, _ := get(t, srv.URL+path)
		require.Equal(t, http.StatusNotFound, status, path)
		require.NotContains(t, body, "<script>")
	}
}

func TestRevenue(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	fetch := func(period string) (got revenue) {
		status, body, header := get(t, srv.URL+"/api/revenue?period="+url.QueryEscape(period))
		require.Equal(t, http.StatusOK, status, body)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		return got
	}
	march := fetch("2026-03")
	require.Equal(t, revenue{Period: "2026-03", Currency: "USD", Revenue: 128_430, NewCustomers: 70, ChurnedCustomers: 21}, march)
	require.Equal(t, march, fetch("2026-03"), "the same every time")

	quarter := fetch("2026-Q1")
	require.Equal(t, fetch("2026-01").Revenue+fetch("2026-02").Revenue+march.Revenue, quarter.Revenue)
	require.Equal(t, fetch("2026-01").NewCustomers+fetch("2026-02").NewCustomers+march.NewCustomers, quarter.NewCustomers)
	year := 0
	for _, q := range []string{"2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"} {
		year += fetch(q).Revenue
	}
	require.Equal(t, year, fetch("2026").Revenue)
	require.Positive(t, fetch("2022-01").Revenue)
	require.Greater(t, fetch("2026").Revenue, fetch("2025").Revenue)
}

func TestRevenueOfNoPeriod(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	for _, period := range []string{"", "march", "2026-3", "2026-13", "2026-00", "2026-Q5", "2026-q1", "26", "2026-03-01", "2021", "0000", " 2026", "2026\n"} {
		status, body, _ := get(t, srv.URL+"/api/revenue?period="+url.QueryEscape(period))
		require.Equal(t, http.StatusBadRequest, status, period)
		requireError(t, body)
	}
}

func requireError(t *testing.T, body string) {
	t.Helper()
	var got struct{ Error string }
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.NotEmpty(t, got.Error)
}

func TestUsers(t *testing.T) {
	t.Parallel()
	srv := setup(t)
	for _, email := range []string{"maria.chen@northwind.example", "Maria.Chen%40Northwind.example"} {
		status, body, _ := get(t, srv.URL+"/api/users/"+email)
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, `{"email":"maria.chen@northwind.example","name":"Maria Chen","plan":"Pro","role":"Owner","lastSeen":"2026-03-24T08:41:00Z"}`, body)
	}
	for _, email := range []string{"nobody@northwind.example", "x", "%22%3E"} {
		status, body, header := get(t, srv.URL+"/api/users/"+email)
		require.Equal(t, http.StatusNotFound, status)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		requireError(t, body)
	}
}

func TestSpecsAreValid(t *testing.T) {
	t.Parallel()
	source := Source("http://127.0.0.1:8080")
	require.NoError(t, source.Validate())
	require.Equal(t, "http://127.0.0.1:8080/help/", source.URL)
	require.Zero(t, source.Crawl.Delay())

	tools := Tools("http://127.0.0.1:8080")
	require.Len(t, tools, 2)
	for _, tool := range tools {
		tool.Normalize()
		require.NoError(t, tool.Validate(), tool.Name)
	}
}

func TestParametersAgreeWithTheEndpoint(t *testing.T) {
	t.Parallel()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(revenueParameters))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("revenue.json", doc))
	schema, err := c.Compile("revenue.json")
	require.NoError(t, err)
	for _, p := range []string{"2026-03", "2026-12", "2026-Q4", "2026", "", "2026-13", "2026-Q5", "x2026", "2026-q1"} {
		_, _, _, accepted := months(p)
		require.Equal(t, accepted, schema.Validate(map[string]any{"period": p}) == nil, "%q", p)
	}
	require.Error(t, schema.Validate(map[string]any{}))
}
