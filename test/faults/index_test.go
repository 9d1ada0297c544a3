package faults

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/harness"
	"runa/test/runatest"
)

// indexPages is how many pages each site has.
const indexPages = 12

// TestIndexAway harms the way to Elasticsearch while a site is crawled and
// chats ask for knowledge, in each way for a while.
func TestIndexAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.start()
	first := &site{rig: r, World: &harness.World{T: t, Alive: r.alive, Site: harness.NewSite(t, indexPages, 0)}}
	first.register("first")
	chunks := first.awaitIndexed()
	require.False(t, ask(r, &tally{}).Degraded)
	status := func(code int, kind string) func() {
		return func() {
			r.indexHTTP.Set(Refused(code, fmt.Sprintf(`{"error":{"type":%q,"reason":"spoiled"},"status":%d}`, kind, code)))
		}
	}
	for i, c := range []struct {
		name  string
		fault func()
		// degraded says that searches fail too; else only bulk requests do.
		degraded bool
		lasts    time.Duration
	}{
		{"away", r.index.Refuse, true, 8 * time.Second},
		{"429", status(429, "es_rejected_execution_exception"), true, 8 * time.Second},
		{"503", status(503, "cluster_block_exception"), true, 8 * time.Second},
		{"stalled", func() { r.index.Set(Fault{Stall: true}) }, true, 30 * time.Second},
		{"slow by 2 s", func() { r.index.Set(Fault{Delay: 2 * time.Second}) }, true, 8 * time.Second},
		{"answers cut short", func() { r.indexHTTP.Set(CutShort) }, true, 8 * time.Second},
		{"answers ended", func() { r.index.Set(Fault{HalfClose: true}) }, true, 8 * time.Second},
		{"some items 429, 503, 409", func() { r.indexHTTP.Set(Mixed(429, 503, 409)) }, false, 8 * time.Second},
		{"some items 400", func() { r.indexHTTP.Set(Mixed(400)) }, false, 8 * time.Second},
	} {
		c.fault()
		began, before := time.Now(), r.indexHTTP.Spoiled()
		s := &site{rig: r, World: &harness.World{T: t, Alive: r.alive, Site: harness.NewSite(t, indexPages, 0)}}
		s.register(fmt.Sprint("site", i))
		var chats tally
		degraded, asked := 0, 0
		for ; time.Since(began) < c.lasts; asked++ {
			if ask(r, &chats).Degraded {
				degraded++
			}
			harness.Pause(100 * time.Millisecond)
		}
		failed := fails(t, r.api)
		var searches tally
		probe(t, r.api, &searches, runatest.Request{
			Method: http.MethodPost, Path: "/v1/knowledge/search", Body: map[string]any{"query": "joint"},
		})
		r.indexHTTP.Set(nil)
		r.index.Pass()
		ended := time.Now()
		chunks += s.awaitIndexed()
		took := time.Since(ended)
		t.Logf("index %s for %s: chats %s, degraded %d of %d; searches %s; failed checks %v; answers spoiled %d; %d pages indexed %s after",
			c.name, c.lasts, &chats, degraded, asked, &searches, failed, r.indexHTTP.Spoiled()-before, indexPages, ms(took))
		require.Equal(t, map[string]int{"200": asked}, chats.codes, "chats are answered")
		require.Less(t, chats.quantile(1), answerWithin, "and soon")
		if c.degraded {
			require.Equal(t, asked, degraded, "each says that it had no knowledge")
			require.Equal(t, []string{"search"}, failed)
			require.Len(t, searches.codes, searches.codes["200"]+searches.codes["503 unavailable"], "searches %s: %s", &searches, r.log())
			require.Less(t, searches.quantile(1), hangsFor)
		}
		require.False(t, ask(r, &tally{}).Degraded, "the next has it again")
	}
	r.proveIndex(chunks)
	t.Logf("chunks in the index %d, of that many; twice 0", chunks)
}

// ask asks for knowledge in a conversation of its own.
func ask(r *rig, y *tally) (turn schemas.Turn) {
	r.t.Helper()
	a := probe(r.t, r.api, y, runatest.Request{
		Method: http.MethodPost, Path: "/v1/chat", Body: map[string]any{"message": "How often do I clean the joint?", "wait": 60},
	})
	a.JSON(r.t, &turn)
	require.Equal(r.t, schemas.TurnCompleted, turn.Status)
	return turn
}

