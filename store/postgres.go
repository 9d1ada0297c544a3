package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// postgresDialect is a server that several processes write to at once.
// Transactions that write are READ COMMITTED: each statement sees what is
// committed when it begins, so a row whose state decides is locked first.
// Locks are taken in one order: product, source, draft, conversation, turn, call.
// An insert that another may make too says what happens then (ON CONFLICT) or
// stands behind such a lock, so a unique violation is a mistake.
//
// Reads and writes share one pool, and nothing that holds a connection asks for
// a second one. Statements are prepared and kept by pgx, for each connection.
//
// The URL takes what pgx takes: sslmode and the like, pool sizes excepted. A
// pooler in transaction mode (PgBouncer) keeps neither prepared statements nor
// settings of a session: with one, the URL ends in
// ?default_query_exec_mode=exec, and the timeouts below are not asked for.
type postgresDialect struct {
	// rebound are the statements that were rebound, by their text.
	rebound sync.Map
}

const (
	// connectTimeout is how long a server may take to answer at first.
	connectTimeout = 5 * time.Second
	// silence is how long a server that says nothing is waited for by a caller
	// who set no limit: longer than the server's own limit for a statement.
	silence = 70 * time.Second
	// idleTime and lifeTime let a pool shrink after a peak, and come back to a
	// server that was away.
	idleTime = 5 * time.Minute
	lifeTime = 30 * time.Minute
)

// limits are set for each connection unless the URL sets them. A statement
// that runs for a minute is stuck, and so is a transaction between two
// statements, whose process was stopped or cut off: its locks must not outlive
// it. A lock that is not had in ten seconds is asked for anew.
var limits = map[string]string{
	"statement_timeout":                   "60s",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "60s",
}

func (*postgresDialect) exists(Config) (bool, error) { return true, nil }

func (*postgresDialect) open(ctx context.Context, cfg Config) (write, read *sql.DB, err error) {
	conn, err := parsePostgres(cfg.URL)
	if err != nil {
		return nil, nil, err
	}
	if !pooled(conn) {
		for name, value := range limits {
			setDefault(conn, name, value)
		}
	}
	n := cmp.Or(cfg.MaxConns, min(max(8, 4*runtime.GOMAXPROCS(0)), 32))
	db := stdlib.OpenDB(*conn)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(idleTime)
	db.SetConnMaxLifetime(lifeTime)
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, db, nil
}

// pooled reports whether the URL speaks to a pooler between here and the server.
func pooled(conn *pgx.ConnConfig) bool {
	return conn.DefaultQueryExecMode == pgx.QueryExecModeExec || conn.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol
}

func setDefault(conn *pgx.ConnConfig, name, value string) {
	if _, ok := conn.RuntimeParams[name]; !ok {
		conn.RuntimeParams[name] = value
	}
}

// openSchema is one connection on which a migration may take its time.
func (*postgresDialect) openSchema(ctx context.Context, cfg Config, _ *sql.DB) (*sql.DB, error) {
	conn, err := parsePostgres(cfg.URL)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*conn)
	db.SetMaxOpenConns(1)
	var encoding string
	if err := db.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if encoding != "UTF8" {
		return nil, errors.Join(fmt.Errorf("the database has the encoding %s: make one with UTF8", encoding), db.Close())
	}
	return db, nil
}

// lockSchema holds a lock of the database in a transaction of its own, so that
// it works through a pooler too. It waits as long as the caller does: another
// process may migrate for minutes.
func (*postgresDialect) lockSchema(ctx context.Context, cfg Config) (unlock func() error, err error) {
	config, err := parsePostgres(cfg.URL)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	end := func() error { return conn.Close(context.WithoutCancel(ctx)) }
	lock, err := conn.Begin(ctx)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	for _, statement := range []string{
		`SET LOCAL statement_timeout = 0`, `SET LOCAL lock_timeout = 0`, `SET LOCAL idle_in_transaction_session_timeout = 0`,
		advisoryLock("schema"),
	} {
		if _, err := lock.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, end())
		}
	}
	return end, nil
}

// advisoryLock locks a name, of the schema that the connection uses, to the
// end of the transaction.
func advisoryLock(name string) string {
	return `SELECT pg_advisory_xact_lock(hashtextextended('runa ` + name + ` of ' || current_schema(), 0))`
}

func (*postgresDialect) alone() string    { return advisoryLock("first start") }
func (*postgresDialect) hasTable() string { return `SELECT to_regclass(?) IS NOT NULL` }

var textType = regexp.MustCompile(`\bTEXT\b`)

// migration makes every column of text compare by bytes, whatever the
// collation of the database: lists and frontiers have the order that they have
// on SQLite, and a new version of a locale breaks no index.
func (*postgresDialect) migration(text []byte) []byte {
	return textType.ReplaceAll(text, []byte(`TEXT COLLATE "C"`))
}

func (*postgresDialect) goose() goose.Dialect { return goose.DialectPostgres }

// prepared is 0: pgx keeps the statements of each connection.
func (*postgresDialect) prepared() int { return 0 }

func (*postgresDialect) patience() time.Duration { return silence }

func (*postgresDialect) toUpdate() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

func (*postgresDialect) toView() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (*postgresDialect) lockRow(table string) string { return ` FOR NO KEY UPDATE OF ` + table }
func (*postgresDialect) keepRow(table string) string { return ` FOR KEY SHARE OF ` + table }
func (*postgresDialect) endRow(table string) string  { return ` FOR UPDATE OF ` + table }
func (*postgresDialect) skipLocked(table string) string {
	return ` FOR NO KEY UPDATE OF ` + table + ` SKIP LOCKED`
}

// rebind numbers the parameters. A ? in a literal or a quoted name is itself.
func (p *postgresDialect) rebind(query string) string {
	if text, ok := p.rebound.Load(query); ok {
		return text.(string)
	}
	var text strings.Builder
	var quote rune
	n := 0
	for _, c := range query {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			text.WriteString("$" + strconv.Itoa(n))
			continue
		}
		text.WriteRune(c)
	}
	p.rebound.Store(query, text.String())
	return text.String()
}
