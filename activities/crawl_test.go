package activities_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/schemas"
	"runa/search"
	"runa/store"
)

// page is HTML with a text that only its name tells from another's, and links.
func page(name string, links ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<html><head><title>%s</title></head><body><main><h1>About %s</h1>", name, name)
	fmt.Fprintf(&b, "<p>Here it says in whole sentences how %s is set up, and what it is good for in your work.</p>", name)
	for _, link := range links {
		fmt.Fprintf(&b, `<p>See also <a href="%s">the page at %s</a>, which says more.</p>`, link, link)
	}
	return b.String() + "</main></body></html>"
}

// pagesAt answers with the page of a path, or with a redirect
// for a text that begins with ">"; what it lacks is 404.
func pagesAt(pages map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, known := pages[r.URL.Path]
		switch {
		case !known:
			http.NotFound(w, r)
		case strings.HasPrefix(text, ">"):
			http.Redirect(w, r, text[1:], http.StatusMovedPermanently)
		default:
			_, _ = w.Write([]byte(text))
		}
	}
}

func quick() schemas.CrawlOptions { return schemas.CrawlOptions{DelayMs: new(0)} }

func fetch(t *testing.T, b *activitiestest.Bench, key activities.SourceKey, n int64) (activities.FetchBatchResult, error) {
	t.Helper()
	return result[activities.FetchBatchResult](t, b, b.FetchBatch, activities.FetchBatchInput{SourceKey: key, Batch: n})
}

// crawlAll crawls as the workflow does, but waits for nothing.
func crawlAll(t *testing.T, b *activitiestest.Bench, key activities.SourceKey) {
	t.Helper()
	require.NoError(t, run(t, b, b.Discover, key))
	for n := int64(1); ; n++ {
		require.Less(t, n, int64(20), "the crawl does not end")
		left, err := fetch(t, b, key, n)
		require.NoError(t, err)
		if left.Done {
			break
		}
		alter(t, b, `UPDATE pages SET not_before = 0`)
		alter(t, b, `UPDATE hosts SET next_at = 0`)
	}
	require.NoError(t, run(t, b, b.FinishCrawl, activities.FinishCrawlInput{SourceKey: key}))
}

// pagesOf are a source's pages by their path and query.
func pagesOf(t *testing.T, b *activitiestest.Bench, key activities.SourceKey, site string) map[string]schemas.Page {
	t.Helper()
	list, err := b.Store.Pages(t.Context(), product, key.Source, "", store.ListOptions{Limit: 100})
	require.NoError(t, err)
	found := map[string]schemas.Page{}
	for _, p := range list.Items {
		found[strings.TrimPrefix(p.URL, site)] = p
	}
	return found
}

func sourceOf(t *testing.T, b *activitiestest.Bench, key activities.SourceKey) schemas.Source {
	t.Helper()
	source, err := b.Store.Source(t.Context(), product, key.Source)
	require.NoError(t, err)
	return source
}

// indexed counts what the index holds of a source.
func indexed(t *testing.T, b *activitiestest.Bench, key activities.SourceKey) int {
	t.Helper()
	n, err := b.Index.Count(t.Context(), product, search.Selection{Source: key.Source})
	require.NoError(t, err)
	return n
}

// requireWhole holds the index to the records.
func requireWhole(t *testing.T, b *activitiestest.Bench, key activities.SourceKey) {
	t.Helper()
	recorded, err := b.Store.IndexedChunks(t.Context(), product, key.Source)
	require.NoError(t, err)
	require.Equal(t, recorded, indexed(t, b, key))
}

