package store

import (
	"database/sql"

	"github.com/pressly/goose/v3"
)

// dialect is what the databases do not share.
type dialect interface {
	// open returns a pool that writes and one that reads.
	open(cfg Config) (write, read *sql.DB, err error)
	// rebind turns ? into the database's own parameters.
	rebind(query string) string
	// lockRow ends a SELECT whose row the transaction will change.
	lockRow() string
	// skipLocked ends a SELECT that leaves out rows another one changes.
	skipLocked() string
	// again reports whether a transaction failed only for the company it kept.
	again(err error) bool
	// goose names the database for the migrations.
	goose() goose.Dialect
}
