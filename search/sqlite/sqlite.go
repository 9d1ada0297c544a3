// Package sqlite is the embedded search.Index: lexical retrieval by BM25 with
// SQLite FTS5, and nearest vectors by reading them all, in one file. It does not
// embed, crawl, split or decide what is alive.
//
// Each product has a full-text table of its own. One table for all products
// would be simpler, but BM25 counts how rare a word is over the whole table:
// one product's text would then move another's results, and a large product's
// postings would be read for a small one's question. Inside a product a source
// is a word in a column of weight 0, so that FTS5 itself intersects it with the
// question and no row of another source is scored.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"runa/search"
)

// Config says where the index is kept.
type Config struct {
	// Path of the file, made if it is not there. Required.
	Path string
	// Readers is how many searches run at once; 0 is 4.
	Readers int
	// Logger hears of what is worth an operator's notice; nil is silence.
	Logger *slog.Logger
}

// Index is a search.Index in one SQLite file. One process owns the file.
type Index struct {
	write *sql.DB // one connection: SQLite has one writer
	read  *sql.DB
	log   *slog.Logger
	// pruneFrom is the constant, but in tests.
	pruneFrom float64
}

var _ search.Index = (*Index)(nil)

//go:embed schema/*.sql
var schemaFiles embed.FS

// schemaVersion is the number of the newest file in schema.
const schemaVersion = 3

// Open opens the file, makes it if need be, and brings its schema up to date.
// A file of a newer schema is refused.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	if cfg.Path == "" {
		return nil, errors.New("search/sqlite: Path is required")
	}
	if cfg.Readers <= 0 {
		cfg.Readers = 4
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	x := &Index{log: cfg.Logger, pruneFrom: pruneFrom}
	var err error
	if x.write, err = sql.Open("sqlite", dsn(cfg.Path, "&_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("search/sqlite: open: %w", err)
	}
	x.write.SetMaxOpenConns(1)
	if err := x.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("search/sqlite: %s: %w", cfg.Path, err), x.write.Close())
	}
	if x.read, err = sql.Open("sqlite", dsn(cfg.Path, "&_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("search/sqlite: open: %w", err), x.write.Close())
	}
	x.read.SetMaxOpenConns(cfg.Readers)
	x.read.SetMaxIdleConns(cfg.Readers)
	return x, nil
}

// dsn names the file and how each connection is set up. FULL makes a commit
// durable before it is answered; NORMAL would lose the last ones with the
// power.
func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return u.String() + "?_pragma=busy_timeout(1000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-16000)" + more
}

// migrate applies the schema files above the file's user_version, all in one
// transaction.
func (x *Index) migrate(ctx context.Context) error {
	return x.update(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&have); err != nil {
			return err
		}
		if have > schemaVersion {
			return fmt.Errorf("schema %d is newer than this program's %d", have, schemaVersion)
		}
		for v := have + 1; v <= schemaVersion; v++ {
			text, err := schemaFiles.ReadFile(fmt.Sprintf("schema/%d.sql", v))
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("schema %d: %w", v, err)
			}
			x.log.InfoContext(ctx, "search schema applied", "version", v)
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion))
		return err
	})
}

// Ping implements search.Index.
func (x *Index) Ping(ctx context.Context) error {
	var n int
	if err := x.read.QueryRowContext(ctx, `SELECT count(*) FROM products`).Scan(&n); err != nil {
		return fmt.Errorf("search/sqlite: ping: %w", err)
	}
	return nil
}

// Close implements search.Index.
func (x *Index) Close() error {
	return errors.Join(x.read.Close(), x.write.Close())
}

// update runs f in a transaction of the writer.
func (x *Index) update(ctx context.Context, f func(*sql.Tx) error) error {
	return inTx(ctx, x.write, nil, f)
}

// view runs f on one snapshot of the file.
func (x *Index) view(ctx context.Context, f func(*sql.Tx) error) error {
	return inTx(ctx, x.read, &sql.TxOptions{ReadOnly: true}, f)
}

func inTx(ctx context.Context, db *sql.DB, opts *sql.TxOptions, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return err
	}
	return tx.Commit()
}
