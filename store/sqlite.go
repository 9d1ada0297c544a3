package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteDialect is one file: one connection writes, each transaction taking
// the write lock at its start, so that rows read in it need no lock; others
// read beside it (WAL).
type sqliteDialect struct{}

func (sqliteDialect) open(ctx context.Context, cfg Config) (write, read *sql.DB, err error) {
	if write, err = sql.Open("sqlite", sqliteDSN(cfg.Path, "_txlock", "immediate")); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	// The first connection makes the file and its journal mode; a reader that
	// came first would find neither.
	if err := write.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", cfg.Path, err), write.Close())
	}
	if read, err = sql.Open("sqlite", sqliteDSN(cfg.Path, "_pragma", "query_only(1)")); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(2 + 2*runtime.GOMAXPROCS(0))
	read.SetMaxIdleConns(2 + 2*runtime.GOMAXPROCS(0))
	return write, read, nil
}

// lockSchema holds a lock on a file beside the database's. It is SQLite's own
// lock on an empty database, so it works where SQLite does and ends with the
// process. The database's own lock will not do: turning to WAL does not wait,
// and a second process would make the same tables between two migrations.
func (sqliteDialect) lockSchema(ctx context.Context, cfg Config) (unlock func() error, err error) {
	path := cfg.Path + "-schema-lock"
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(60000)&_txlock=exclusive")
	if err != nil {
		return nil, err
	}
	lock, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return func() error { return errors.Join(lock.Rollback(), db.Close()) }, nil
}

// sqliteDSN asks for durability before speed: an accepted row survives a power
// cut (synchronous FULL), and a lock held by another process is waited for.
func sqliteDSN(path, key, value string) string {
	q := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
		"foreign_keys(1)", "wal_autocheckpoint(1000)", "journal_size_limit(67108864)",
	}}
	q.Add(key, value)
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func (sqliteDialect) exists(cfg Config) (bool, error) {
	_, err := os.Stat(cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (sqliteDialect) openSchema(_ context.Context, _ Config, write *sql.DB) (*sql.DB, error) {
	return write, nil
}

func (sqliteDialect) hasTable() string {
	return `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)`
}

// prepared bounds what is kept prepared: statements whose text grows with
// their arguments are many. Parsing SQL was a quarter of what a turn's
// transactions cost.
func (sqliteDialect) prepared() int { return 256 }

func (sqliteDialect) migration(text []byte) []byte { return text }
func (sqliteDialect) goose() goose.Dialect         { return goose.DialectSQLite3 }
func (sqliteDialect) rebind(query string) string   { return query }
func (sqliteDialect) toUpdate() *sql.TxOptions     { return nil }
func (sqliteDialect) toView() *sql.TxOptions       { return nil }
func (sqliteDialect) lockRow(string) string        { return "" }
func (sqliteDialect) keepRow(string) string        { return "" }
func (sqliteDialect) endRow(string) string         { return "" }
func (sqliteDialect) skipLocked(string) string     { return "" }
func (sqliteDialect) alone() string                { return "" }
func (sqliteDialect) patience() time.Duration      { return 0 }

func (sqliteDialect) failure(err error) failure {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return otherwise
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY:
		return again
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		return exhausted
	default:
		return otherwise
	}
}