func TestCrawlSaysWhatBecameOfEachPage(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, pagesAt(nil))
	s := serve(t, pagesAt(map[string]string{
		"/robots.txt": "User-agent: *\nDisallow: /private\n",
		"/": page("root", "/a", "/moved", "/named", "/twin", "/out", "/missing", "/private", "/noindex", "/empty",
			elsewhere.URL+"/other", "/a#part", "/far"),
		"/a": page("a"), "/moved": ">/target", "/target": page("target"), "/out": ">" + elsewhere.URL + "/other",
		"/named":   strings.Replace(page("named"), "<title>", `<link rel="canonical" href="/a"><title>`, 1),
		"/twin":    page("a"),
		"/noindex": strings.Replace(page("noindex"), "<title>", `<meta name="robots" content="noindex"><title>`, 1),
		"/empty":   "<html><body></body></html>",
		"/far":     page("far", "/farther"), "/farther": page("farther"),
	}))
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, schemas.CrawlOptions{DelayMs: new(0), MaxDepth: new(1)})
	crawlAll(t, b, key)

	found := pagesOf(t, b, key, s.URL)
	for path, want := range map[string]schemas.PageReason{
		"/": schemas.ReasonIndexed, "/a": schemas.ReasonIndexed, "/target": schemas.ReasonIndexed, "/far": schemas.ReasonIndexed,
		"/moved": schemas.ReasonDuplicate, "/named": schemas.ReasonDuplicate, "/twin": schemas.ReasonDuplicate,
		"/out": schemas.ReasonScope, "/missing": schemas.ReasonStatus, "/private": schemas.ReasonRobots,
		"/noindex": schemas.ReasonNoIndex, "/empty": schemas.ReasonEmpty, "/farther": schemas.ReasonLimit,
	} {
		require.Equal(t, want, found[path].Reason, "%s: %+v", path, found[path])
	}
	require.Len(t, found, 13, "nothing of another site")
	require.Equal(t, schemas.PageFailed, found["/missing"].State)
	require.Equal(t, "404 Not Found", found["/missing"].Detail)
	require.Equal(t, "redirects to "+s.URL+"/target", found["/moved"].Detail)
	require.Equal(t, "is the same page as "+s.URL+"/a", found["/named"].Detail)
	require.Empty(t, elsewhere.requests())
	require.Zero(t, s.asked("/private"))
	require.Equal(t, 1, s.asked("/a"))
	requireWhole(t, b, key)

	source := sourceOf(t, b, key)
	require.Equal(t, schemas.SourceReady, source.Status)
	require.Equal(t, schemas.PageCounts{Total: 13, Indexed: 4, Skipped: 8, Failed: 1}, source.Pages)
	retriever := &activities.Retriever{Store: b.Store, Index: b.Index}
	hits, err := retriever.Search(t.Context(), product, schemas.SearchRequest{Query: "how is target set up?", Limit: 3})
	require.NoError(t, err)
	require.Equal(t, s.URL+"/target", hits[0].URL)
}

func TestCrawlStopsAtItsLimitOfPages(t *testing.T) {
	t.Parallel()
	s := serve(t, pagesAt(map[string]string{
		"/": page("root", "/a", "/b", "/c", "/d"), "/a": page("a"), "/b": page("b"), "/c": page("c"), "/d": page("d"),
	}))
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, schemas.CrawlOptions{DelayMs: new(0), MaxPages: new(3)})
	crawlAll(t, b, key)
	source := sourceOf(t, b, key)
	require.Equal(t, 3, source.Pages.Indexed)
	require.Equal(t, 2, source.Pages.Skipped)
	found := pagesOf(t, b, key, s.URL)
	require.Equal(t, schemas.ReasonLimit, found["/c"].Reason)
	require.Equal(t, schemas.ReasonLimit, found["/d"].Reason)
}

func TestDiscoverAddsSitemapsAndRunsTwice(t *testing.T) {
	t.Parallel()
	var s *site
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		pagesAt(map[string]string{
			"/robots.txt": "Sitemap: " + s.URL + "/map.xml\n",
			"/map.xml":    `<urlset><url><loc>` + s.URL + `/hidden</loc></url></urlset>`,
			"/":           page("root"), "/hidden": page("hidden"),
		})(w, r)
	})
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, quick())
	require.NoError(t, run(t, b, b.Discover, key))
	crawlAll(t, b, key)
	found := pagesOf(t, b, key, s.URL)
	require.Len(t, found, 2)
	require.Equal(t, schemas.ReasonIndexed, found["/hidden"].Reason)
	require.Equal(t, 1, s.asked("/hidden"))
}

