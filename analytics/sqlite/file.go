package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"time"

	_ "modernc.org/sqlite" // registers the driver
)

// Connections of one file. A second reader keeps a quick question from
// waiting for a long one.
const (
	maxReaders  = 2
	maxIdleTime = time.Minute
)

//go:embed schema/*.sql
var schema embed.FS

// plainName are the product ids that may name a file as they are. They have
// no capitals, so two of them differ on every file system.
var plainName = regexp.MustCompile(`^[a-z0-9_]{1,100}$`)

// pathOf returns the file of a product. An id that is not plain is hashed; the
// hyphen keeps such a name apart from every plain one.
func pathOf(dir, product string) string {
	name := product
	if !plainName.MatchString(product) {
		sum := sha256.Sum256([]byte(product))
		name = "x-" + hex.EncodeToString(sum[:])
	}
	return filepath.Join(dir, name+".db")
}

// file is an open SQLite file: one connection that writes and a few that read.
// In WAL mode neither waits for the other.
type file struct {
	path        string
	write, read *sql.DB
	// pruned is when it was last searched for events that are too old; who
	// holds the write transaction may touch it.
	pruned time.Time
}

func openFile(ctx context.Context, path string) (*file, error) {
	address, err := addressOf(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path}
	if f.write, err = openPool(address+"&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", 1); err != nil {
		return nil, err
	}
	if err := migrate(ctx, f.write); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), f.write.Close())
	}
	if f.read, err = openPool(address+"&_pragma=query_only(1)", maxReaders); err != nil {
		return nil, errors.Join(err, f.write.Close())
	}
	return f, nil
}

// addressOf escapes the path: a folder may have any character in its name.
func addressOf(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(10000)"}
	return u.String(), nil
}

func openPool(address string, size int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", address)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(maxIdleTime)
	return db, nil
}

func (f *file) close() error {
	return errors.Join(f.read.Close(), f.write.Close())
}

// migrate brings the file to the newest schema, in one transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	steps, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return err
	}
	// The version is read without a lock first: an up-to-date file is opened
	// without waiting for one.
	if v, err := version(ctx, db); err != nil || v == len(steps) {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	v, err := version(ctx, tx)
	if err != nil {
		return err
	}
	if v > len(steps) {
		return fmt.Errorf("schema version %d is newer than this program's %d", v, len(steps))
	}
	for _, step := range steps[v:] {
		if err := apply(ctx, tx, step); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

func apply(ctx context.Context, tx *sql.Tx, step string) error {
	text, err := schema.ReadFile(step)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, string(text))
	return err
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func version(ctx context.Context, q queryer) (v int, err error) {
	err = q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}
