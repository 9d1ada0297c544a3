package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver of server
	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/seal"
	"runa/store"
	"runa/store/storetest"
)

// server is the PostgreSQL server that the tests are given.
type server struct {
	url    string
	sealer *seal.Sealer
	// db speaks to the server itself, as its operator does.
	db *sql.DB
	// making is held while a schema is looked for and made.
	making *sync.Mutex
}

func newServer(tb testing.TB) *server {
	tb.Helper()
	address := os.Getenv("RUNA_TEST_DATABASE_URL")
	if address == "" {
		tb.Skip(`RUNA_TEST_DATABASE_URL is not set; "make test-services" sets it`)
	}
	sealer, err := seal.Load(filepath.Join(tb.TempDir(), "keyset.json"), "")
	require.NoError(tb, err)
	return serverAt(tb, address, sealer)
}

func serverAt(tb testing.TB, address string, sealer *seal.Sealer) *server {
	tb.Helper()
	db, err := sql.Open("pgx", address)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return &server{address, sealer, db, &sync.Mutex{}}
}

func (s *server) exec(tb testing.TB, statement string) {
	tb.Helper()
	_, err := s.db.ExecContext(context.WithoutCancel(tb.Context()), statement)
	require.NoError(tb, err)
}

// database makes a database, with what its creation is to say, until the test
// ends, and returns the server as it is there.
func (s *server) database(tb testing.TB, with string) *server {
	tb.Helper()
	name := schemas.NewID("runa_test_")
	quoted := pgx.Identifier{name}.Sanitize()
	s.exec(tb, `CREATE DATABASE `+quoted+` `+with)
	tb.Cleanup(func() { s.exec(tb, `DROP DATABASE `+quoted+` WITH (FORCE)`) })
	u, err := url.Parse(s.url)
	require.NoError(tb, err)
	u.Path = "/" + name
	return serverAt(tb, u.String(), s.sealer)
}

// schema is the URL of a schema of the name, which is made until the test ends.
func (s *server) schema(tb testing.TB, name string) string {
	tb.Helper()
	s.making.Lock()
	defer s.making.Unlock()
	quoted := pgx.Identifier{name}.Sanitize()
	var there bool
	err := s.db.QueryRowContext(tb.Context(), `SELECT to_regnamespace($1) IS NOT NULL`, quoted).Scan(&there)
	require.NoError(tb, err)
	if !there {
		s.exec(tb, `CREATE SCHEMA `+quoted)
		tb.Cleanup(func() { s.exec(tb, `DROP SCHEMA `+quoted+` CASCADE`) })
	}
	return s.with(tb, "search_path", quoted)
}

// with is the URL with one more parameter.
func (s *server) with(tb testing.TB, name, value string) string {
	tb.Helper()
	u, err := url.Parse(s.url)
	require.NoError(tb, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func (s *server) open(tb testing.TB, opts storetest.Options) *store.Store {
	tb.Helper()
	st, err := store.Open(tb.Context(), store.Config{
		URL: s.schema(tb, opts.Database), MaxConns: 6, Migrate: true, Sealer: s.sealer, Now: opts.Now,
	})
	require.NoError(tb, err)
	return st
}

// otherOrder is a database whose own order of text is not that of its bytes.
const otherOrder = `TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'`

func TestPostgres(t *testing.T) {
	t.Parallel()
	s := newServer(t).database(t, otherOrder)
	storetest.Run(t, func(t *testing.T, opts storetest.Options) *store.Store {
		t.Helper()
		return s.open(t, opts)
	})
}

// TestPostgresPooled speaks as one does through a pooler that keeps no
// prepared statements.
func TestPostgresPooled(t *testing.T) {
	t.Parallel()
	s := newServer(t).database(t, "")
	s.url = s.with(t, "default_query_exec_mode", "exec") // of the stores; s.db goes on as it was
	storetest.Run(t, func(t *testing.T, opts storetest.Options) *store.Store {
		t.Helper()
		return s.open(t, opts)
	})
}
