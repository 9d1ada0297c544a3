// Package store keeps the records: products, keys, conversations, turns and
// their steps and calls, tools, sources and pages, and the outbox of events.
// The row here is the truth; a workflow, a signal or an index is how it moves.
// It is one SQL implementation whose statements are written for SQLite and
// PostgreSQL alike, it starts no workflow and knows no network but the database's.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"

	"runa/schemas"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Sealer encrypts secrets, bound to the product and object they belong to.
type Sealer interface {
	Seal(plain []byte, product, object string) ([]byte, error)
	Open(sealed []byte, product, object string) ([]byte, error)
}

// Config says where the records are.
type Config struct {
	// Path of the SQLite file, made if missing.
	Path string
	// Sealer encrypts the secret headers of tools. Required.
	Sealer Sealer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log takes warnings; nil discards them.
	Log *slog.Logger
}

// Store is an open database. It is safe for concurrent use, by several
// processes too. Every method on a product's things takes the product first
// and sees nothing of another's; what is missing and what belongs to another
// are the same schemas.NotFound. Text is kept as UTF-8 without NUL: a NUL or a
// broken byte becomes U+FFFD.
type Store struct {
	write, read *sql.DB
	// writes and reads are the statements of the two pools.
	writes, reads *statements
	dialect       dialect
	sealer        Sealer
	clock         func() time.Time
	log           *slog.Logger
}

// Open opens the database and brings its schema up to date. Processes that
// open it at the same time wait for the one that does so.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	s := &Store{dialect: sqliteDialect{}, sealer: cfg.Sealer, clock: cfg.Now, log: cfg.Log}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	unlock, err := s.dialect.lockSchema(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("lock store: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if s.write, s.read, err = s.dialect.open(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.writes, s.reads = newStatements(s.write), newStatements(s.read)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate store: %w", err), s.Close())
	}
	if err := s.checkSeal(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(s.dialect.goose(), s.write, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// ErrKeyset says that what the database holds was sealed under another keyset.
var ErrKeyset = errors.New("the database was made with another keyset: restore that keyset; without it, the secrets of tools are lost")

// sealOf names the text by which a keyset is known; it belongs to no product.
const sealOf = "keyset"

// checkSeal refuses a keyset that cannot open what is kept here. Going on with
// it would fail much later, in the middle of a turn.
func (s *Store) checkSeal(ctx context.Context) error {
	var sealed []byte
	err := s.reader().row(ctx, `SELECT text FROM seal`).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return s.makeSeal(ctx)
	}
	if err != nil {
		return err
	}
	if _, err := s.sealer.Open(sealed, "", sealOf); err != nil {
		return ErrKeyset
	}
	return nil
}

func (s *Store) makeSeal(ctx context.Context) error {
	sealed, err := s.sealer.Seal([]byte(sealOf), "", sealOf)
	if err != nil {
		return err
	}
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO seal (text) VALUES (?)`, sealed)
		return err
	})
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.write.Close(), s.read.Close()) }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

// now is the clock in the store's precision.
func (s *Store) now() int64 { return schemas.Millis(s.clock()) }

// tx is a transaction: statements with ? for parameters on any database.
type tx struct {
	*sql.Tx
	dialect  dialect
	prepared *statements
	// unprepared are the statements that were sent as text.
	unprepared []string
	now        int64
}

// statement is the statement prepared, or as text to be prepared afterwards.
func (t *tx) statement(ctx context.Context, query string) statement {
	text := t.dialect.rebind(query)
	if stmt := t.prepared.get(text); stmt != nil {
		return t.StmtContext(ctx, stmt)
	}
	t.unprepared = append(t.unprepared, text)
	return asText{t.Tx, text}
}

func (t *tx) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	res, err := t.statement(ctx, query).ExecContext(ctx, clean(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.statement(ctx, query).QueryContext(ctx, clean(args)...)
}

func (t *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.statement(ctx, query).QueryRowContext(ctx, clean(args)...)
}

// reader reads outside a transaction.
type reader struct {
	prepared *statements
	dialect  dialect
}

func (r reader) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.statement(ctx, query).QueryContext(ctx, clean(args)...)
}

func (r reader) row(ctx context.Context, query string, args ...any) *sql.Row {
	return r.statement(ctx, query).QueryRowContext(ctx, clean(args)...)
}

func (r reader) statement(ctx context.Context, query string) statement {
	text := r.dialect.rebind(query)
	if stmt := r.prepared.get(text); stmt != nil {
		return stmt
	}
	r.prepared.prepare(ctx, []string{text})
	return asText{r.prepared.db, text}
}

func (s *Store) reader() reader { return reader{s.reads, s.dialect} }

// update runs do in a transaction that writes, and runs it again whole when
// the database asks for that (busy, serialization failure).
func (s *Store) update(ctx context.Context, do func(*tx) error) error {
	for {
		err := s.transact(ctx, s.writes, do)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if s.dialect.exhausted(err) {
			return errors.Join(schemas.Errorf(schemas.Unavailable, "the database cannot take anything in now"), err)
		}
		if !s.dialect.again(err) {
			return err
		}
	}
}

// view runs do in a transaction that reads one moment.
func (s *Store) view(ctx context.Context, do func(*tx) error) error {
	return s.transact(ctx, s.reads, do)
}

// transact runs do in a transaction of a pool. What it sent as text is
// prepared behind it: inside, the pool may have no other connection.
func (s *Store) transact(ctx context.Context, pool *statements, do func(*tx) error) error {
	sqlTx, err := pool.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = sqlTx.Rollback() }() // after Commit it is a no-op
	t := &tx{Tx: sqlTx, dialect: s.dialect, prepared: pool, now: s.now()}
	if err := do(t); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return err
	}
	pool.prepare(ctx, t.unprepared)
	return nil
}

// collect scans every row of a query by scan.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// notFound turns "no row" into the caller's error.
func notFound(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return schemas.Errorf(schemas.NotFound, "no %s %q", what, id)
	}
	return err
}
