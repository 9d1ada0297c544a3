package embedded

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.temporal.io/server/schema"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// The schemas, as folders of the server's own files.
const (
	mainSchema       = "sqlite/v3/temporal"
	visibilitySchema = "sqlite/v3/visibility"
)

// prepareMain gives a new file the schemas, and an older one the numbered
// updates of the main schema that it lacks: all in one transaction, so that a
// crash leaves either the old file or the new one. The version is kept in
// user_version, which Temporal does not use.
func prepareMain(ctx context.Context, file string, schemas ...string) error {
	return change(ctx, file, func(tx *sql.Tx) error {
		version, empty, err := inspect(ctx, tx)
		switch {
		case err != nil:
			return err
		case empty:
			return create(ctx, tx, schemas)
		case version == 0:
			return errors.New("it has tables but no version: Runa did not make it")
		default:
			return upgrade(ctx, tx, version)
		}
	})
}

func inspect(ctx context.Context, tx *sql.Tx) (version int64, empty bool, err error) {
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, false, err
	}
	var tables int
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master").Scan(&tables)
	return version, tables == 0, err
}

func create(ctx context.Context, tx *sql.Tx, schemas []string) error {
	version, err := number(sqliteschema.Version)
	if err != nil {
		return err
	}
	var texts []string
	for _, name := range schemas {
		text, err := readSchema(name)
		if err != nil {
			return err
		}
		texts = append(texts, text)
	}
	return execute(ctx, tx, version, texts...)
}

// upgrade applies the updates above version, in order.
func upgrade(ctx context.Context, tx *sql.Tx, version int64) error {
	newest, err := number(sqliteschema.Version)
	if err != nil {
		return err
	}
	if version > newest {
		return fmt.Errorf("its schema version %d is above %d: a newer Runa made it, use that one", version, newest)
	}
	updates, err := readUpdates()
	if err != nil {
		return err
	}
	for _, update := range updates {
		if update.version <= version {
			continue
		}
		if err := execute(ctx, tx, update.version, update.statements...); err != nil {
			return err
		}
	}
	return nil
}

// execute runs SQL texts and notes the version that they lead to.
func execute(ctx context.Context, tx *sql.Tx, version int64, texts ...string) error {
	for _, text := range texts {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("schema version %d: %w", version, err)
		}
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
	return err
}

func readSchema(name string) (string, error) {
	text, err := fs.ReadFile(schema.Assets(), path.Join(name, "schema.sql"))
	return string(text), err
}

// update is one numbered change of the main schema.
type update struct {
	version    int64
	statements []string
}

// readUpdates returns the server's updates of the main schema, oldest first.
func readUpdates() ([]update, error) {
	folder := path.Join(mainSchema, "versioned")
	entries, err := fs.ReadDir(schema.Assets(), folder)
	if err != nil {
		return nil, err
	}
	var updates []update
	for _, entry := range entries {
		update, err := readUpdate(path.Join(folder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("schema update %s: %w", entry.Name(), err)
		}
		updates = append(updates, update)
	}
	slices.SortFunc(updates, func(a, b update) int { return cmp.Compare(a.version, b.version) })
	return updates, nil
}

func readUpdate(folder string) (update, error) {
	text, err := fs.ReadFile(schema.Assets(), path.Join(folder, "manifest.json"))
	if err != nil {
		return update{}, err
	}
	var manifest struct{ SchemaUpdateCqlFiles []string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		return update{}, err
	}
	version, err := number(strings.TrimPrefix(path.Base(folder), "v"))
	if err != nil {
		return update{}, err
	}
	found := update{version: version}
	for _, file := range manifest.SchemaUpdateCqlFiles {
		statements, err := fs.ReadFile(schema.Assets(), path.Join(folder, file))
		if err != nil {
			return update{}, err
		}
		found.statements = append(found.statements, string(statements))
	}
	return found, nil
}

// number turns a schema version such as 0.11 into a number that grows with it.
func number(version string) (int64, error) {
	var major, minor int64
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return 0, fmt.Errorf("schema version %q: %w", version, err)
	}
	return major*1000 + minor, nil
}
