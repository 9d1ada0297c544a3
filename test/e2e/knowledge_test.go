package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// site is a help centre of /docs/ and its pages, each about an animal of its
// own. Each request is counted.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
	// held stops the pages, but for the first, until it is closed.
	held chan struct{}
}

// sitePages is the number of articles below /docs/.
const sitePages = 30

func serveSite(t *testing.T, held chan struct{}) *site {
	t.Helper()
	s := &site{asked: map[string]int{}, held: held}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func animal(n int) string { return fmt.Sprintf("zebra%03dfish", n) }

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var n int
	if _, err := fmt.Sscanf(r.URL.Path, "/docs/page-%d", &n); err == nil && n <= sitePages {
		if s.held != nil {
			select {
			case <-s.held:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, `<html><head><title>Page %d</title></head><body><nav><a href="/docs/">Docs</a></nav><main><h1>Keeping the %s</h1>`+
			`<p>The %[2]s eats %d apples a day. It sleeps under a warm lamp and likes to be read to in the evening.</p>`+
			`<p><a href="/docs/page-%d">Next</a></p></main></body></html>`, n, animal(n), n, n+1)
		return
	}
	if r.URL.Path != "/docs/" {
		http.Error(w, "gone", http.StatusGone)
		return
	}
	var links strings.Builder
	for i := range sitePages / 2 {
		fmt.Fprintf(&links, `<li><a href="page-%d">Page</a></li>`, 2*i+1)
	}
	fmt.Fprintf(w, `<html><head><title>Docs</title></head><body><main><h1>Animals</h1><p>All that we know of our animals, in thirty pages.</p>`+
		`<ul>%s<li><a href="/other/">Elsewhere</a></li></ul></main></body></html>`, links.String())
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// testKnowledge crawls a site, asks, deletes it and crawls it again.
func testKnowledge(t *testing.T, r *runatest.Runa) {
	c, docs := newProduct(t, r), serveSite(t, nil)
	made := c.addSource(docs.URL + "/docs/")
	require.Equal(t, made.ID, c.addSource(docs.URL+"/docs/").ID, "the same url is the same source")
	got := c.crawled(made.ID)
	require.Equal(t, schemas.SourceReady, got.Status, got.Reason)
	// Half of the pages are linked by others only; the last links to one that is gone.
	require.Equal(t, schemas.PageCounts{Total: sitePages + 2, Indexed: sitePages + 1, Failed: 1}, got.Pages)
	for n := range sitePages {
		require.Equal(t, 1, docs.count(fmt.Sprintf("/docs/page-%d", n+1)), "each page is read once")
	}
	require.Zero(t, docs.count("/other/"), "what is not below the path is left alone")

	hits := c.search("What does the " + animal(17) + " eat?")
	require.NotEmpty(t, hits)
	require.Equal(t, docs.URL+"/docs/page-17", withoutFragment(hits[0].URL))
	require.Equal(t, made.ID, hits[0].SourceID)
	for i := range hits[1:] {
		require.GreaterOrEqual(t, hits[i].Score, hits[i+1].Score, "best first")
	}
	require.Empty(t, newProduct(t, r).search(animal(17)), "another product finds nothing")
	answer := c.chat("animals", "How many apples does the "+animal(17)+" eat a day?")
	require.True(t, answer.Answered, answer.Reply)
	require.Contains(t, answer.Reply, "17 apples")
	require.Equal(t, docs.URL+"/docs/page-17", withoutFragment(answer.Citations[0].URL))
	deleteSource(c, made)

	anew := c.addSource(docs.URL + "/docs/")
	require.NotEqual(t, made.ID, anew.ID, "an id is not used twice")
	require.Equal(t, schemas.SourceReady, c.crawled(anew.ID).Status)
	for _, hit := range c.search(animal(17)) {
		require.Equal(t, anew.ID, hit.SourceID)
	}
	require.NotEmpty(t, c.search(animal(17)))
}

// deleteSource deletes a source that is ready; it is gone once that is
// answered.
func deleteSource(c client, s source) {
	c.call("DELETE", "/v1/knowledge/"+s.ID, nil, nil)
	require.Empty(c.t, c.search(animal(17)))
	after := c.chat("animals", "How many apples does the "+animal(18)+" eat a day?")
	require.False(c.t, after.Answered, after.Reply)
	require.Empty(c.t, after.Citations)
	for _, request := range []runatest.Request{
		{Method: "DELETE", Path: "/v1/knowledge/" + s.ID},
		{Method: "GET", Path: "/v1/knowledge/" + s.ID},
		{Method: "GET", Path: "/v1/knowledge/" + s.ID + "/pages"},
	} {
		c.refused(http.StatusNotFound, schemas.NotFound, request)
	}
	var list struct{ Total int }
	c.call("GET", "/v1/knowledge", nil, &list)
	require.Zero(c.t, list.Total)
}

// testDeleteDuringCrawl deletes a source whose pages are being read.
func testDeleteDuringCrawl(t *testing.T, r *runatest.Runa) {
	held := make(chan struct{})
	c, docs := newProduct(t, r), serveSite(t, held)
	made := c.addSource(docs.URL + "/docs/")
	until(t, "a page is asked for", func() bool { return docs.count("/docs/page-1") > 0 })
	c.call("DELETE", "/v1/knowledge/"+made.ID, nil, nil)
	require.Empty(t, c.search("animals in thirty pages"))
	close(held)
	c.refused(http.StatusNotFound, schemas.NotFound, runatest.Request{Method: "GET", Path: "/v1/knowledge/" + made.ID})

	// The next crawl of the site is another source's, and whole.
	anew := c.addSource(docs.URL + "/docs/")
	require.Equal(t, sitePages+1, c.crawled(anew.ID).Pages.Indexed)
	for _, hit := range c.search(animal(1) + " animals in thirty pages") {
		require.Equal(t, anew.ID, hit.SourceID)
	}
}

// testDeadSite crawls what is not there.
func testDeadSite(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	for _, one := range []struct{ url, reason string }{
		{"http://" + listener.Addr().String() + "/", "network"},
		{serveSite(t, nil).URL + "/nothing/", "status"},
	} {
		got := c.crawled(c.addSource(one.url).ID)
		require.Equal(t, schemas.SourceFailed, got.Status)
		require.Contains(t, got.Reason, one.reason)
	}
}

// TestPrivateAddresses starts a program that may reach one site, which points
// to an address that it may not.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	canary, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = canary.Close() })
	var touched atomic.Int64
	go func() {
		for {
			conn, err := canary.Accept()
			if err != nil {
				return
			}
			touched.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(canary.Addr().String())
	require.NoError(t, err)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "http://"+canary.Addr().String()+"/", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(site.Close)

	r := runatest.Start(t, runatest.Options{Env: []string{"RUNA_OUTBOUND_ALLOW=" + strings.TrimPrefix(site.URL, "http://")}})
	c := client{r, t, schemas.DefaultProduct}
	private := []string{
		"http://127.0.0.1:" + port + "/", "http://localhost:" + port + "/", "http://[::1]:" + port + "/", "http://0.0.0.0:" + port + "/",
		"http://2130706433:" + port + "/", "http://0x7f.1:" + port + "/", "http://[::ffff:127.0.0.1]:" + port + "/",
		"http://169.254.169.254/", "http://10.0.0.1/", site.URL + "/redirect",
	}
	for i, url := range private {
		id := c.addTool(map[string]any{"name": fmt.Sprintf("tool_%d", i), "description": "Call it.", "endpoint": url, "method": "GET"})
		got := c.testTool(id, map[string]any{})
		require.Equal(t, schemas.CallFailed, got.Status, url)
		require.Contains(t, []string{"blocked", "redirect", "unreachable"}, got.Error.Code, url)
	}
	made := map[string]source{}
	for _, url := range private {
		made[url] = c.addSource(url)
	}
	for url, one := range made {
		got := c.crawled(one.ID)
		require.Equal(t, schemas.SourceFailed, got.Status, url)
		require.Regexp(t, "blocked|scope", got.Reason, url)
	}
	require.Zero(t, touched.Load(), "nothing was reached")
}