// site is a site that is crawled in an outage.
type site struct {
	*rig
	*harness.World
	id string
}

func (s *site) register(name string) {
	s.t.Helper()
	none := 0
	status, body := s.Insist(s.t.Context(), "/v1/knowledge", name, schemas.SourceSpec{
		Type: schemas.SourceURL, URL: s.Site.URL + "/help/", Name: name, Crawl: schemas.CrawlOptions{DelayMs: &none},
	})
	require.Equal(s.t, http.StatusOK, status, string(body))
	runatest.Answer{Body: body}.JSON(s.t, &struct {
		ID *string `json:"id"`
	}{&s.id})
}

// awaitIndexed waits until all pages are indexed, and counts their chunks.
func (s *site) awaitIndexed() (chunks int) {
	s.t.Helper()
	var source schemas.Source
	require.Eventually(s.t, func() bool {
		s.Get("/v1/knowledge/"+s.id, &source)
		return source.Status != schemas.SourceIndexing
	}, 2*recovery, 50*time.Millisecond, "the crawl ends")
	require.Equal(s.t, schemas.SourceReady, source.Status, source.Reason)
	require.Equal(s.t, schemas.PageCounts{Total: indexPages, Indexed: indexPages}, source.Pages)
	var list struct {
		Pages []schemas.Page `json:"pages"`
	}
	s.Get("/v1/knowledge/"+s.id+"/pages?limit=100", &list)
	for _, p := range list.Pages {
		chunks += p.Chunks
	}
	return chunks
}

// proveIndex counts the chunks in the index itself, and those that are there
// twice.
func (r *rig) proveIndex(want int) {
	r.t.Helper()
	require.Equal(r.t, want, r.countChunks(""), "chunks in the index")
	var found struct {
		Hits struct {
			Hits []struct {
				Source struct {
					URL string
					N   int
				} `json:"_source"`
			}
		}
	}
	r.Fetch(r.t, http.MethodGet, r.Elasticsearch()+"-chunks/_search?size=10000&_source=url,n", "", &found)
	seen := map[string]bool{}
	for _, hit := range found.Hits.Hits {
		key := fmt.Sprint(hit.Source.URL, "#", hit.Source.N)
		require.False(r.t, seen[key], "%s is there once", key)
		seen[key] = true
	}
	require.Len(r.t, seen, want)
}

// countChunks counts the chunks of a source; "" is all.
func (r *rig) countChunks(source string) int {
	r.t.Helper()
	query := ""
	if source != "" {
		query = "?q=" + url.QueryEscape(`sourceId:"`+source+`"`)
	}
	var answer struct{ Count int }
	r.Fetch(r.t, http.MethodGet, r.Elasticsearch()+"-chunks/_count"+query, "", &answer)
	return answer.Count
}

// TestDeleteWhileTheIndexIsAway deletes a site that is indexed and one that is
// being crawled.
func TestDeleteWhileTheIndexIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.start()
	newSite := func(name string) *site {
		s := &site{rig: r, World: &harness.World{T: t, Alive: r.alive, Site: harness.NewSite(t, indexPages, 100*time.Millisecond)}}
		s.register(name)
		return s
	}
	kept, gone := newSite("kept"), newSite("gone")
	chunks := kept.awaitIndexed()
	require.Positive(t, gone.awaitIndexed())
	crawled := newSite("crawled")
	harness.Pause(500 * time.Millisecond)
	r.index.Refuse()
	var deletes tally
	for _, s := range []*site{gone, crawled} {
		probe(t, r.api, &deletes, runatest.Request{Method: http.MethodDelete, Path: "/v1/knowledge/" + s.id})
	}
	require.Equal(t, map[string]int{"200": 2}, deletes.codes)
	harness.Pause(8 * time.Second)
	r.index.Pass()
	began := time.Now()
	purged := func() bool { return r.query(`SELECT count(*) FROM sources WHERE purged_at IS NOT NULL`) == 2 }
	require.Eventually(t, purged, 6*time.Minute, 500*time.Millisecond, "both are purged")
	took := time.Since(began)
	require.Zero(t, r.countChunks(gone.id))
	require.Zero(t, r.countChunks(crawled.id))
	require.Equal(t, chunks, r.countChunks(kept.id))
	r.proveIndex(chunks)
	t.Logf("deletes answered %s while the index was away; purged %s after it was back; chunks left 0 and 0, of the site that stays %d", &deletes, ms(took), chunks)
}
