// Package searchtest is the conformance suite of search.Index: it holds an
// implementation to each sentence of the interface's comments. It says nothing
// of how good a ranking is.
package searchtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// Capability declares what an implementation can show beside the interface.
type Capability func(*suite)

// Reopens declares that open gives the index kept in a folder, the same again
// for the same folder. The suite then closes an index and expects what was
// answered to be there.
func Reopens(open func(t *testing.T, folder string) search.Index) Capability {
	return func(s *suite) { s.reopen = open }
}

type suite struct {
	open   func(t *testing.T) search.Index
	reopen func(t *testing.T, folder string) search.Index
}

// Run runs the suite. open gives an index without chunks of the products
// "north" and "south", and closes it at the end of the test that asked.
func Run(t *testing.T, open func(t *testing.T) search.Index, capabilities ...Capability) {
	t.Helper()
	s := &suite{open: open}
	for _, declare := range capabilities {
		declare(s)
	}
	tests := map[string]func(*testing.T, search.Index){
		"put is found whole":          putIsFound,
		"put again changes nothing":   putAgain,
		"put replaces":                putReplaces,
		"delete by source":            deleteBySource,
		"delete by document":          deleteByDocument,
		"delete by version":           deleteByVersion,
		"delete of nothing":           deleteNothing,
		"count follows selection":     countFollows,
		"products are apart":          productsApart,
		"sources are filtered":        sourcesFiltered,
		"best first, then by id":      order,
		"scores follow no other text": scoresApart,
		"limit":                       limit,
		"no match is empty":           noMatch,
		"title and heading are found": fieldsFound,
		"any language":                anyLanguage,
		"any text is a question":      anyText,
		"any text can be put":         anyChunk,
		"concurrent use":              concurrentUse,
		"context":                     obeysContext,
		"vectors are found":           vectorsFound,
		"vectors and words are fused": vectorsFused,
		"vectors follow their chunk":  vectorsFollow,
		"vectors are checked":         vectorsRefused,
		"nearest vectors are exact":   vectorsExact,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s.open(t))
		})
	}
	if s.reopen != nil {
		t.Run("durable", func(t *testing.T) {
			t.Parallel()
			s.durable(t)
		})
	}
}

const (
	north = "north"
	south = "south"
)

// chunk makes the n-th chunk of version 1 of a document.
func chunk(source, document string, n int, text string) schemas.Chunk {
	return versioned(source, document, 1, n, text)
}

func versioned(source, document string, version int64, n int, text string) schemas.Chunk {
	return schemas.Chunk{
		ID:       fmt.Sprintf("%s/%s/%d/%03d", source, document, version, n),
		SourceID: source, DocumentID: document, Version: version, N: n,
		URL: "https://help.example/" + document, Title: "Page", Heading: "Top > Part", Text: text,
	}
}

func put(t *testing.T, x search.Index, product string, chunks ...schemas.Chunk) {
	t.Helper()
	require.NoError(t, x.Put(t.Context(), product, search.Entries(chunks)))
}

func find(t *testing.T, x search.Index, product, text string, sources ...string) []search.Match {
	t.Helper()
	found, err := x.Search(t.Context(), product, search.Query{Text: text, Sources: sources, Limit: 200})
	require.NoError(t, err)
	require.NotNil(t, found, "no match is an empty slice, not nil")
	return found
}

func ids(matches []search.Match) []string {
	list := make([]string, len(matches))
	for i, m := range matches {
		list[i] = m.ID
	}
	return list
}

func count(t *testing.T, x search.Index, product string, which search.Selection) int {
	t.Helper()
	n, err := x.Count(t.Context(), product, which)
	require.NoError(t, err)
	return n
}

