package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func frontierTests() tests {
	return tests{
		"known pages stay as they are":    pagesKnown,
		"pages beyond the limit are kept": pagesBeyond,
		"left out pages cost no place":    pagesLeftOut,
		"variants of a path are bounded":  pageVariants,
		"shallow pages come first":        leaseOrder,
		"an owner gets its own again":     leaseAgain,
		"a lease that ended moves on":     leaseEnds,
		"a page is leased by one of many": leaseAtOnce,
		"what is left of a run":           frontierLeft,
	}
}

// wide limits nothing that a test adds.
var wide = store.FrontierLimits{Pages: 10_000, Variants: 100}

func newPage(name string, depth int) store.NewPage {
	return store.NewPage{URL: site + name, PathKey: site + name, Depth: depth}
}

// lease takes at most n pages of a first run for a minute.
func (f *fixture) lease(t *testing.T, source, owner string, n int) []store.Lease {
	t.Helper()
	leases, err := f.LeasePages(f.ctx, north, source, 1, owner, n, f.clock.now().Add(time.Minute))
	require.NoError(t, err)
	return leases
}

func urls(leases []store.Lease) []string {
	urls := []string{}
	for _, l := range leases {
		urls = append(urls, l.URL)
	}
	return urls
}

// pages tells state and reason of each page.
func (f *fixture) pages(t *testing.T, source string) map[string]string {
	t.Helper()
	list, err := f.Pages(f.ctx, north, source, "", store.ListOptions{Limit: 1000})
	require.NoError(t, err)
	require.Equal(t, len(list.Items), list.Total)
	pages := map[string]string{}
	for _, p := range list.Items {
		pages[p.URL] = string(p.State)
		if p.Reason != "" {
			pages[p.URL] += " " + string(p.Reason)
		}
	}
	return pages
}

func pagesKnown(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 3), newPage("b", 0)}, wide))
	lease := f.lease(t, id, "1/1", 1)[0]
	require.Equal(t, site+"b", lease.URL)
	known := []store.NewPage{newPage("a", 0), {URL: site + "b", PathKey: site + "b", Reason: schemas.ReasonRobots}, newPage("c", 1), newPage("c", 2)}
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, known, wide))
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, nil, wide))
	list, err := f.Pages(f.ctx, north, id, "", store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, []schemas.Page{
		{URL: site + "a", State: schemas.PagePending, Depth: 3},
		{URL: site + "b", State: schemas.PageLeased},
		{URL: site + "c", State: schemas.PagePending, Depth: 1},
	}, list.Items)
}

func pagesBeyond(t *testing.T, f *fixture) {
	id := f.source(t)
	var found []store.NewPage
	for i := range 10 {
		found = append(found, newPage(fmt.Sprint(i), 0))
	}
	limits := store.FrontierLimits{Pages: 3, Variants: 5}
	for range 2 { // the second time they are known
		require.NoError(t, f.AddPages(f.ctx, north, id, 1, found, limits))
		require.Equal(t, map[string]string{
			site + "0": "pending", site + "1": "pending", site + "2": "pending",
			site + "3": "skipped limit", site + "4": "skipped limit", site + "5": "skipped limit",
		}, f.pages(t, id))
	}
	require.Len(t, f.lease(t, id, "1/1", 10), 3)
}

func pagesLeftOut(t *testing.T, f *fixture) {
	id := f.source(t)
	found := []store.NewPage{
		{URL: site + "r1", PathKey: site + "r1", Reason: schemas.ReasonRobots},
		{URL: site + "r2", PathKey: site + "r2", Reason: schemas.ReasonTrap},
		newPage("a", 0), newPage("b", 0), newPage("c", 0),
	}
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, found, store.FrontierLimits{Pages: 2, Variants: 5}))
	require.Equal(t, map[string]string{
		site + "r1": "skipped robots", site + "r2": "skipped trap", site + "a": "pending", site + "b": "pending",
	}, f.pages(t, id))
}

func pageVariants(t *testing.T, f *fixture) {
	id := f.source(t)
	limits := store.FrontierLimits{Pages: 100, Variants: 2}
	var found []store.NewPage
	for i := range 4 {
		found = append(found, store.NewPage{URL: fmt.Sprintf("%slist?page=%d", site, i), PathKey: site + "list"})
	}
	found = append(found, newPage("list", 0), newPage("other", 0))
	for range 2 {
		require.NoError(t, f.AddPages(f.ctx, north, id, 1, found, limits))
		require.Equal(t, map[string]string{
			site + "list?page=0": "pending", site + "list?page=1": "pending", site + "list": "pending", site + "other": "pending",
		}, f.pages(t, id), "a page without a query is always taken in")
	}
}

