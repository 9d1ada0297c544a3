package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/schema/postgresql/v12"
	temporalschema "go.temporal.io/server/tools/common/schema"
	temporalsql "go.temporal.io/server/tools/sql"
)

// clusterSchema is one of the two databases, with the folder of its schema in
// the server's own files.
type clusterSchema struct {
	name, folder, version string
}

func (d database) schemas() []clusterSchema {
	return []clusterSchema{
		{name: d.main(), folder: "postgresql/v12/temporal", version: v12.Version},
		{name: d.visibility(), folder: "postgresql/v12/visibility", version: v12.VisibilityVersion},
	}
}

// MigrateCluster makes the databases of a cluster that do not exist and
// upgrades the others. Of several processes that do so at once one works and
// the others wait. StartCluster does the same: call it to have an upgrade done
// before, by a user who may make databases. Only the fields of c that say where
// the databases are matter.
func MigrateCluster(ctx context.Context, c ClusterConfig) error {
	c = c.withDefaults()
	if err := c.validateDatabase(); err != nil {
		return err
	}
	db, err := parseDatabase(c)
	if err != nil {
		return err
	}
	return db.locked(ctx, func(connection *pgx.Conn) error { return db.migrate(ctx, connection) })
}

// migrate runs under the lock.
func (d database) migrate(ctx context.Context, connection *pgx.Conn) error {
	for _, schema := range d.schemas() {
		if err := d.ensureDatabase(ctx, connection, schema.name); err != nil {
			return err
		}
		if err := d.ensureSchema(ctx, schema); err != nil {
			return fmt.Errorf("schema of database %s: %w", schema.name, explain(err, d.config.User, schema.name))
		}
	}
	return nil
}

func (d database) ensureDatabase(ctx context.Context, connection *pgx.Conn, name string) error {
	var exists bool
	const query = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)"
	if err := connection.QueryRow(ctx, query, name).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if exists {
		return nil
	}
	_, err := connection.Exec(ctx, "CREATE DATABASE "+quoted(name))
	if hasCode(err, insufficientPrivilege) {
		return fmt.Errorf("create database %s: %w; let a superuser run: %s", name, err, d.createStatements())
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// createStatements is what somebody else may run for a user who may not.
func (d database) createStatements() (text string) {
	for _, schema := range d.schemas() {
		text += fmt.Sprintf("CREATE DATABASE %s OWNER %s; ", quoted(schema.name), quoted(d.config.User))
	}
	return strings.TrimSpace(text)
}

// ensureSchema gives a new database the whole schema, and an older one the
// updates that it lacks. A newer one is used as it is, unless it says that
// servers as old as this one cannot: then an upgrade of the cluster can begin
// with the schema while older processes run.
func (d database) ensureSchema(ctx context.Context, schema clusterSchema) error {
	connection, err := pgx.ConnectConfig(ctx, d.at(schema.name))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	current, least, err := readVersion(ctx, connection, schema.name)
	if err != nil {
		return err
	}
	if current == "" {
		return createSchema(ctx, connection, schema)
	}
	relation, err := compare(current, least, schema.version)
	switch {
	case err != nil:
		return err
	case relation == tooNew:
		return fmt.Errorf("its version %s needs a server of version %s, this one is of %s: use a newer Runa", current, least, schema.version)
	case relation == older:
		return d.upgradeSchema(schema)
	default:
		return nil
	}
}

// readVersion returns nothing for a database without a schema.
func readVersion(ctx context.Context, connection *pgx.Conn, name string) (current, least string, err error) {
	const query = "SELECT curr_version, min_compatible_version FROM schema_version WHERE version_partition = 0 AND db_name = $1"
	err = connection.QueryRow(ctx, query, name).Scan(&current, &least)
	if errors.Is(err, pgx.ErrNoRows) || hasCode(err, undefinedTable) {
		return "", "", nil
	}
	return current, least, err
}

type relation int

const (
	usable relation = iota
	older
	tooNew
)

// compare says how a database's schema stands to the one of this server.
func compare(current, least, own string) (relation, error) {
	var numbers [3]int64
	for i, version := range []string{current, least, own} {
		number, err := number(version)
		if err != nil {
			return usable, err
		}
		numbers[i] = number
	}
	switch {
	case numbers[0] < numbers[2]:
		return older, nil
	case numbers[1] > numbers[2]:
		return tooNew, nil
	default:
		return usable, nil
	}
}

// versionTables are those in which Temporal's tools keep the version.
const versionTables = `
CREATE TABLE IF NOT EXISTS schema_version (
	version_partition INT NOT NULL, db_name VARCHAR(255) NOT NULL, creation_time TIMESTAMP,
	curr_version VARCHAR(64), min_compatible_version VARCHAR(64),
	PRIMARY KEY (version_partition, db_name));
CREATE TABLE IF NOT EXISTS schema_update_history (
	version_partition INT NOT NULL, year INT NOT NULL, month INT NOT NULL, update_time TIMESTAMP NOT NULL,
	description VARCHAR(255), manifest_md5 VARCHAR(64), new_version VARCHAR(64), old_version VARCHAR(64),
	PRIMARY KEY (version_partition, year, month, update_time));`

// createSchema makes everything in one transaction: Temporal's own tool works
// statement by statement and cannot go on where it was killed.
func createSchema(ctx context.Context, connection *pgx.Conn, schema clusterSchema) error {
	text, err := readSchema(schema.folder)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, versionTables+text, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		now := time.Now().UTC()
		if _, err := tx.Exec(ctx, `INSERT INTO schema_version
			(version_partition, db_name, creation_time, curr_version, min_compatible_version) VALUES (0, $1, $2, $3, $3)`,
			schema.name, now, schema.version); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO schema_update_history
			(version_partition, year, month, update_time, old_version, new_version, manifest_md5, description)
			VALUES (0, $1, $2, $3, '0', $4, '', 'initial version')`,
			now.Year(), int(now.Month()), now, schema.version)
		return err
	})
}

// upgradeSchema runs Temporal's own tool, which can be run again where it was
// killed. It cannot be one transaction: some indexes are made concurrently.
func (d database) upgradeSchema(schema clusterSchema) error {
	logger := log.NewNoopLogger()
	connection, err := temporalsql.NewConnection(d.store(schema.name, 1), logger)
	if err != nil {
		return err
	}
	defer connection.Close()
	return temporalschema.NewUpdateSchemaTask(connection, &temporalschema.UpdateConfig{SchemaName: schema.folder}, logger).Run()
}

// Codes of PostgreSQL's errors.
const (
	insufficientPrivilege = "42501"
	undefinedTable        = "42P01"
	undefinedFile         = "58P01"
	notSupported          = "0A000"
)

func hasCode(err error, codes ...string) bool {
	var found *pgconn.PgError
	return errors.As(err, &found) && slices.Contains(codes, found.Code)
}

// explain adds what to do about an error that a superuser can mend.
func explain(err error, user, name string) error {
	switch {
	case hasCode(err, insufficientPrivilege):
		return fmt.Errorf("%w; let a superuser run: ALTER DATABASE %s OWNER TO %s; and in that database: CREATE EXTENSION IF NOT EXISTS btree_gin", err, quoted(name), quoted(user))
	case hasCode(err, undefinedFile, notSupported):
		return fmt.Errorf("%w; PostgreSQL needs its contrib modules (btree_gin)", err)
	default:
		return err
	}
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
