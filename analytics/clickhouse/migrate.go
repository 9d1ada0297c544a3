package clickhouse

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"regexp"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// schema are the migrations, in the order of their names. Each is one
// statement that may run again: ClickHouse has no transactions, so a process
// may die between a statement and its record, and several may migrate at once.
// A file that was released is never changed.
//
//go:embed schema/*.sql
var schema embed.FS

// ErrSchema is the error of a schema that is older than the program.
var ErrSchema = errors.New("the schema is too old: run \"runa migrate\"")

// The server's codes for what is not there yet.
const (
	codeUnknownTable    = 60
	codeUnknownDatabase = 81
)

// Status says how far a database is.
type Status struct {
	Database string
	// Version is the last migration that ran, 0 before the first; Latest the
	// last that this program knows.
	Version, Latest int
	// Retention is how long events are kept; 0 is for ever.
	Retention time.Duration
}

// ReadStatus looks and changes nothing. A database that is missing is at
// version 0.
func ReadStatus(ctx context.Context, cfg Config) (Status, error) {
	cfg = cfg.withDefaults()
	options, err := optionsOf(cfg)
	if err != nil {
		return Status{}, err
	}
	conn, err := connect(cfg)
	if err != nil {
		return Status{}, err
	}
	defer func() { _ = conn.Close() }() // nothing was written
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	status := Status{Database: options.Auth.Database, Latest: len(migrations())}
	if status.Version, err = version(ctx, conn); err != nil || status.Version == 0 {
		return status, err
	}
	status.Retention, err = retention(ctx, conn)
	return status, err
}

// Migrate makes the database if it is missing, brings its schema to this
// program's and applies the retention. It may run beside others and beside
// stores in use, and again after any end.
func Migrate(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if cfg.Retention < 0 || cfg.Retention%time.Second != 0 {
		return errors.New("analytics: Config.Retention must be whole seconds")
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if err := createDatabase(ctx, cfg); err != nil {
		return fmt.Errorf("analytics: make the database: %w", plain(err))
	}
	conn, err := connect(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // every statement was answered
	if err := migrate(ctx, conn, cfg.Logger); err != nil {
		return fmt.Errorf("analytics: migrate: %w", plain(err))
	}
	if err := retain(ctx, conn, cfg); err != nil {
		return fmt.Errorf("analytics: set the retention: %w", plain(err))
	}
	return nil
}

// createDatabase connects without a database. It looks first, so that a user
// without the right to make one can migrate one that an administrator made.
func createDatabase(ctx context.Context, cfg Config) error {
	options, err := optionsOf(cfg)
	if err != nil {
		return err
	}
	name := clickhouse.Named("name", options.Auth.Database)
	options.Auth.Database = ""
	conn, err := clickhouse.Open(options)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // every statement was answered
	var found uint64
	err = conn.QueryRow(ctx, `SELECT count() FROM system.databases WHERE name = {name:String}`, name).Scan(&found)
	if err != nil || found > 0 {
		return err
	}
	cfg.Logger.Info("analytics: making the database", "database", name.Value)
	return conn.Exec(ctx, `CREATE DATABASE IF NOT EXISTS {name:Identifier}`, name)
}

func migrations() []string {
	// The pattern is well formed and the files are in the program.
	names, _ := fs.Glob(schema, "schema/*.sql")
	return names
}

func migrate(ctx context.Context, conn driver.Conn, log *slog.Logger) error {
	if err := conn.Exec(ctx, `
		CREATE TABLE IF NOT EXISTS migrations (
			version    UInt32,
			name       String,
			applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
		) ENGINE = MergeTree ORDER BY version`); err != nil {
		return err
	}
	done, err := version(ctx, conn)
	if err != nil {
		return err
	}
	for i, name := range migrations() {
		if i < done {
			continue
		}
		log.Info("analytics: migrating", "to", path.Base(name))
		if err := apply(ctx, conn, i+1, name); err != nil {
			return fmt.Errorf("%s: %w", path.Base(name), err)
		}
	}
	return nil
}

// apply runs a migration and then records it. Two processes may both record
// one, which changes no answer of version.
func apply(ctx context.Context, conn driver.Conn, version int, name string) error {
	text, err := schema.ReadFile(name)
	if err != nil {
		return err
	}
	if err := conn.Exec(ctx, string(text)); err != nil {
		return err
	}
	return conn.Exec(ctx, `INSERT INTO migrations (version, name) SELECT {version:UInt32}, {name:String}`,
		clickhouse.Named("version", version), clickhouse.Named("name", path.Base(name)))
}

// version is the last migration that ran; 0 when there is no database yet.
func version(ctx context.Context, conn driver.Conn) (int, error) {
	var v uint32
	err := conn.QueryRow(ctx, `SELECT max(version) FROM migrations`).Scan(&v)
	var exception *clickhouse.Exception
	if errors.As(err, &exception) && (exception.Code == codeUnknownTable || exception.Code == codeUnknownDatabase) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("analytics: read the schema's version: %w", plain(err))
	}
	return int(v), nil
}

func checkSchema(ctx context.Context, conn driver.Conn) error {
	v, err := version(ctx, conn)
	if err != nil {
		return err
	}
	if latest := len(migrations()); v < latest {
		return fmt.Errorf("analytics: ClickHouse is at version %d of %d: %w", v, latest, ErrSchema)
	}
	return nil
}

// ttl finds the retention in what the server tells of the table.
var ttl = regexp.MustCompile(`TTL toDateTime\(at\) \+ toIntervalSecond\((\d+)\)`)

func retention(ctx context.Context, conn driver.Conn) (time.Duration, error) {
	var engine string
	err := conn.QueryRow(ctx, `SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'events'`).Scan(&engine)
	if err != nil {
		return 0, fmt.Errorf("read the retention: %w", plain(err))
	}
	found := ttl.FindStringSubmatch(engine)
	if found == nil {
		return 0, nil
	}
	seconds, err := strconv.ParseInt(found[1], 10, 64)
	return time.Duration(seconds) * time.Second, err
}

// retain changes the table only if it has to: a new TTL makes the server go
// through all that is stored.
func retain(ctx context.Context, conn driver.Conn, cfg Config) error {
	now, err := retention(ctx, conn)
	if err != nil || now == cfg.Retention {
		return err
	}
	cfg.Logger.Info("analytics: changing the retention", "from", now, "to", cfg.Retention)
	if cfg.Retention == 0 {
		return conn.Exec(ctx, `ALTER TABLE events REMOVE TTL`)
	}
	// A TTL cannot be a bound parameter.
	return conn.Exec(ctx, fmt.Sprintf(`ALTER TABLE events MODIFY TTL toDateTime(at) + INTERVAL %d SECOND`, int64(cfg.Retention/time.Second)))
}
