package storetest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func listTests() tests {
	return tests{
		"products":      pageProducts,
		"keys":          pageKeys,
		"conversations": pageConversations,
		"tools":         pageTools,
		"sources":       pageSources,
		"pages":         pagePages,
		"by bytes":      pageBytes,
	}
}

// listed is how many things a list test makes: some in one moment, so that
// only their ids tell them apart, the others a second later.
const listed = 7

func (f *fixture) moment(i int) {
	if i == 4 {
		f.clock.advance(time.Second)
	}
}

// read is a list read to its end: ids in order, by the page.
type read func(o store.ListOptions) (ids []string, next string, total int, err error)

func reads[T any](list func(store.ListOptions) (store.List[T], error), id func(T) string) read {
	return func(o store.ListOptions) (ids []string, next string, total int, err error) {
		l, err := list(o)
		for _, item := range l.Items {
			ids = append(ids, id(item))
		}
		return ids, l.Next, l.Total, err
	}
}

// requirePages holds a list to its pages: each item once, whatever the limit.
func requirePages(t *testing.T, made []string, list read) {
	t.Helper()
	all, next, total, err := list(store.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, len(made), total)
	require.ElementsMatch(t, made, all)
	for _, limit := range []int{1, 2, 3, len(made), len(made) + 1, 100} {
		var got []string
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			require.LessOrEqual(t, pages, len(made))
			ids, next, total, err := list(store.ListOptions{Limit: limit, Cursor: cursor})
			require.NoError(t, err)
			require.Equal(t, len(made), total)
			require.NotEmpty(t, ids)
			require.LessOrEqual(t, len(ids), limit)
			got, cursor = append(got, ids...), next
		}
		require.Equal(t, all, got, "limit %d", limit)
	}
	for _, bad := range []string{"?", "x", "AAAA", base64.RawURLEncoding.EncodeToString([]byte("x y")), base64.RawURLEncoding.EncodeToString([]byte("12"))} {
		_, _, _, err := list(store.ListOptions{Limit: 1, Cursor: bad})
		requireCode(t, schemas.InvalidRequest, err)
		require.Equal(t, "cursor", schemas.AsError(err).Param, bad)
	}
}

func pageProducts(t *testing.T, f *fixture) {
	made := []string{north, south}
	for i := range listed {
		f.moment(i)
		p, err := f.CreateProduct(f.ctx, fmt.Sprint("prod_", i), "P")
		require.NoError(t, err)
		made = append(made, p.ID)
	}
	list := reads(func(o store.ListOptions) (store.List[schemas.Product], error) { return f.Products(f.ctx, o) },
		func(p schemas.Product) string { return p.ID })
	requirePages(t, made, list)
	all, _, _, err := list(store.ListOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, made[6:], all[6:], "oldest first")
}

func pageKeys(t *testing.T, f *fixture) {
	var made, every []string
	for i := range listed {
		f.moment(i)
		for _, product := range []string{north, south} {
			k, _, err := f.CreateKey(f.ctx, product, "K")
			require.NoError(t, err)
			every = append(every, k.ID)
			if product == north {
				made = append(made, k.ID)
			}
		}
	}
	f.bootstrap(t, given[0], given[1])
	keys := func(product string) read {
		return reads(func(o store.ListOptions) (store.List[schemas.Key], error) { return f.Keys(f.ctx, product, o) },
			func(k schemas.Key) string { return k.ID })
	}
	requirePages(t, made, keys(north))
	first, _, _, err := keys(schemas.DefaultProduct)(store.ListOptions{})
	require.NoError(t, err)
	requirePages(t, append(every, first...), keys(""))
	all, _, _, err := keys(north)(store.ListOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, made[4:], all[4:], "oldest first")
}

func pageConversations(t *testing.T, f *fixture) {
	var made []string
	for i := range listed {
		f.moment(i)
		f.open(t, fmt.Sprint("s", i), fmt.Sprint("msg_", i), schemas.TurnRunning)
		made = append(made, fmt.Sprint("s", i))
	}
	list := reads(func(o store.ListOptions) (store.List[schemas.Conversation], error) {
		return f.Conversations(f.ctx, north, o)
	},
		func(c schemas.Conversation) string { return c.ID })
	requirePages(t, made, list)
	all, _, _, err := list(store.ListOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, made[4:], all[:3], "newest first")
}

func pageTools(t *testing.T, f *fixture) {
	var made []string
	for i := range listed {
		f.moment(i)
		made = append(made, f.tool(t, north, fmt.Sprint("tool_", i)).ID)
		f.tool(t, south, fmt.Sprint("tool_", i))
	}
	list := reads(func(o store.ListOptions) (store.List[schemas.Tool], error) { return f.Tools(f.ctx, north, o) },
		func(t schemas.Tool) string { return t.ID })
	requirePages(t, made, list)
	all, _, _, err := list(store.ListOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, made[4:], all[4:], "oldest first")
}

func pageSources(t *testing.T, f *fixture) {
	var made []string
	for i := range listed + 1 {
		f.moment(i)
		source, _, err := f.CreateSource(f.ctx, north, sourceSpec(fmt.Sprint(site, i, "/")), store.Idempotency{})
		require.NoError(t, err)
		made = append(made, source.ID)
	}
	require.NoError(t, f.DeleteSource(f.ctx, north, made[2]))
	made = slices.Delete(made, 2, 3)
	list := reads(func(o store.ListOptions) (store.List[schemas.Source], error) { return f.Sources(f.ctx, north, o) },
		func(s schemas.Source) string { return s.ID })
	requirePages(t, made, list)
	all, _, _, err := list(store.ListOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, made[3:], all[:4], "newest first")
}

func pagePages(t *testing.T, f *fixture) {
	source := f.source(t)
	var found []store.NewPage
	var made []string
	for i := range listed {
		found = append(found, newPage(fmt.Sprintf("with space %d?q=a b", i), 0))
		made = append(made, found[i].URL)
	}
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, found, wide))
	for _, state := range []schemas.PageState{"", schemas.PagePending} {
		requirePages(t, made, reads(func(o store.ListOptions) (store.List[schemas.Page], error) {
			return f.Pages(f.ctx, north, source, state, o)
		}, func(p schemas.Page) string { return p.URL }))
	}
	empty, err := f.Pages(f.ctx, north, source, schemas.PageFailed, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, store.List[schemas.Page]{Items: []schemas.Page{}}, empty)
}

// pageBytes lists what a language would order otherwise: capitals stand before
// small letters, and these before letters with marks.
func pageBytes(t *testing.T, f *fixture) {
	id := f.source(t)
	var found []store.NewPage
	for _, name := range []string{"ä", "b", "a-b", "Z", "aa", "B", "é", "_", "a", "A"} {
		found = append(found, newPage(name, 0))
	}
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, found, wide))
	inOrder := []string{"A", "B", "Z", "_", "a", "a-b", "aa", "b", "ä", "é"}
	for i, name := range inOrder {
		inOrder[i] = site + name
	}
	for limit := 1; limit <= len(inOrder); limit++ {
		var got []string
		for o := (store.ListOptions{Limit: limit}); ; {
			list, err := f.Pages(f.ctx, north, id, "", o)
			require.NoError(t, err)
			for _, p := range list.Items {
				got = append(got, p.URL)
			}
			if o.Cursor = list.Next; o.Cursor == "" {
				break
			}
		}
		require.Equal(t, inOrder, got)
	}
	require.Equal(t, inOrder[:3], urls(f.lease(t, id, "1/1", 3)))
}
