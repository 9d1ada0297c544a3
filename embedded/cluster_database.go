package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/iancoleman/strcase"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
)

// connectTimeout bounds each attempt to connect; pgx would take two minutes.
const connectTimeout = 10 * time.Second

// idleTime is how long a connection that is not needed stays open.
const idleTime = time.Minute

// database is the PostgreSQL server of a cluster.
type database struct {
	config   *pgx.ConnConfig
	prefix   string
	maxConns int
}

// ErrURL is the error of a URL that no database has. It shows no password.
var ErrURL = errors.New("embedded: DatabaseURL is not a URL of PostgreSQL")

// parseDatabase reads the URL as pgx does everywhere else in Runa, so that what
// works for the records works here: hosts, TLS, password files, parameters.
func parseDatabase(c ClusterConfig) (database, error) {
	parsed, err := pgx.ParseConfig(c.DatabaseURL)
	if err != nil {
		return database{}, fmt.Errorf("%w%s", ErrURL, cause(err))
	}
	parsed.ConnectTimeout = min(parsed.ConnectTimeout, connectTimeout)
	if parsed.RuntimeParams["application_name"] == "" {
		parsed.RuntimeParams["application_name"] = "runa temporal"
	}
	return database{config: parsed, prefix: c.DatabasePrefix, maxConns: c.MaxConns}, nil
}

// cause is why a URL cannot be read, without the URL: pgx takes a password out
// of its place before the host only.
func cause(err error) string {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
		return ": " + errors.Unwrap(parse).Error()
	}
	return ""
}

// main and visibility are the names of the two databases.
func (d database) main() string       { return d.prefix + "temporal" }
func (d database) visibility() string { return d.prefix + "temporal_visibility" }

// at is the configuration of a connection to one database.
func (d database) at(name string) *pgx.ConnConfig {
	config := d.config.Copy()
	config.Database = name
	return config
}

// store describes one database to Temporal. The connection is made here and not
// by Temporal, which knows a part of the parameters only, and would have the
// password in its configuration.
func (d database) store(name string, maxConns int) *config.SQL {
	return &config.SQL{
		PluginName:   postgresql.PluginNamePGX,
		DatabaseName: name,
		MaxConns:     maxConns,
		Connect:      d.connect,
	}
}

// connect opens a pool. Temporal opens one for each service and database.
func (d database) connect(store *config.SQL) (*sqlx.DB, error) {
	db := sqlx.NewDb(stdlib.OpenDB(*d.at(store.DatabaseName), stdlib.OptionAfterConnect(durations)), "pgx")
	db.SetMaxOpenConns(store.MaxConns)
	db.SetMaxIdleConns(store.MaxConns)
	db.SetConnMaxIdleTime(idleTime)
	db.MapperFunc(strcase.ToSnake) // the plugin's structs have no names of columns
	if err := db.PingContext(context.Background()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// durations makes pgx write a time.Duration as the number that Temporal's
// columns hold, and not as an interval: where the parameter's type is not asked
// for (default_query_exec_mode=simple_protocol), Go's type decides.
func durations(_ context.Context, connection *pgx.Conn) error {
	connection.TypeMap().RegisterDefaultPgType(time.Duration(0), "int8")
	connection.TypeMap().RegisterDefaultPgType(new(time.Duration), "int8")
	return nil
}

// locked calls f while no other process of this cluster is in its own locked.
// The lock ends with its connection, which is to the database of the URL.
func (d database) locked(ctx context.Context, f func(*pgx.Conn) error) error {
	connection, err := pgx.ConnectConfig(ctx, d.config)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	if _, err := connection.Exec(ctx, "SELECT pg_advisory_lock($1)", d.lock()); err != nil {
		return fmt.Errorf("wait for the lock of the Temporal databases: %w", err)
	}
	return f(connection)
}

func (d database) lock() int64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte("runa temporal " + d.prefix))
	return int64(hash.Sum64())
}
