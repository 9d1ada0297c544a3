package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func sourceTests() tests {
	return tests{
		"a source comes back whole":        sourceWhole,
		"the same URL is the same source":  sourceSame,
		"a URL added by many at once":      sourceAtOnce,
		"a failed source begins again":     sourceRestarts,
		"a key binds a body":               sourceKey,
		"a crawl ends once":                crawlEndsOnce,
		"a deleted source is not there":    sourceDeleted,
		"the crawl of a deleted is over":   sourceDeletedCrawl,
		"purge waits for leases":           purgeWaits,
		"forget empties a deleted source":  forget,
		"sources that nothing has moved":   sourcesStale,
		"live sources":                     sourcesLive,
		"an old run of a source is over":   oldRunOver,
		"a source that is missing":         sourceMissing,
		"the URL of a deleted one is free": sourceURLFree,
	}
}

func sourceSpec(url string) schemas.SourceSpec {
	pages, delay := 7, 0
	return schemas.SourceSpec{
		Type: schemas.SourceURL, URL: url, Name: "Help of " + url,
		Crawl: schemas.CrawlOptions{MaxPages: &pages, DelayMs: &delay},
	}
}

const site = "https://help.example/"

// source makes a source of north for site, in its first run.
func (f *fixture) source(t *testing.T) string {
	t.Helper()
	source, run, err := f.CreateSource(f.ctx, north, sourceSpec(site), store.Idempotency{})
	require.NoError(t, err)
	require.EqualValues(t, 1, run)
	return source.ID
}

// fail ends the first run of a source.
func (f *fixture) fail(t *testing.T, source string) {
	t.Helper()
	require.NoError(t, f.FinishCrawl(f.ctx, north, source, 1, schemas.SourceFailed, "no answer"))
}

func sourceWhole(t *testing.T, f *fixture) {
	spec := sourceSpec(site)
	made, run, err := f.CreateSource(f.ctx, north, spec, store.Idempotency{})
	require.NoError(t, err)
	require.EqualValues(t, 1, run)
	require.Equal(t, schemas.Source{
		ID: made.ID, Name: spec.Name, Type: schemas.SourceURL, URL: site, Status: schemas.SourceIndexing,
		Crawl: spec.Crawl, CreatedAt: at(f.clock.now()),
	}, made)
	read, err := f.Source(f.ctx, north, made.ID)
	require.NoError(t, err)
	require.Equal(t, made, read)
	list, err := f.Sources(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Source{made}, list.Items)
}

func sourceSame(t *testing.T, f *fixture) {
	id := f.source(t)
	for _, status := range []schemas.SourceStatus{schemas.SourceIndexing, schemas.SourceReady} {
		again, run, err := f.CreateSource(f.ctx, north, sourceSpec(site), store.Idempotency{})
		require.NoError(t, err)
		require.Equal(t, id, again.ID)
		require.EqualValues(t, 1, run)
		require.Equal(t, status, again.Status)
		require.NoError(t, f.FinishCrawl(f.ctx, north, id, 1, schemas.SourceReady, ""))
	}
	other, _, err := f.CreateSource(f.ctx, south, sourceSpec(site), store.Idempotency{})
	require.NoError(t, err)
	require.NotEqual(t, id, other.ID)
	other, _, err = f.CreateSource(f.ctx, north, sourceSpec(site+"docs/"), store.Idempotency{})
	require.NoError(t, err)
	require.NotEqual(t, id, other.ID)
}

func sourceAtOnce(t *testing.T, f *fixture) {
	var ids sync.Map
	err := together(20, func(i int) error {
		var key store.Idempotency
		if i%2 == 0 {
			key = store.Idempotency{Key: "k", BodyHash: "h"}
		}
		source, _, err := f.CreateSource(f.ctx, north, sourceSpec(site), key)
		ids.Store(source.ID, true)
		return err
	})
	require.NoError(t, err)
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	require.Equal(t, 1, n)
}

