package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/search"
)

// A file of the first schema goes on with what it has.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "search.db")
	first, err := os.ReadFile(filepath.Join("schema", "1.sql"))
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), string(first)+`
		CREATE VIRTUAL TABLE index_1 USING fts5(source, title, heading, text,
			content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
		CREATE VIRTUAL TABLE vocab_1 USING fts5vocab(index_1, 'row');
		INSERT INTO products (num, name) VALUES (1, 'north');
		INSERT INTO sources (num, product, name) VALUES (1, 1, 'a');
		INSERT INTO chunks (num, product, source, version, n, id, document, url, title, heading, text)
			VALUES (1, 1, 1, 1, 0, 'old', 'd', '', 'Réglages', '', 'apples');
		INSERT INTO index_1 (rowid, source, title, heading, text) VALUES (1, 's1', 'réglage', '', 'apple');
		PRAGMA user_version = 1;`)
	require.NoError(t, err)
	require.NoError(t, db.Close())

	x := open(t, path)
	defer func() { require.NoError(t, x.Close()) }()
	for _, text := range []string{"apples", "réglages", "reglages"} {
		found, err := x.Search(t.Context(), "north", search.Query{Text: text, Sources: []string{"a"}, Limit: 5})
		require.NoError(t, err)
		require.Len(t, found, 1, text)
	}
	require.NoError(t, x.Put(t.Context(), "north", search.Entries([]schemas.Chunk{{ID: "new", SourceID: "a", DocumentID: "d", Version: 2, Text: "apples"}})))
	require.NoError(t, x.Delete(t.Context(), "north", search.Selection{Source: "a", Document: "d", KeepVersion: 2}))
	n, err := x.Count(t.Context(), "north", search.Selection{Source: "a"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}
