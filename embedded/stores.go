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
		DatabaseName: path,
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

// prepareVisibility makes the file anew unless it is whole and has the schema
// of this server: that schema is changed by Temporal without updates, and
// nothing depends on what is in the file.
func prepareVisibility(ctx context.Context, c Config, path string) error {
	schema, err := readSchema(visibilitySchema)
	if err != nil {
		return err
	}
	version := int64(crc32.ChecksumIEEE([]byte(schema)) >> 1) // user_version is signed
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
		return execute(ctx, tx, version, schema)
	})
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
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's setting
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
	return sql.Open("sqlite", "file:"+path+"?"+pragmas.Encode())
}
