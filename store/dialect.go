package store

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// dialect is what the databases do not share.
type dialect interface {
	// lockSchema lets one process at a time open the database and bring its
	// schema up to date; a process that dies leaves no lock.
	lockSchema(ctx context.Context, cfg Config) (unlock func() error, err error)
	// open returns a pool that writes and one that reads.
	open(ctx context.Context, cfg Config) (write, read *sql.DB, err error)
	// rebind turns ? into the database's own parameters.
	rebind(query string) string
	// lockRow ends a SELECT whose row the transaction will change.
	lockRow() string
	// skipLocked ends a SELECT that leaves out rows another one changes.
	skipLocked() string
	// again reports whether a transaction failed only for the company it kept:
	// a lock, a serialization, or a row that another one has just made and that
	// the next try will find.
	again(err error) bool
	// exhausted reports whether the database has no room, such as on a full
	// disk: what was asked may succeed later.
	exhausted(err error) bool
	// goose names the database for the migrations.
	goose() goose.Dialect
}
