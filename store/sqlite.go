package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"

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

func (sqliteDialect) rebind(query string) string { return query }
func (sqliteDialect) lockRow() string            { return "" }
func (sqliteDialect) skipLocked() string         { return "" }
func (sqliteDialect) goose() goose.Dialect       { return goose.DialectSQLite3 }

func (sqliteDialect) again(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

func (sqliteDialect) exhausted(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code()&0xff == sqlite3.SQLITE_IOERR)
}
