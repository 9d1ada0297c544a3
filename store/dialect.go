package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/pressly/goose/v3"
)

// dialect is what the databases do not share.
type dialect interface {
	// lockSchema lets one process at a time open the database and bring its
	// schema up to date; a process that dies leaves no lock.
	lockSchema(ctx context.Context, cfg Config) (unlock func() error, err error)
	// exists reports whether there may be a database, without making one.
	exists(cfg Config) (bool, error)
	// open returns a pool that writes and one that reads; they may be the same.
	open(ctx context.Context, cfg Config) (write, read *sql.DB, err error)
	// openSchema returns a pool for migrations, which may be the one that writes.
	openSchema(ctx context.Context, cfg Config, write *sql.DB) (*sql.DB, error)
	// hasTable asks whether a table of the name ? is there.
	hasTable() string
	// migration is the text of a migration in the database's own types, such
	// that text is ordered by its bytes.
	migration(text []byte) []byte
	// goose names the database for the migrations.
	goose() goose.Dialect

	// rebind turns ? into the database's own parameters.
	rebind(query string) string
	// prepared is how many statements are worth being kept prepared here.
	prepared() int
	// toUpdate and toView are the transactions in which every statement sees
	// what is committed, and in which all see one moment.
	toUpdate() *sql.TxOptions
	toView() *sql.TxOptions

	// lockRow ends a SELECT whose row of a table the transaction will change:
	// another that locks or changes it waits, then sees the change.
	lockRow(table string) string
	// keepRow ends a SELECT whose row of a table others may keep too and may
	// change, but not end: see endRow.
	keepRow(table string) string
	// endRow is lockRow which waits for those that keep the row.
	endRow(table string) string
	// skipLocked is lockRow which leaves out rows that another one has locked.
	skipLocked(table string) string
	// alone is a statement which makes the transaction the only one that asks
	// for it, "" where every one that writes is alone.
	alone() string

	// failure tells why a statement or transaction failed.
	failure(err error) failure
	// patience is how long a database that does not answer is waited for; 0 is
	// for ever.
	patience() time.Duration
}

// failure is why a statement or transaction failed.
type failure int

const (
	// otherwise is what the others are not: a mistake in the program.
	otherwise failure = iota
	// again is a failure only for the company it kept, a lock or a
	// serialization: nothing was written and the next try may succeed.
	again
	// exhausted is a database without room, such as on a full disk: what was
	// asked may succeed later.
	exhausted
	// lost is a database that is away or went away: whether what was asked has
	// taken place is not known.
	lost
)