func putIsFound(t *testing.T, x search.Index) {
	want := chunk("a", "invoices", 3, "Invoices are sent on the first of the month.\n\n- by `mail`")
	put(t, x, north, want, chunk("a", "users", 0, "Invite a colleague."))
	found := find(t, x, north, "When are invoices sent?", "a")
	require.Equal(t, []string{want.ID}, ids(found))
	require.Equal(t, want, found[0].Chunk)
	require.NoError(t, x.Ping(t.Context()))
}

func putAgain(t *testing.T, x search.Index) {
	chunks := []schemas.Chunk{chunk("a", "invoices", 0, "Invoices are sent."), chunk("a", "invoices", 1, "An invoice has a number.")}
	put(t, x, north, chunks...)
	before := find(t, x, north, "invoice number sent", "a")
	for range 3 {
		put(t, x, north, chunks...)
	}
	require.Equal(t, before, find(t, x, north, "invoice number sent", "a"))
	require.Equal(t, 2, count(t, x, north, search.Selection{Source: "a"}))
	put(t, x, north)
	require.Equal(t, 2, count(t, x, north, search.Selection{Source: "a"}))
}

func putReplaces(t *testing.T, x search.Index) {
	c := chunk("a", "invoices", 0, "Invoices are sent weekly.")
	put(t, x, north, c)
	c.Text, c.Title, c.SourceID = "Receipts come monthly.", "Receipts", "b"
	put(t, x, north, c)
	require.Empty(t, find(t, x, north, "weekly invoices", "a", "b"))
	require.Empty(t, find(t, x, north, "monthly", "a"))
	found := find(t, x, north, "monthly", "b")
	require.Equal(t, []string{c.ID}, ids(found))
	require.Equal(t, c, found[0].Chunk)
	require.Zero(t, count(t, x, north, search.Selection{Source: "a"}))
}

func deleteBySource(t *testing.T, x search.Index) {
	put(t, x, north, chunk("a", "one", 0, "apples"), chunk("a", "two", 0, "apples"), chunk("b", "one", 0, "apples"))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a"}))
	require.Equal(t, []string{"b/one/1/000"}, ids(find(t, x, north, "apples", "a", "b")))
	put(t, x, north, chunk("a", "one", 0, "apples"))
	require.Equal(t, []string{"a/one/1/000"}, ids(find(t, x, north, "apples", "a")), "a source may be filled again")
}

func deleteByDocument(t *testing.T, x search.Index) {
	put(t, x, north, chunk("a", "one", 0, "apples"), chunk("a", "two", 0, "apples"), chunk("b", "one", 0, "apples"))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a", Document: "one"}))
	require.Equal(t, []string{"a/two/1/000", "b/one/1/000"}, ids(find(t, x, north, "apples", "a", "b")))
}

func deleteByVersion(t *testing.T, x search.Index) {
	put(t, x, north,
		versioned("a", "one", 1, 0, "apples"), versioned("a", "one", 2, 0, "apples"), versioned("a", "one", 3, 0, "apples"),
		versioned("a", "two", 1, 0, "apples"))
	which := search.Selection{Source: "a", Document: "one", KeepVersion: 2}
	require.Equal(t, 2, count(t, x, north, which))
	require.NoError(t, x.Delete(t.Context(), north, which))
	require.Zero(t, count(t, x, north, which))
	require.Equal(t, []string{"a/one/2/000", "a/two/1/000"}, ids(find(t, x, north, "apples", "a")))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a", Document: "one", Version: 2}))
	require.Equal(t, []string{"a/two/1/000"}, ids(find(t, x, north, "apples", "a")))
}

func deleteNothing(t *testing.T, x search.Index) {
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a"}))
	put(t, x, north, chunk("a", "one", 0, "apples"))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "b"}))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a", Document: "two"}))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a", KeepVersion: 1}))
	require.Equal(t, 1, count(t, x, north, search.Selection{Source: "a"}))
}