func sourceRestarts(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{
		newPage("a", 0), newPage("b", 0), newPage("c", 1), {URL: site + "deep", PathKey: site + "deep", Reason: schemas.ReasonLimit},
	}, wide))
	leases := f.lease(t, id, "1/1", 3)
	require.True(t, f.index(t, id, leases[0], "text of a"))
	f.record(t, id, store.PageResult{Lease: leases[1], State: schemas.PageFailed, Reason: schemas.ReasonNetwork, Detail: "refused"})
	f.fail(t, id)

	spec, deeper := sourceSpec(site), 20
	spec.Name, spec.Crawl.MaxDepth = "Renamed", &deeper
	source, run, err := f.CreateSource(f.ctx, north, spec, store.Idempotency{})
	require.NoError(t, err)
	require.Equal(t, id, source.ID)
	require.EqualValues(t, 2, run)
	require.Equal(t, schemas.SourceIndexing, source.Status)
	require.Empty(t, source.Reason)
	require.Equal(t, "Renamed", source.Name)
	require.Equal(t, 20, source.Crawl.Depth(), "the run follows the options given now")
	require.Equal(t, map[string]string{
		site + "a": "pending", site + "b": "pending", site + "c": "pending",
	}, f.pages(t, id), "what was left out is for the run to find")

	_, _, err = f.RecordPage(f.ctx, north, id, 1, store.PageResult{Lease: leases[2], State: schemas.PageIndexed}, wide)
	requireCode(t, schemas.Gone, err)
	again, err := f.LeasePages(f.ctx, north, id, 2, "2/1", 9, f.clock.now().Add(time.Minute))
	require.NoError(t, err)
	require.Len(t, again, 3)
	require.Zero(t, again[1].Tries, "tries are counted by run")
	require.Equal(t, leases[0].Version, again[0].Current, "the old text answers until there is a new one")
	require.Greater(t, again[0].Version, leases[0].Version)
}

func sourceKey(t *testing.T, f *fixture) {
	key := store.Idempotency{Key: "k", BodyHash: "body"}
	made, _, err := f.CreateSource(f.ctx, north, sourceSpec(site), key)
	require.NoError(t, err)
	again, run, err := f.CreateSource(f.ctx, north, sourceSpec(site), key)
	require.NoError(t, err)
	require.Equal(t, made, again)
	require.EqualValues(t, 1, run)
	_, _, err = f.CreateSource(f.ctx, north, sourceSpec(site+"x"), store.Idempotency{Key: "k", BodyHash: "other body"})
	requireCode(t, schemas.IdempotencyMismatch, err)

	require.NoError(t, f.DeleteSource(f.ctx, north, made.ID))
	fresh, _, err := f.CreateSource(f.ctx, north, sourceSpec(site+"x"), store.Idempotency{Key: "k", BodyHash: "other body"})
	require.NoError(t, err)
	require.NotEqual(t, made.ID, fresh.ID)
}

func crawlEndsOnce(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0), newPage("b", 0)}, wide))
	leases := f.lease(t, id, "1/1", 2)
	f.index(t, id, leases[0], "text of a")
	f.record(t, id, store.PageResult{Lease: leases[1], State: schemas.PageFailed, Reason: schemas.ReasonStatus, Detail: "404"})
	ended := f.clock.advance(time.Minute)
	require.NoError(t, f.FinishCrawl(f.ctx, north, id, 7, schemas.SourceFailed, "another run's"))
	require.NoError(t, f.FinishCrawl(f.ctx, north, id, 1, schemas.SourceReady, ""))
	f.clock.advance(time.Minute)
	f.fail(t, id)

	source, err := f.Source(f.ctx, north, id)
	require.NoError(t, err)
	require.Equal(t, schemas.SourceReady, source.Status)
	require.Empty(t, source.Reason)
	require.Equal(t, at(ended), *source.LastCrawledAt)
	require.Equal(t, schemas.PageCounts{Total: 2, Indexed: 1, Failed: 1}, source.Pages)
	events := f.drainOf(t, schemas.EventCrawl)
	require.Len(t, events, 1)
	require.Equal(t, id, events[0].Subject)
	require.Equal(t, "ready", events[0].Outcome)
	require.EqualValues(t, 1, events[0].Size)
}