// A host that cannot say what it allows is asked again, and nothing else.
func TestDiscoverWaitsForRobots(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		stop(worker.ErrWorkerShutdown)
	})
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, quick())
	requireStopped(t, runIn(ctx, b, b.Discover, key), "shutdown")
	require.Len(t, s.requests(), 1)
	require.Empty(t, pagesOf(t, b, key, s.URL))
}

func TestNothingIsFetchedWithoutRobots(t *testing.T) {
	t.Parallel()
	s := serve(t, pagesAt(map[string]string{"/": page("root")}))
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, quick())
	require.NoError(t, run(t, b, b.Discover, key))
	require.NoError(t, b.Store.SaveRobots(t.Context(), strings.TrimPrefix(s.URL, "http://"), 503, nil))
	left, err := fetch(t, b, key, 1)
	require.NoError(t, err)
	require.True(t, left.Done)
	require.Zero(t, s.asked("/"))
	require.Equal(t, schemas.ReasonRobots, pagesOf(t, b, key, s.URL)["/"].Reason)
}

// The owner of the source is told what is wrong, not that robots.txt forbids
// what nobody could read.
func TestCrawlOfAHostThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := serve(t, pagesAt(nil))
	s.Close()
	for name, c := range map[string]struct {
		url    string
		reason schemas.PageReason
	}{
		"closed":  {s.URL + "/", schemas.ReasonNetwork},
		"blocked": {"http://10.0.0.1/", schemas.ReasonBlocked},
	} {
		b := activitiestest.New(t, nil)
		key := b.Source(t, c.url, quick())
		crawlAll(t, b, key)
		source := sourceOf(t, b, key)
		require.Equal(t, schemas.SourceFailed, source.Status, name)
		require.Contains(t, source.Reason, string(c.reason), name)
		require.Equal(t, c.reason, pagesOf(t, b, key, "")[c.url].Reason, name)
	}
}

func TestPageThatFailsForNowIsTriedAgain(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && tries.Add(1) < 3 {
			http.Error(w, "later", http.StatusInternalServerError)
			return
		}
		pagesAt(map[string]string{"/": page("root")})(w, r)
	})
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, quick())
	require.NoError(t, run(t, b, b.Discover, key))
	for n, pause := range []time.Duration{5 * time.Second, 10 * time.Second} {
		left, err := fetch(t, b, key, int64(n+1))
		require.NoError(t, err)
		require.False(t, left.Done)
		require.InDelta(t, pause.Seconds(), left.Wait.Seconds(), 2)
		early, err := fetch(t, b, key, int64(n+1))
		require.NoError(t, err)
		require.False(t, early.Done)
		require.EqualValues(t, n+1, tries.Load(), "not before its time")
		alter(t, b, `UPDATE pages SET not_before = 0`)
	}
	left, err := fetch(t, b, key, 3)
	require.NoError(t, err)
	require.True(t, left.Done)
	require.Equal(t, schemas.ReasonIndexed, pagesOf(t, b, key, s.URL)["/"].Reason)
}

func TestPageThatFailsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.NotFound(w, r)
	})
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, quick())
	crawlAll(t, b, key)
	require.Equal(t, 4, s.asked("/"))
	source := sourceOf(t, b, key)
	require.Equal(t, schemas.SourceFailed, source.Status)
	require.Equal(t, "no page could be indexed; "+s.URL+"/: status 500 Internal Server Error", source.Reason)
}