func countFollows(t *testing.T, x search.Index) {
	require.Zero(t, count(t, x, north, search.Selection{Source: "a"}))
	put(t, x, north,
		chunk("a", "one", 0, "apples"), chunk("a", "one", 1, "pears"), versioned("a", "one", 2, 0, "plums"),
		chunk("a", "two", 0, "apples"), chunk("b", "one", 0, "apples"))
	for which, want := range map[search.Selection]int{
		{Source: "a"}:                                  4,
		{Source: "a", Document: "one"}:                 3,
		{Source: "a", Document: "one", KeepVersion: 2}: 2,
		{Source: "a", KeepVersion: 1}:                  1,
		{Source: "a", Document: "one", Version: 1}:     2,
		{Source: "a", Version: 2}:                      1,
		{Source: "a", Version: 1, KeepVersion: 1}:      0,
		{Source: "b"}:                                  1,
		{Source: "c"}:                                  0,
	} {
		require.Equal(t, want, count(t, x, north, which), "%+v", which)
	}
}

func productsApart(t *testing.T, x search.Index) {
	put(t, x, north, chunk("a", "one", 0, "northern apples"))
	require.Empty(t, find(t, x, south, "apples", "a"), "a product that has nothing")
	put(t, x, south, chunk("a", "one", 0, "southern apples"))
	require.Equal(t, "northern apples", find(t, x, north, "apples", "a")[0].Text, "one id in two products is two chunks")
	require.Equal(t, "southern apples", find(t, x, south, "apples", "a")[0].Text)
	require.Empty(t, find(t, x, north, "southern", "a"))
	require.NoError(t, x.Delete(t.Context(), south, search.Selection{Source: "a"}))
	require.Zero(t, count(t, x, south, search.Selection{Source: "a"}))
	require.Equal(t, 1, count(t, x, north, search.Selection{Source: "a"}))
	require.Len(t, find(t, x, north, "apples", "a"), 1)
}

func sourcesFiltered(t *testing.T, x search.Index) {
	for i := range 12 {
		put(t, x, north, chunk(fmt.Sprintf("s%02d", i), "one", 0, "apples"))
	}
	require.Empty(t, find(t, x, north, "apples"), "no sources find nothing")
	require.Equal(t, []string{"s01/one/1/000"}, ids(find(t, x, north, "apples", "s01", "s01")))
	require.Equal(t, []string{"s01/one/1/000", "s11/one/1/000"}, ids(find(t, x, north, "apples", "s11", "s01", "gone")))
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("s%02d", i)
	}
	require.Len(t, find(t, x, north, "apples", many...), 12)
	require.Empty(t, find(t, x, north, "s01 source", "s01"), "a source's id is no text")
}

func order(t *testing.T, x search.Index) {
	put(t, x, north,
		chunk("a", "z", 0, "Refund a payment within thirty days."),
		chunk("a", "both", 0, "Export invoices as a file. Invoices can be exported weekly."),
		chunk("a", "m", 0, "Refund a payment within thirty days."),
		chunk("a", "c", 0, "Refund a payment within thirty days."),
		chunk("a", "far", 0, "Invoices come monthly."))
	found := find(t, x, north, "payment refund", "a")
	require.Equal(t, []string{"a/c/1/000", "a/m/1/000", "a/z/1/000"}, ids(found))
	require.InDelta(t, found[0].Score, found[2].Score, 0)
	found = find(t, x, north, "export invoices weekly", "a")
	require.Equal(t, []string{"a/both/1/000", "a/far/1/000"}, ids(found))
	require.Greater(t, found[0].Score, found[1].Score)
}

func scoresApart(t *testing.T, x search.Index) {
	put(t, x, north, chunk("a", "one", 0, "apples and pears"), chunk("a", "two", 0, "pears"), chunk("a", "three", 0, "plums"))
	before := find(t, x, north, "apples pears", "a")
	for i := range 20 {
		put(t, x, south, chunk("a", fmt.Sprint(i), 0, "apples"))
	}
	require.Equal(t, before, find(t, x, north, "apples pears", "a"), "another product's text moves nothing")
}

