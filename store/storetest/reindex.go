package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func reindexTests() tests {
	return tests{
		"a walk sees each page that answers": walkPages,
		"a walk sees one product":            walkOne,
		"products in order":                  walkProducts,
		"leases end with the record":         leasesEnd,
		"leases of deleted sources":          leasesOfDeleted,
	}
}

// walk reads all page texts of a product, two at a time.
func (f *fixture) walk(t *testing.T, product string) (all []store.PageText) {
	t.Helper()
	for at := (store.PagePlace{}); ; {
		some, err := f.PageTexts(f.ctx, product, at, 2)
		require.NoError(t, err)
		if len(some) == 0 {
			return all
		}
		require.LessOrEqual(t, len(some), 2)
		all = append(all, some...)
		last := some[len(some)-1]
		at = store.PagePlace{Source: last.Source, ID: last.Document}
	}
}

func walkPages(t *testing.T, f *fixture) {
	source := f.source(t)
	pages := []store.NewPage{newPage("a", 0), newPage("b", 0), newPage("c", 0), newPage("d", 0), newPage("e", 0)}
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, pages, wide))
	leases := f.lease(t, source, "1/1", 4)
	texts := map[string]string{}
	for _, lease := range leases[:3] {
		require.True(t, f.index(t, source, lease, "text of "+lease.URL))
		texts[lease.URL] = "text of " + lease.URL
	}
	f.record(t, source, store.PageResult{Lease: leases[3], State: schemas.PageSkipped, Reason: schemas.ReasonRobots})
	for _, page := range f.walk(t, north) {
		require.Equal(t, texts[page.URL], page.Markdown)
		require.Equal(t, "Title of "+page.URL, page.Title)
		require.Equal(t, source, page.Source)
		require.Equal(t, []bool{true}, f.live(t, page.DocumentRef))
		delete(texts, page.URL)
	}
	require.Empty(t, texts, "each page that answers is seen once, and no other")
	require.NoError(t, f.DeleteSource(f.ctx, north, source))
	require.Empty(t, f.walk(t, north))
}

func walkOne(t *testing.T, f *fixture) {
	source, lease := f.leased(t)
	require.True(t, f.index(t, source, lease, "text"))
	require.Len(t, f.walk(t, north), 1)
	require.Empty(t, f.walk(t, south))
}

func walkProducts(t *testing.T, f *fixture) {
	seen := []string{}
	for id := ""; ; {
		next, err := f.NextProduct(f.ctx, id)
		require.NoError(t, err)
		if next == "" {
			break
		}
		require.Greater(t, next, id)
		seen = append(seen, next)
		id = next
	}
	require.Equal(t, []string{north, south}, seen)
	require.NoError(t, f.DeleteProduct(f.ctx, north))
	next, err := f.NextProduct(f.ctx, "")
	require.NoError(t, err)
	require.Equal(t, south, next)
}

func leasesEnd(t *testing.T, f *fixture) {
	end, err := f.LeasesEnd(f.ctx)
	require.NoError(t, err)
	require.True(t, end.IsZero())
	source, lease := f.leased(t)
	end, err = f.LeasesEnd(f.ctx)
	require.NoError(t, err)
	require.Equal(t, f.clock.now().Add(time.Minute), end)
	f.requireLeased(t, true, end)
	f.requireLeased(t, false, end.Add(-time.Second))
	require.True(t, f.index(t, source, lease, "text"))
	f.requireLeased(t, false, end)

	f.retake(t, source)
	end, err = f.LeasesEnd(f.ctx)
	require.NoError(t, err)
	f.clock.advance(2 * time.Minute)
	f.requireLeased(t, false, end)
}

func leasesOfDeleted(t *testing.T, f *fixture) {
	source, _ := f.leased(t)
	end, err := f.LeasesEnd(f.ctx)
	require.NoError(t, err)
	require.NoError(t, f.DeleteSource(f.ctx, north, source))
	f.requireLeased(t, false, end)
	end, err = f.LeasesEnd(f.ctx)
	require.NoError(t, err)
	require.True(t, end.IsZero())
}

func (f *fixture) requireLeased(t *testing.T, want bool, end time.Time) {
	t.Helper()
	leased, err := f.Leased(f.ctx, end)
	require.NoError(t, err)
	require.Equal(t, want, leased)
}