// A host that asks to be left alone is, by all pages and sources of it.
func TestRetryAfterHoldsTheHost(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/one/" {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		pagesAt(map[string]string{"/two/": page("two")})(w, r)
	})
	b := activitiestest.New(t, nil)
	one, two := b.Source(t, s.URL+"/one/", quick()), b.Source(t, s.URL+"/two/", quick())
	for _, key := range []activities.SourceKey{one, two} {
		require.NoError(t, run(t, b, b.Discover, key))
		left, err := fetch(t, b, key, 1)
		require.NoError(t, err)
		require.False(t, left.Done)
		require.InDelta(t, 90, left.Wait.Seconds(), 5)
	}
	require.Zero(t, s.asked("/two/"))
}

func TestPolitenessIsTheHosts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var times []time.Time
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/p") {
			mu.Lock()
			times = append(times, time.Now())
			mu.Unlock()
		}
		pagesAt(map[string]string{
			"/p1/": page("p1", "/p1/a"), "/p1/a": page("p1a"), "/p2/": page("p2", "/p2/a"), "/p2/a": page("p2a"),
		})(w, r)
	})
	b := activitiestest.New(t, nil)
	var group sync.WaitGroup
	for _, path := range []string{"/p1/", "/p2/"} {
		key := b.Source(t, s.URL+path, schemas.CrawlOptions{DelayMs: new(150)})
		require.NoError(t, run(t, b, b.Discover, key))
		group.Go(func() {
			for n := int64(1); n <= 2; n++ {
				if err := runIn(t.Context(), b, b.FetchBatch, activities.FetchBatchInput{SourceKey: key, Batch: n}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.Len(t, times, 4)
	for i := 1; i < len(times); i++ {
		require.Greater(t, times[i].Sub(times[i-1]), 100*time.Millisecond, "slots are 150 ms apart")
	}
}

// A batch that dies between the index and the record leaves passages that no
// record knows; the batch's second run replaces them.
func TestBatchThatDiedAfterIndexing(t *testing.T) {
	t.Parallel()
	s := serve(t, pagesAt(map[string]string{"/": page("root")}))
	ctx, stop := context.WithCancelCause(t.Context())
	b := activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Fail = func(point string) {
			if point == "page indexed" {
				stop(worker.ErrWorkerShutdown)
			}
		}
	})
	key := b.Source(t, s.URL, quick())
	require.NoError(t, run(t, b, b.Discover, key))
	batch := activities.FetchBatchInput{SourceKey: key, Batch: 1}
	requireStopped(t, runIn(ctx, b, b.FetchBatch, batch), "shutdown")
	require.Positive(t, indexed(t, b, key))
	retriever := &activities.Retriever{Store: b.Store, Index: b.Index}
	hits, err := retriever.Search(t.Context(), product, schemas.SearchRequest{Query: "how is root set up?", Limit: 3})
	require.NoError(t, err)
	require.Empty(t, hits, "what no record knows never answers")

	other, err := fetch(t, b, key, 2)
	require.NoError(t, err)
	require.False(t, other.Done, "the page is leased")
	require.InDelta(t, 90, other.Wait.Seconds(), 5)
	left, err := fetch(t, b, key, 1)
	require.NoError(t, err)
	require.True(t, left.Done, "a batch that runs again takes its own pages")
	requireWhole(t, b, key)
	hits, err = retriever.Search(t.Context(), product, schemas.SearchRequest{Query: "how is root set up?", Limit: 3})
	require.NoError(t, err)
	require.Len(t, hits, 1)
}

func TestFinishCrawlTidiesTheIndex(t *testing.T) {
	t.Parallel()
	s := serve(t, pagesAt(map[string]string{"/": page("root", "/gone"), "/gone": "<html></html>"}))
	b := activitiestest.New(t, nil)
	key := b.Source(t, s.URL, quick())
	crawlAll(t, b, key)
	for _, path := range []string{"/", "/gone"} {
		require.NoError(t, b.Index.Put(t.Context(), product, search.Entries([]schemas.Chunk{{
			ID: "stray" + path, SourceID: key.Source, DocumentID: store.DocumentID(key.Source, s.URL+path), Version: 77, Text: "stray root",
		}})))
	}
	for range 2 {
		require.NoError(t, run(t, b, b.FinishCrawl, activities.FinishCrawlInput{SourceKey: key}))
		requireWhole(t, b, key)
	}
	require.Equal(t, 1, sourceOf(t, b, key).Pages.Indexed)
}

func TestFinishCrawlSaysWhyItCameToNothing(t *testing.T) {
	t.Parallel()
	b := activitiestest.New(t, nil)
	key := b.Source(t, "http://help.test/", quick())
	require.NoError(t, run(t, b, b.FinishCrawl, activities.FinishCrawlInput{SourceKey: key, Failure: "the url is wrong"}))
	source := sourceOf(t, b, key)
	require.Equal(t, schemas.SourceFailed, source.Status)
	require.Equal(t, "the url is wrong", source.Reason)
}

func TestIndexThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, pagesAt(map[string]string{"/": page("root")}))
	broken := &index{put: func(context.Context, []search.Entry) error { return errors.New("index is away") }}
	b := activitiestest.New(t, func(cfg *activities.Config) { broken.Index, cfg.Index = cfg.Index, broken })
	key := b.Source(t, s.URL, quick())
	require.NoError(t, run(t, b, b.Discover, key))
	_, err := fetch(t, b, key, 1)
	require.ErrorContains(t, err, "index is away")
	require.NotContains(t, err.Error(), "retryable: false")
	broken.put = nil
	left, err := fetch(t, b, key, 1)
	require.NoError(t, err)
	require.True(t, left.Done)
	requireWhole(t, b, key)
}