func limit(t *testing.T, x search.Index) {
	var chunks []schemas.Chunk
	for i := range 450 {
		chunks = append(chunks, chunk("a", "one", (i*7)%450, "apples"))
	}
	put(t, x, north, chunks...)
	for _, n := range []int{1, 5, 200} {
		found, err := x.Search(t.Context(), north, search.Query{Text: "apples", Sources: []string{"a"}, Limit: n})
		require.NoError(t, err)
		require.Len(t, found, n)
		for i, m := range found {
			require.Equal(t, i, m.N, "equal scores come by id, also where the limit cuts them")
		}
	}
}

func noMatch(t *testing.T, x search.Index) {
	require.Empty(t, find(t, x, north, "apples", "a"))
	put(t, x, north, chunk("a", "one", 0, "apples"))
	require.Empty(t, find(t, x, north, "zebra", "a"))
	require.Empty(t, find(t, x, north, "apples", "b"))
}

func fieldsFound(t *testing.T, x search.Index) {
	c := chunk("a", "one", 0, "Body.")
	c.Title, c.Heading = "Réglages", "Settings > Webhooks"
	put(t, x, north, c, chunk("a", "two", 0, "Other."))
	for _, q := range []string{"réglages", "webhooks", "settings"} {
		require.Equal(t, []string{c.ID}, ids(find(t, x, north, q, "a")), q)
	}
}

func anyLanguage(t *testing.T, x search.Index) {
	texts := map[string]string{
		"de": "Die Rechnung wird am Monatsende verschickt.",
		"ru": "Счета отправляются каждый месяц.",
		"ja": "請求書は毎月送信されます。",
		"ar": "يتم إرسال الفاتورة شهريا",
		"el": "Το τιμολόγιο αποστέλλεται κάθε μήνα.",
	}
	for lang, text := range texts {
		put(t, x, north, chunk("a", lang, 0, text))
	}
	for lang, q := range map[string]string{
		"de": "Wann kommt die rechnung?", "ru": "счета", "ja": "請求書はいつ?", "ar": "الفاتورة", "el": "τιμολόγιο",
	} {
		found := find(t, x, north, q, "a")
		require.NotEmpty(t, found, q)
		require.Equal(t, lang, found[0].DocumentID, q)
	}
}

// Hostile are texts that break a query that is glued together.
var Hostile = []string{
	"", " ", "?", `"`, `""`, `'`, "*", "apples*", "^apples", "NEAR(apples pears)", "apples AND", "OR", "NOT apples",
	"title:apples", "{title} : apples", "-apples", "+apples", "(apples", "apples)", `"apples`, "apples -- x",
	"'; DROP TABLE chunks; --", "%s%d%n", "\x00", "apples\x00pears", "\xff\xfe", "\\", "a/b?c=d&e=[f]", "𝕬𝖕𝖕𝖑𝖊𝖘", "é", "👍🏽",
	"the", "how do I", "_", "__", "apples:pears", "~apples", "apples^3", "/apples/", "[apples TO pears]", "<b>apples</b>",
}

func anyText(t *testing.T, x search.Index) {
	put(t, x, north, chunk("a", "one", 0, "apples and pears"))
	put(t, x, south, chunk("b", "two", 0, "secret apples"))
	texts := append([]string{
		strings.Repeat("(", 5000), strings.Repeat(`"`, 5000), strings.Repeat("apples ", 30_000),
		strings.Repeat("word", 40_000),
	}, Hostile...)
	for _, text := range texts {
		found, err := x.Search(t.Context(), north, search.Query{Text: text, Sources: []string{"a"}, Limit: 5})
		require.NoError(t, err, "%.60q", text)
		for _, m := range found {
			require.Equal(t, "a", m.SourceID, "%.60q", text)
		}
	}
	for _, text := range Hostile {
		require.Empty(t, find(t, x, text, "apples", text), "a product or source of any name")
	}
}

