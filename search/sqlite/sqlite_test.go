package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
	"runa/search/searchtest"
	"runa/search/sqlite"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	searchtest.Run(t,
		func(t *testing.T) search.Index { return setup(t) },
		searchtest.Reopens(func(t *testing.T, folder string) search.Index {
			return open(t, filepath.Join(folder, "search.db"))
		}))
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	searchtest.RunRebuild(t,
		func(t *testing.T) searchtest.Rebuilt { return setup(t) },
		func(*testing.T, searchtest.Rebuilt) searchtest.Rebuilt { return nil })
}

// setup opens a fresh index and closes it at the end.
func setup(t testing.TB) *sqlite.Index {
	t.Helper()
	x := open(t, filepath.Join(t.TempDir(), "a name, with %20 ?&#.db"))
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

func open(t testing.TB, path string) *sqlite.Index {
	t.Helper()
	x, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	require.NoError(t, err)
	return x
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := sqlite.Open(t.Context(), sqlite.Config{})
	require.ErrorContains(t, err, "Path is required")

	path := filepath.Join(t.TempDir(), "search.db")
	require.NoError(t, open(t, path).Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `PRAGMA user_version = 99`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = sqlite.Open(t.Context(), sqlite.Config{Path: path})
	require.ErrorContains(t, err, "newer")
}

// A file that another process keeps locked fails within the deadline and
// works again after it.
func TestLockedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "search.db")
	x := open(t, path)
	defer func() { require.NoError(t, x.Close()) }()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), `BEGIN IMMEDIATE`)
	require.NoError(t, err)

	chunks := []schemas.Chunk{{ID: "1", SourceID: "a", DocumentID: "d", Version: 1, Text: "apples"}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.Error(t, x.Put(ctx, "north", search.Entries(chunks)))
	require.Less(t, time.Since(start), time.Second)

	_, err = db.ExecContext(t.Context(), `ROLLBACK`)
	require.NoError(t, err)
	require.NoError(t, x.Put(t.Context(), "north", search.Entries(chunks)))
}

// In a large index frequent words are left to the second ranking; they still
// decide between chunks that have the same rare word.
func TestPrunedWordsCount(t *testing.T) {
	t.Parallel()
	x := setup(t)
	x.PruneFrom(1)
	chunks := make([]schemas.Chunk, 400)
	for i := range chunks {
		id := fmt.Sprintf("%05d", i)
		chunks[i] = schemas.Chunk{ID: id, SourceID: "a", DocumentID: id, Version: 1, Text: "invoice w" + id[3:]}
		if i < 200 {
			chunks[i].Text += " monthly"
		} else {
			chunks[i].Text += " yearly"
		}
	}
	require.NoError(t, x.Put(t.Context(), "north", search.Entries(chunks)))
	found, err := x.Search(t.Context(), "north", search.Query{Text: "monthly w07 w08 invoice", Sources: []string{"a"}, Limit: 8})
	require.NoError(t, err)
	require.Len(t, found, 8)
	for i, m := range found {
		require.Equal(t, i < 4, strings.Contains(m.Text, "monthly"), "%d %s", i, m.Text)
	}
}

// The words of a question are never syntax of FTS5.
func FuzzSearch(f *testing.F) {
	for _, text := range searchtest.Hostile {
		f.Add(text)
	}
	x := setup(f)
	require.NoError(f, x.Put(f.Context(), "north", []search.Entry{
		{Chunk: schemas.Chunk{ID: "1", SourceID: "a", DocumentID: "d", Version: 1, Text: "apples and pears"}},
		{Chunk: schemas.Chunk{ID: "2", SourceID: "b", DocumentID: "d", Version: 1, Text: "apples or plums"}},
	}))
	f.Fuzz(func(t *testing.T, text string) {
		found, err := x.Search(t.Context(), "north", search.Query{Text: text, Sources: []string{"a"}, Limit: 10})
		require.NoError(t, err)
		for _, m := range found {
			require.Equal(t, "a", m.SourceID)
		}
	})
}
