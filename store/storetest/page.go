package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func pageTests() tests {
	return tests{
		"an indexed page":                 pageIndexed,
		"a record without its lease":      recordFenced,
		"links go into the frontier":      recordLinks,
		"a page for later":                recordLater,
		"an unchanged page keeps its all": recordUnchanged,
		"a version takes over":            versionTakesOver,
		"a page that is lost answers not": pageLost,
		"the text of another page":        recordDuplicate,
		"one text found by many at once":  duplicateAtOnce,
		"live is asked of many":           liveOfMany,
		"pages are listed by state":       pagesByState,
	}
}

// record writes a result of a first run and expects the lease to hold.
func (f *fixture) record(t *testing.T, source string, r store.PageResult) {
	t.Helper()
	taken, _, err := f.RecordPage(f.ctx, north, source, 1, r, wide)
	require.NoError(t, err)
	require.True(t, taken)
}

func indexed(lease store.Lease, text string) store.PageResult {
	return store.PageResult{
		Lease: lease, State: schemas.PageIndexed, Reason: schemas.ReasonIndexed, Title: "Title of " + lease.URL,
		NewETag: `"e"`, NewLastModified: "yesterday", NewHash: schemas.BodyHash(text), Markdown: text, Chunks: 2,
	}
}

// index records a page of a first run as indexed and says whether that counts.
func (f *fixture) index(t *testing.T, source string, lease store.Lease, text string) (taken bool) {
	t.Helper()
	taken, duplicate, err := f.RecordPage(f.ctx, north, source, 1, indexed(lease, text), wide)
	require.NoError(t, err)
	require.False(t, duplicate)
	return taken
}

func (f *fixture) live(t *testing.T, refs ...store.DocumentRef) []bool {
	t.Helper()
	live, err := f.Live(f.ctx, north, refs)
	require.NoError(t, err)
	return live
}

func (f *fixture) chunks(t *testing.T, source string) int {
	t.Helper()
	n, err := f.IndexedChunks(f.ctx, north, source)
	require.NoError(t, err)
	return n
}

// leased makes a source with the page "a" and leases it.
func (f *fixture) leased(t *testing.T) (source string, lease store.Lease) {
	t.Helper()
	source = f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, []store.NewPage{newPage("a", 0)}, wide))
	return source, f.lease(t, source, "1/1", 1)[0]
}

// retake leases the page of a source once more, in a second run.
func (f *fixture) retake(t *testing.T, source string) store.Lease {
	t.Helper()
	f.fail(t, source)
	_, run, err := f.CreateSource(f.ctx, north, sourceSpec(site), store.Idempotency{})
	require.NoError(t, err)
	leases, err := f.LeasePages(f.ctx, north, source, run, "2/1", 1, f.clock.now().Add(time.Minute))
	require.NoError(t, err)
	require.Len(t, leases, 1)
	return leases[0]
}

func pageIndexed(t *testing.T, f *fixture) {
	source, lease := f.leased(t)
	now := at(f.clock.advance(time.Second))
	require.True(t, f.index(t, source, lease, "text of a"))
	list, err := f.Pages(f.ctx, north, source, "", store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Page{{
		URL: site + "a", Title: "Title of " + site + "a", State: schemas.PageIndexed, Reason: schemas.ReasonIndexed, Chunks: 2, FetchedAt: &now,
	}}, list.Items)
	require.Equal(t, 2, f.chunks(t, source))
	events := f.drainOf(t, schemas.EventPage)
	require.Len(t, events, 1)
	require.Equal(t, source, events[0].Subject)
	require.Equal(t, "indexed", events[0].Outcome)
	require.EqualValues(t, 2, events[0].Size)
	require.False(t, f.index(t, source, lease, "text of a"), "a lease ends with its record")
	require.Empty(t, f.drain(t))
}

func recordFenced(t *testing.T, f *fixture) {
	source, old := f.leased(t)
	f.lease(t, source, "1/1", 1)
	late := indexed(old, "late")
	late.Links = []store.NewPage{newPage("found", 1)}
	taken, _, err := f.RecordPage(f.ctx, north, source, 1, late, wide)
	require.NoError(t, err)
	require.False(t, taken)
	require.Equal(t, map[string]string{site + "a": "leased"}, f.pages(t, source))
	require.Zero(t, f.chunks(t, source))
	require.Empty(t, f.drain(t))
	taken, _, err = f.RecordPage(f.ctx, north, source, 1, store.PageResult{Lease: old, RetryAt: f.clock.now()}, wide)
	require.NoError(t, err)
	require.False(t, taken)
}