func anyChunk(t *testing.T, x search.Index) {
	for i, text := range Hostile {
		text = strings.ToValidUTF8(text, "?")
		c := chunk("a", fmt.Sprint(i), 0, text)
		c.Title, c.Heading, c.URL = text, text, text
		put(t, x, north, c)
	}
	require.Equal(t, len(Hostile), count(t, x, north, search.Selection{Source: "a"}))
	require.NotEmpty(t, find(t, x, north, "apples", "a"))
}

// concurrentUse writes, deletes and searches at once; what every answer says
// must be whole.
func concurrentUse(t *testing.T, x search.Index) {
	const writers, rounds = 6, 8
	errs := make(chan error, 2*writers)
	for w := range writers {
		source := fmt.Sprintf("s%d", w)
		go func() { errs <- writeRounds(t.Context(), x, source, rounds) }()
		go func() { errs <- searchRounds(t.Context(), x, source, rounds) }()
	}
	for range 2 * writers {
		require.NoError(t, <-errs)
	}
	for w := range writers {
		require.Equal(t, 2, count(t, x, north, search.Selection{Source: fmt.Sprintf("s%d", w)}))
	}
}

func writeRounds(ctx context.Context, x search.Index, source string, rounds int) error {
	for v := range rounds {
		version := int64(v + 1)
		err := x.Put(ctx, north, search.Entries([]schemas.Chunk{
			versioned(source, "one", version, 0, "apples"), versioned(source, "one", version, 1, "apples"),
		}))
		if err != nil {
			return err
		}
		if err := x.Delete(ctx, north, search.Selection{Source: source, KeepVersion: version}); err != nil {
			return err
		}
	}
	return nil
}

func searchRounds(ctx context.Context, x search.Index, source string, rounds int) error {
	for range rounds {
		found, err := x.Search(ctx, north, search.Query{Text: "apples", Sources: []string{source}, Limit: 10})
		if err != nil {
			return err
		}
		for _, m := range found {
			if m.SourceID != source || m.Text != "apples" {
				return fmt.Errorf("a search of %s found %+v", source, m)
			}
		}
	}
	return nil
}

func obeysContext(t *testing.T, x search.Index) {
	put(t, x, north, chunk("a", "one", 0, "apples"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	within(t, func() {
		require.Error(t, x.Put(ctx, north, search.Entries([]schemas.Chunk{chunk("a", "two", 0, "pears")})))
		require.Error(t, x.Delete(ctx, north, search.Selection{Source: "a"}))
		_, err := x.Count(ctx, north, search.Selection{Source: "a"})
		require.Error(t, err)
		_, err = x.Search(ctx, north, search.Query{Text: "apples", Sources: []string{"a"}, Limit: 1})
		require.Error(t, err)
		require.Error(t, x.Ping(ctx))
	})
	require.Equal(t, 1, count(t, x, north, search.Selection{Source: "a"}), "a call that was cancelled did nothing")
}

// within fails when f takes as long as nobody would wait.
func within(t *testing.T, f func()) {
	t.Helper()
	start := time.Now()
	f()
	require.Less(t, time.Since(start), 5*time.Second)
}

func (s *suite) durable(t *testing.T) {
	folder := t.TempDir()
	x := s.reopen(t, folder)
	put(t, x, north, chunk("a", "one", 0, "apples"), chunk("a", "two", 0, "apples"))
	require.NoError(t, x.Delete(t.Context(), north, search.Selection{Source: "a", Document: "two"}))
	before := find(t, x, north, "apples", "a")
	require.NoError(t, x.Close())

	x = s.reopen(t, folder)
	require.Equal(t, before, find(t, x, north, "apples", "a"))
	put(t, x, north, chunk("a", "two", 0, "apples"))
	require.Len(t, find(t, x, north, "apples", "a"), 2)
	require.NoError(t, x.Close())
}
