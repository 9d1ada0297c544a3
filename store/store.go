// Package store keeps the records: products, keys, conversations, turns and
// their steps and calls, tools, sources and pages, and the outbox of events.
// The row here is the truth; a workflow, a signal or an index is how it moves.
// It is one SQL implementation whose statements are written for SQLite and
// PostgreSQL alike, it starts no workflow and knows no network but the database's.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"runa/schemas"
)

// Sealer encrypts secrets, bound to the product and object they belong to.
type Sealer interface {
	Seal(plain []byte, product, object string) ([]byte, error)
	Open(sealed []byte, product, object string) ([]byte, error)
}

// Config says where the records are.
type Config struct {
	// URL of a PostgreSQL database, postgres://USER:PASSWORD@HOST:PORT/DATABASE;
	// "" keeps the records in the SQLite file at Path. What it may say is
	// described at postgresDialect.
	URL string
	// Path of the SQLite file, made if missing.
	Path string
	// MaxConns bounds the connections to PostgreSQL; 0 is four for each core,
	// at least 8 and at most 32. A transaction takes a few milliseconds and holds
	// one connection, so more of them wait in the database instead of here. All
	// processes together must stay below the server's max_connections.
	MaxConns int
	// Migrate brings the schema up to date, and makes the SQLite file. Without
	// it, a schema older than the program's is ErrSchema; a newer one is
	// accepted: while a release rolls out, processes of the one before it meet
	// it. Migrations only ever add, and what they add is compatible with the
	// release before.
	Migrate bool
	// Sealer encrypts the secret headers of tools. Required.
	Sealer Sealer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log takes warnings; nil discards them.
	Log *slog.Logger
}

// dialect is the database that is configured.
func (c Config) dialect() dialect {
	if c.URL != "" {
		return &postgresDialect{}
	}
	return sqliteDialect{}
}

// Store is an open database. It is safe for concurrent use, by several
// processes too. Every method on a product's things takes the product first
// and sees nothing of another's; what is missing and what belongs to another
// are the same schemas.NotFound. A database that cannot be reached, that goes
// away or that has no room is schemas.Unavailable: then the act may have taken
// place or not, and asking again is safe. Text is kept as UTF-8 without NUL: a
// NUL or a broken byte becomes U+FFFD.
type Store struct {
	write, read *sql.DB
	// writes and reads are the statements of the two pools.
	writes, reads *statements
	dialect       dialect
	sealer        Sealer
	clock         func() time.Time
	log           *slog.Logger
}

// Open opens the database and, if it is asked to, brings its schema up to date.
// Processes that do so at the same time wait for each other.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.checkSeal(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect opens the database with its schema.
func connect(ctx context.Context, cfg Config) (_ *Store, err error) {
	s := &Store{dialect: cfg.dialect(), sealer: cfg.Sealer, clock: cfg.Now, log: cfg.Log}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Migrate {
		unlock, err := s.dialect.lockSchema(ctx, cfg)
		if err != nil {
			return nil, fmt.Errorf("lock store: %w", known(ctx, s.dialect, err))
		}
		defer func() { err = errors.Join(err, unlock()) }()
	} else if there, err := s.dialect.exists(cfg); err != nil || !there {
		return nil, errors.Join(err, errNoSchema)
	}
	if s.write, s.read, err = s.dialect.open(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open store: %w", known(ctx, s.dialect, err))
	}
	s.writes, s.reads = newStatements(s.write, s.dialect.prepared()), newStatements(s.read, s.dialect.prepared())
	if err := s.prepareSchema(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.write.Close(), s.read.Close()) }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return known(ctx, s.dialect, s.read.PingContext(ctx))
}

// now is the clock in the store's precision.
func (s *Store) now() int64 { return schemas.Millis(s.clock()) }