func recordLinks(t *testing.T, f *fixture) {
	source, lease := f.leased(t)
	r := indexed(lease, "text")
	r.Links = []store.NewPage{newPage("b", 1), newPage("c", 1), newPage("a", 1), {URL: site + "x", PathKey: site + "x", Reason: schemas.ReasonLimit}}
	taken, _, err := f.RecordPage(f.ctx, north, source, 1, r, store.FrontierLimits{Pages: 2, Variants: 1})
	require.NoError(t, err)
	require.True(t, taken)
	require.Equal(t, map[string]string{
		site + "a": "indexed indexed", site + "b": "pending", site + "c": "skipped limit", site + "x": "skipped limit",
	}, f.pages(t, source))
}

func recordLater(t *testing.T, f *fixture) {
	source, lease := f.leased(t)
	later := f.clock.now().Add(5 * time.Second)
	f.record(t, source, store.PageResult{Lease: lease, State: schemas.PageFailed, Reason: schemas.ReasonStatus, Detail: "503", RetryAt: later})
	require.Equal(t, map[string]string{site + "a": "pending status"}, f.pages(t, source))
	require.Empty(t, f.drain(t), "it has not come to an end")
	require.Empty(t, f.lease(t, source, "1/1", 1), "not even its owner has it before its time")
	f.clock.advance(5 * time.Second)
	again := f.lease(t, source, "1/2", 1)
	require.Len(t, again, 1)
	require.Equal(t, 1, again[0].Tries)
	f.record(t, source, store.PageResult{Lease: again[0], RetryAt: f.clock.now()})
	again = f.lease(t, source, "1/3", 1)
	require.Len(t, again, 1)
	require.Equal(t, 1, again[0].Tries, "a page that is put off was not fetched")
	require.False(t, f.index(t, source, lease, "text"))
	require.True(t, f.index(t, source, again[0], "text"))
}

func recordUnchanged(t *testing.T, f *fixture) {
	source, first := f.leased(t)
	f.index(t, source, first, "text")
	lease := f.retake(t, source)
	require.Equal(t, store.Lease{
		URL: first.URL, ID: first.ID, ETag: `"e"`, LastModified: "yesterday", Hash: schemas.BodyHash("text"),
		Token: lease.Token, Version: first.Version + 1, Current: first.Version,
	}, lease)
	taken, duplicate, err := f.RecordPage(f.ctx, north, source, 2,
		store.PageResult{Lease: lease, State: schemas.PageIndexed, Reason: schemas.ReasonUnchanged}, wide)
	require.NoError(t, err)
	require.True(t, taken)
	require.False(t, duplicate)
	require.Equal(t, 2, f.chunks(t, source))
	require.Equal(t, []bool{true}, f.live(t, store.DocumentRef{Source: source, Document: first.ID, Version: first.Version}))
	list, err := f.Pages(f.ctx, north, source, schemas.PageIndexed, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, schemas.ReasonUnchanged, list.Items[0].Reason)
	require.Equal(t, "Title of "+site+"a", list.Items[0].Title)
}

func versionTakesOver(t *testing.T, f *fixture) {
	source, first := f.leased(t)
	f.index(t, source, first, "old")
	lease := f.retake(t, source)
	old := store.DocumentRef{Source: source, Document: first.ID, Version: first.Version}
	new := store.DocumentRef{Source: source, Document: first.ID, Version: lease.Version}
	require.Equal(t, []bool{true, false}, f.live(t, old, new))
	taken, _, err := f.RecordPage(f.ctx, north, source, 2, indexed(lease, "new"), wide)
	require.NoError(t, err)
	require.True(t, taken)
	require.Equal(t, []bool{false, true}, f.live(t, old, new), "in one moment")
	documents, err := f.Documents(f.ctx, north, source)
	require.NoError(t, err)
	require.Equal(t, []store.DocumentRef{new}, documents)
}

func pageLost(t *testing.T, f *fixture) {
	for _, lost := range []store.PageResult{
		{State: schemas.PageFailed, Reason: schemas.ReasonStatus, Detail: "404"},
		{State: schemas.PageSkipped, Reason: schemas.ReasonNoIndex},
	} {
		source, first := f.leased(t)
		f.index(t, source, first, "old")
		lost.Lease = f.retake(t, source)
		taken, _, err := f.RecordPage(f.ctx, north, source, 2, lost, wide)
		require.NoError(t, err)
		require.True(t, taken)
		require.Equal(t, []bool{false}, f.live(t, store.DocumentRef{Source: source, Document: first.ID, Version: first.Version}))
		require.Zero(t, f.chunks(t, source))
		documents, err := f.Documents(f.ctx, north, source)
		require.NoError(t, err)
		require.Equal(t, []store.DocumentRef{{Source: source, Document: first.ID}}, documents, "0: nothing of it answers")
		require.NoError(t, f.DeleteSource(f.ctx, north, source))
	}
}