// A source that is deleted while its page is being fetched: the crawl ends, and
// the purge finds what was written meanwhile.
func TestDeleteInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	var b *activitiestest.Bench
	var key activities.SourceKey
	s := serve(t, pagesAt(map[string]string{"/": page("root")}))
	b = activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Fail = func(point string) {
			if point == "page indexed" {
				require.NoError(t, b.Store.DeleteSource(t.Context(), product, key.Source))
			}
		}
		cfg.Engine = &activitiestest.Engine{StopCrawlFunc: func(_ context.Context, _, source string) (bool, error) {
			return source == key.Source, nil
		}}
	})
	key = b.Source(t, s.URL, quick())
	require.NoError(t, run(t, b, b.Discover, key))
	_, err := fetch(t, b, key, 1)
	requireFailure(t, err, schemas.Gone, true)
	require.Positive(t, indexed(t, b, key))
	_, err = fetch(t, b, key, 2)
	requireFailure(t, err, schemas.NotFound, true)

	in := schemas.PurgeInput{Product: product, Source: key.Source}
	require.NoError(t, run(t, b, b.StopCrawl, in))
	wait, err := result[time.Duration](t, b, b.PurgeWait, in)
	require.NoError(t, err)
	require.InDelta(t, 90, wait.Seconds(), 5, "the lease of the page that was being fetched")
	for range 2 {
		left, err := result[int](t, b, b.PurgeIndex, in)
		require.NoError(t, err)
		require.Zero(t, left)
		require.NoError(t, run(t, b, b.ForgetSource, in))
	}
	require.Zero(t, indexed(t, b, key))
	wait, err = result[time.Duration](t, b, b.PurgeWait, in)
	require.NoError(t, err)
	require.Zero(t, wait)
}

func TestStopCrawlSucceedsOnceItHasEnded(t *testing.T) {
	t.Parallel()
	answers := []struct {
		ended bool
		err   error
	}{{false, nil}, {false, errors.New("engine is away")}, {true, nil}}
	asked := 0
	b := activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Engine = &activitiestest.Engine{StopCrawlFunc: func(context.Context, string, string) (bool, error) {
			asked++
			return answers[asked-1].ended, answers[asked-1].err
		}}
	})
	in := schemas.PurgeInput{Product: product, Source: "ks_1"}
	requireFailure(t, run(t, b, b.StopCrawl, in), schemas.Unavailable, false)
	require.ErrorContains(t, run(t, b, b.StopCrawl, in), "engine is away")
	require.NoError(t, run(t, b, b.StopCrawl, in))
}