func sourceDeleted(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0)}, wide))
	lease := f.lease(t, id, "1/1", 1)[0]
	f.index(t, id, lease, "text of a")
	ref := store.DocumentRef{Source: id, Document: lease.ID, Version: lease.Version}
	require.Equal(t, []bool{true}, f.live(t, ref))

	require.NoError(t, f.DeleteSource(f.ctx, north, id))
	require.Equal(t, []bool{false}, f.live(t, ref))
	_, err := f.Source(f.ctx, north, id)
	requireCode(t, schemas.NotFound, err)
	_, err = f.Pages(f.ctx, north, id, "", store.ListOptions{})
	requireCode(t, schemas.NotFound, err)
	list, err := f.Sources(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, list.Items)
	require.Zero(t, list.Total)
	alive, err := f.LiveSources(f.ctx, north, nil)
	require.NoError(t, err)
	require.Empty(t, alive)
	requireCode(t, schemas.NotFound, f.DeleteSource(f.ctx, north, id))
}

func sourceDeletedCrawl(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0)}, wide))
	lease := f.lease(t, id, "1/1", 1)[0]
	f.drain(t)
	require.NoError(t, f.DeleteSource(f.ctx, north, id))

	requireCode(t, schemas.Gone, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("b", 0)}, wide))
	_, err := f.LeasePages(f.ctx, north, id, 1, "1/1", 1, f.clock.now().Add(time.Minute))
	requireCode(t, schemas.Gone, err)
	_, _, err = f.RecordPage(f.ctx, north, id, 1, store.PageResult{Lease: lease, State: schemas.PageIndexed, Chunks: 1}, wide)
	requireCode(t, schemas.Gone, err)
	require.NoError(t, f.FinishCrawl(f.ctx, north, id, 1, schemas.SourceReady, ""))
	require.Empty(t, f.drain(t))
	n, err := f.IndexedChunks(f.ctx, north, id)
	require.NoError(t, err)
	require.Zero(t, n)
}

func purgeWaits(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0), newPage("b", 0), newPage("c", 0)}, wide))
	_, err := f.LeasePages(f.ctx, north, id, 1, "1/1", 1, f.clock.now().Add(time.Minute))
	require.NoError(t, err)
	_, err = f.LeasePages(f.ctx, north, id, 1, "1/2", 1, f.clock.now().Add(2*time.Minute))
	require.NoError(t, err)
	require.NoError(t, f.DeleteSource(f.ctx, north, id))
	until, err := f.PurgeReady(f.ctx, north, id)
	require.NoError(t, err)
	require.Equal(t, f.clock.now().Add(2*time.Minute), until)
}

func forget(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0)}, wide))
	lease := f.lease(t, id, "1/1", 1)[0]
	f.index(t, id, lease, "text of a")
	ref := store.DocumentRef{Source: id, Document: lease.ID, Version: lease.Version}

	requireCode(t, schemas.NotFound, f.ForgetSource(f.ctx, north, id))
	require.Equal(t, []bool{true}, f.live(t, ref), "a source that lives is not emptied")
	requireCode(t, schemas.NotFound, f.ForgetSource(f.ctx, north, "ks_none"))

	require.NoError(t, f.DeleteSource(f.ctx, north, id))
	documents, err := f.Documents(f.ctx, north, id)
	require.NoError(t, err)
	require.Equal(t, []store.DocumentRef{ref}, documents)
	for range 2 {
		require.NoError(t, f.ForgetSource(f.ctx, north, id), "once more changes nothing")
		documents, err = f.Documents(f.ctx, north, id)
		require.NoError(t, err)
		require.Empty(t, documents)
		until, err := f.PurgeReady(f.ctx, north, id)
		require.NoError(t, err)
		require.Equal(t, time.UnixMilli(0).UTC(), until)
	}
	requireCode(t, schemas.NotFound, f.DeleteSource(f.ctx, north, id))
}