func recordDuplicate(t *testing.T, f *fixture) {
	source := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, []store.NewPage{newPage("a", 0), newPage("b", 0), newPage("c", 0)}, wide))
	leases := f.lease(t, source, "1/1", 3)
	hash := schemas.BodyHash("same text")
	twin := func(of store.Lease) bool {
		twin, err := f.HasTwin(f.ctx, north, source, of.ID, hash)
		require.NoError(t, err)
		return twin
	}
	require.False(t, twin(leases[1]))
	require.True(t, f.index(t, source, leases[0], "same text"))
	require.True(t, twin(leases[1]))
	require.False(t, twin(leases[0]), "a page is not its own twin")

	r := indexed(leases[1], "same text")
	r.Links = []store.NewPage{newPage("d", 1)}
	taken, duplicate, err := f.RecordPage(f.ctx, north, source, 1, r, wide)
	require.NoError(t, err)
	require.True(t, taken)
	require.True(t, duplicate)
	require.True(t, f.index(t, source, leases[2], "another text"))
	require.Equal(t, map[string]string{
		site + "a": "indexed indexed", site + "b": "skipped duplicate", site + "c": "indexed indexed", site + "d": "pending",
	}, f.pages(t, source))
	require.Equal(t, 4, f.chunks(t, source))
	require.Equal(t, []bool{true, false}, f.live(t,
		store.DocumentRef{Source: source, Document: leases[0].ID, Version: 1},
		store.DocumentRef{Source: source, Document: leases[1].ID, Version: 1}))
}

func duplicateAtOnce(t *testing.T, f *fixture) {
	source := f.source(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var found []store.NewPage
	for _, name := range names {
		found = append(found, newPage(name, 0))
	}
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, found, wide))
	leases := f.lease(t, source, "1/1", len(names))
	err := together(len(names), func(i int) error {
		_, _, err := f.RecordPage(f.ctx, north, source, 1, indexed(leases[i], "same text"), wide)
		return err
	})
	require.NoError(t, err)
	got, err := f.Source(f.ctx, north, source)
	require.NoError(t, err)
	require.Equal(t, schemas.PageCounts{Total: 8, Indexed: 1, Skipped: 7}, got.Pages)
}

func liveOfMany(t *testing.T, f *fixture) {
	source, lease := f.leased(t)
	f.index(t, source, lease, "text")
	mine := store.DocumentRef{Source: source, Document: lease.ID, Version: lease.Version}
	require.Empty(t, f.live(t))
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, []store.NewPage{newPage("b", 0)}, wide))
	require.Equal(t, []bool{true, false, false, false, false, true}, f.live(t,
		mine,
		store.DocumentRef{Source: source, Document: store.DocumentID(source, site+"b")}, // 0 is no version
		store.DocumentRef{Source: source, Document: lease.ID, Version: lease.Version + 1},
		store.DocumentRef{Source: "ks_none", Document: lease.ID, Version: lease.Version},
		store.DocumentRef{Source: source, Document: "doc_none", Version: lease.Version},
		mine,
	))
	live, err := f.Live(f.ctx, south, []store.DocumentRef{mine})
	require.NoError(t, err)
	require.Equal(t, []bool{false}, live)
}

func pagesByState(t *testing.T, f *fixture) {
	source := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, []store.NewPage{
		newPage("a", 0), newPage("b", 0), newPage("c", 0), newPage("d", 0), newPage("e", 1), {URL: site + "x", PathKey: site + "x", Reason: schemas.ReasonTrap},
	}, wide))
	leases := f.lease(t, source, "1/1", 4)
	f.index(t, source, leases[0], "text of a")
	f.record(t, source, store.PageResult{Lease: leases[1], State: schemas.PageFailed, Reason: schemas.ReasonStatus, Detail: "404"})
	f.record(t, source, store.PageResult{Lease: leases[2], State: schemas.PageSkipped, Reason: schemas.ReasonEmpty})
	for state, want := range map[schemas.PageState][]string{
		schemas.PageIndexed: {"a"}, schemas.PageFailed: {"b"}, schemas.PageSkipped: {"c", "x"},
		schemas.PageLeased: {"d"}, schemas.PagePending: {"e"}, "": {"a", "b", "c", "d", "e", "x"},
	} {
		list, err := f.Pages(f.ctx, north, source, state, store.ListOptions{})
		require.NoError(t, err)
		require.Equal(t, len(want), list.Total, state)
		for i, p := range list.Items {
			require.Equal(t, site+want[i], p.URL, state)
		}
	}
	got, err := f.Source(f.ctx, north, source)
	require.NoError(t, err)
	require.Equal(t, schemas.PageCounts{Total: 6, Pending: 2, Indexed: 1, Skipped: 2, Failed: 1}, got.Pages)
}