func leaseOrder(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{
		newPage("d", 2), newPage("b", 1), newPage("a", 1), newPage("c", 0),
	}, wide))
	first := f.lease(t, id, "1/1", 3)
	require.Equal(t, []string{site + "c", site + "a", site + "b"}, urls(first))
	for _, l := range first {
		require.Equal(t, first[0].Token, l.Token)
		require.Equal(t, store.DocumentID(id, l.URL), l.ID)
		require.EqualValues(t, 1, l.Version)
		require.Zero(t, l.Current)
		require.Zero(t, l.Tries)
	}
	require.Equal(t, []string{site + "d"}, urls(f.lease(t, id, "1/2", 3)))
	require.Empty(t, f.lease(t, id, "1/3", 3))
}

func leaseAgain(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{
		newPage("a", 1), newPage("b", 1), newPage("c", 1),
	}, wide))
	other := f.lease(t, id, "1/1", 1)
	mine := f.lease(t, id, "1/2", 2)
	require.Equal(t, []string{site + "b", site + "c"}, urls(mine))
	f.index(t, id, mine[0], "text of b")

	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("d", 0), newPage("e", 2)}, wide))
	again := f.lease(t, id, "1/2", 1)
	require.Equal(t, []string{site + "c"}, urls(again), "its own before any other; none that is done")
	require.NotEqual(t, mine[1].Token, again[0].Token)
	require.Zero(t, again[0].Tries, "a fetch that was cut says nothing of the page")
	require.Greater(t, again[0].Version, mine[1].Version, "what the first fetch indexed has another number")
	require.False(t, f.index(t, id, mine[1], "text of the first try"), "the first try is fenced off")
	again = f.lease(t, id, "1/2", 2)
	require.Equal(t, []string{site + "d", site + "c"}, urls(again), "then the shallow ones")
	require.True(t, f.index(t, id, again[1], "text of c"))
	require.True(t, f.index(t, id, other[0], "text of a"))
}

func leaseEnds(t *testing.T, f *fixture) {
	id := f.source(t)
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0)}, wide))
	old := f.lease(t, id, "1/1", 1)
	f.clock.advance(time.Minute - time.Millisecond)
	require.Empty(t, f.lease(t, id, "1/2", 1))
	f.clock.advance(time.Millisecond)
	moved := f.lease(t, id, "1/2", 1)
	require.Equal(t, urls(old), urls(moved))
	require.False(t, f.index(t, id, old[0], "too late"))
	require.Empty(t, f.lease(t, id, "1/1", 1), "it is not the old owner's any more")
	require.True(t, f.index(t, id, moved[0], "in time"))
}

func leaseAtOnce(t *testing.T, f *fixture) {
	id := f.source(t)
	var found []store.NewPage
	for i := range 100 {
		found = append(found, newPage(fmt.Sprint(i), i%3))
	}
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, found, wide))
	var mu sync.Mutex
	owners := map[string]int{}
	err := together(12, func(i int) error {
		leases, err := f.LeasePages(f.ctx, north, id, 1, fmt.Sprint("1/", i), 9, f.clock.now().Add(time.Minute))
		mu.Lock()
		defer mu.Unlock()
		for _, l := range leases {
			owners[l.URL]++
		}
		return err
	})
	require.NoError(t, err)
	require.Len(t, owners, 100)
	for url, n := range owners {
		require.Equal(t, 1, n, url)
	}
}

func frontierLeft(t *testing.T, f *fixture) {
	id := f.source(t)
	left := func() store.Frontier {
		left, err := f.Frontier(f.ctx, north, id)
		require.NoError(t, err)
		return left
	}
	never := time.UnixMilli(0).UTC()
	require.Equal(t, store.Frontier{Next: never}, left())
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("a", 0), newPage("b", 0)}, wide))
	require.Equal(t, store.Frontier{Pending: 2, Next: never}, left(), "at once")
	leases := f.lease(t, id, "1/1", 2)
	ends := f.clock.now().Add(time.Minute)
	require.Equal(t, store.Frontier{Leased: 2, Next: ends}, left())
	soon := f.clock.now().Add(10 * time.Second)
	f.record(t, id, store.PageResult{Lease: leases[0], RetryAt: soon})
	require.Equal(t, store.Frontier{Pending: 1, Leased: 1, Next: soon}, left())
	f.record(t, id, store.PageResult{Lease: leases[1], RetryAt: ends.Add(time.Hour)})
	require.Equal(t, store.Frontier{Pending: 2, Next: soon}, left())
	f.clock.advance(10 * time.Second)
	f.index(t, id, f.lease(t, id, "1/2", 1)[0], "text")
	require.Equal(t, store.Frontier{Pending: 1, Next: ends.Add(time.Hour)}, left())
	f.clock.advance(2 * time.Hour)
	f.index(t, id, f.lease(t, id, "1/3", 1)[0], "another text")
	require.Equal(t, store.Frontier{Next: never}, left())
}
