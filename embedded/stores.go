package embedded

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
)

// stores are Temporal's two databases. They may be one file.
type stores struct {
	main, visibility *config.SQL
}

// openStores makes the files that do not exist, upgrades those that do, and
// returns how the server connects to them.
func openStores(ctx context.Context, c Config) (stores, error) {
	main := c.pathOf("temporal.db")
	if c.Profile == StartDev {
		if err := prepareMain(ctx, main, mainSchema, visibilitySchema); err != nil {
			return stores{}, err
		}
		shared := connection(main, "FULL")
		return stores{main: shared, visibility: shared}, nil
	}
	if err := prepareMain(ctx, main, mainSchema); err != nil {
		return stores{}, err
	}
	visibility := c.pathOf("visibility.db")
	if err := prepareVisibility(ctx, c, visibility); err != nil {
		return stores{}, err
	}
	return stores{main: connection(main, "FULL"), visibility: connection(visibility, "NORMAL")}, nil
}

// connection describes a file to Temporal's SQLite plugin, which takes what it
// does not know for pragmas.
func connection(path, synchronous string) *config.SQL {
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: escaped(path),
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "WAL",
			"synchronous":  synchronous,
			// A backup or a doctor may hold the file for a moment.
			"busy_timeout": "5000",
			// The plugin keeps connections for the life of the process, by these
			// attributes, and would hand out the connection to a file that was
			// deleted since. "setup" has a meaning for the plugin only if it is
			// "true"; any other value makes the attributes differ at each start.
			"setup": rand.Text(),
		},
	}
}

// visibilityIndexes are those of the visibility schema that are kept; it has
// one for each search attribute that a workflow might have. Runa sets none, and
// each index costs an entry for each workflow: all of them together three
// times the disk of the histories. A query by another attribute still works, by
// reading all.
var visibilityIndexes = []string{
	"default_idx", "by_workflow_id", "by_workflow_type", "by_status", "by_temporal_namespace_division",
}

// prepareVisibility makes the file anew unless it is whole and has the schema
// of this server: that schema is changed by Temporal without updates, and
// nothing depends on what is in the file.
func prepareVisibility(ctx context.Context, c Config, path string) error {
	schema, err := readSchema(visibilitySchema)
	if err != nil {
		return err
	}
	version := fingerprint(schema, visibilityIndexes)
	reason := checkVisibility(ctx, path, version)
	if reason == nil {
		return nil
	}
	if !errors.Is(reason, fs.ErrNotExist) {
		c.Logger.WarnContext(ctx, "the list of workflows is made anew; no workflow is affected", "file", path, "reason", reason)
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove damaged visibility file: %w", err)
		}
	}
	return change(ctx, path, func(tx *sql.Tx) error {
		return errors.Join(execute(ctx, tx, version, schema), dropIndexes(ctx, tx, visibilityIndexes))
	})
}

// fingerprint makes a version number of a schema and the indexes kept of it.
func fingerprint(schema string, indexes []string) int64 {
	sum := crc32.ChecksumIEEE([]byte(schema + strings.Join(indexes, "\n")))
	return int64(sum >> 1) // user_version has 32 bits and a sign
}

// dropIndexes drops the indexes of a new database that are not kept. Those
// without a text belong to primary keys.
func dropIndexes(ctx context.Context, tx *sql.Tx, kept []string) error {
	var texts []string
	rows, err := tx.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if !slices.Contains(kept, name) {
			texts = append(texts, fmt.Sprintf("DROP INDEX %q", name))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, strings.Join(texts, "; "))
	return err
}

// checkVisibility says why the file cannot be used, or returns nil.
func checkVisibility(ctx context.Context, path string, want int64) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := open(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var version int64
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version != want {
		return fmt.Errorf("its schema is another one (%d, not %d)", version, want)
	}
	var check string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&check); err != nil {
		return err
	}
	if check != "ok" {
		return fmt.Errorf("it is damaged: %s", check)
	}
	return nil
}

// change runs f in one transaction on the file at path, which is made with
// mode 0600 if it does not exist.
func change(ctx context.Context, path string, f func(*sql.Tx) error) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	db, err := open(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if err := f(tx); err != nil {
		return fmt.Errorf("prepare %s: %w", path, errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("prepare %s: %w", path, err)
	}
	return nil
}

// open connects to a file before the server does, with the server's driver.
func open(path string) (*sql.DB, error) {
	pragmas := url.Values{"_pragma": {"journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"}, "_txlock": {"immediate"}}
	return sql.Open("sqlite", "file:"+escaped(path)+"?"+pragmas.Encode())
}

// escaped escapes a path for the driver, which reads it as part of a URI: a
// folder may have any character in its name.
func escaped(path string) string {
	return (&url.URL{Path: path}).EscapedPath()
}