func sourcesStale(t *testing.T, f *fixture) {
	crawling := f.source(t)
	f.clock.advance(time.Second)
	specs := []string{site + "ready/", site + "gone/", site + "purged/", site + "touched/"}
	ids := make([]string, len(specs))
	for i, url := range specs {
		source, _, err := f.CreateSource(f.ctx, north, sourceSpec(url), store.Idempotency{})
		require.NoError(t, err)
		ids[i] = source.ID
	}
	require.NoError(t, f.FinishCrawl(f.ctx, north, ids[0], 1, schemas.SourceReady, ""))
	require.NoError(t, f.DeleteSource(f.ctx, north, ids[1]))
	require.NoError(t, f.DeleteSource(f.ctx, north, ids[2]))
	require.NoError(t, f.ForgetSource(f.ctx, north, ids[2]))
	f.clock.advance(time.Minute)
	require.NoError(t, f.TouchSource(f.ctx, north, ids[3]))

	want := []store.StaleSource{
		{Product: north, Source: crawling, Run: 1},
		{Product: north, Source: ids[1], Run: 1, Deleted: true},
	}
	stale, err := f.StaleSources(f.ctx, f.clock.now(), 10)
	require.NoError(t, err)
	require.Equal(t, want, stale)
	stale, err = f.StaleSources(f.ctx, f.clock.now(), 1)
	require.NoError(t, err)
	require.Equal(t, want[:1], stale)
	f.lease(t, crawling, "1/1", 1)
	stale, err = f.StaleSources(f.ctx, f.clock.now(), 10)
	require.NoError(t, err)
	require.Equal(t, want[1:], stale, "a batch is a sign of life")
}

func sourcesLive(t *testing.T, f *fixture) {
	a := f.source(t)
	b, _, err := f.CreateSource(f.ctx, north, sourceSpec(site+"b/"), store.Idempotency{})
	require.NoError(t, err)
	other, _, err := f.CreateSource(f.ctx, south, sourceSpec(site), store.Idempotency{})
	require.NoError(t, err)
	f.fail(t, a)
	for _, c := range []struct{ named, want []string }{
		{nil, []string{a, b.ID}},
		{[]string{b.ID, other.ID, "ks_none"}, []string{b.ID}},
		{[]string{other.ID}, []string{}},
	} {
		live, err := f.LiveSources(f.ctx, north, c.named)
		require.NoError(t, err)
		require.Equal(t, c.want, live)
	}
}

func oldRunOver(t *testing.T, f *fixture) {
	id := f.source(t)
	for _, run := range []int64{0, 2} {
		requireCode(t, schemas.Gone, f.AddPages(f.ctx, north, id, run, []store.NewPage{newPage("a", 0)}, wide))
		_, err := f.LeasePages(f.ctx, north, id, run, "o", 1, f.clock.now())
		requireCode(t, schemas.Gone, err)
	}
	require.Empty(t, f.pages(t, id))
}

func sourceMissing(t *testing.T, f *fixture) {
	_, err := f.Source(f.ctx, north, "ks_none")
	requireCode(t, schemas.NotFound, err)
	_, err = f.Pages(f.ctx, north, "ks_none", "", store.ListOptions{})
	requireCode(t, schemas.NotFound, err)
	requireCode(t, schemas.NotFound, f.DeleteSource(f.ctx, north, "ks_none"))
	requireCode(t, schemas.Gone, f.AddPages(f.ctx, north, "ks_none", 1, nil, wide))
	require.NoError(t, f.TouchSource(f.ctx, north, "ks_none"))
}

func sourceURLFree(t *testing.T, f *fixture) {
	ids := map[string]bool{}
	for range 3 {
		id := f.source(t)
		require.False(t, ids[id], "an id is never used twice")
		ids[id] = true
		require.NoError(t, f.DeleteSource(f.ctx, north, id))
	}
}
