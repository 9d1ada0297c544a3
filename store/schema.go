package store

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrSchema says that the database's schema is older than the program.
var ErrSchema = errors.New(`the schema of the database is older than this program: run "runa migrate"`)

var errNoSchema = fmt.Errorf("%w: the database has none", ErrSchema)

// Migration is a step of the schema.
type Migration struct {
	Version int64
	// Name is the migration's, "" for one of a newer release.
	Name string
	// AppliedAt is zero for one that is yet to be applied.
	AppliedAt time.Time
}

// Status lists the migrations that this program has and those that the database
// had, in their order. It changes nothing, and needs no Sealer.
func Status(ctx context.Context, cfg Config) ([]Migration, error) {
	list, err := ownMigrations()
	if err != nil {
		return nil, err
	}
	cfg.Migrate = false
	d := cfg.dialect()
	if there, err := d.exists(cfg); err != nil || !there {
		return list, err
	}
	write, read, err := d.open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", known(ctx, d, err))
	}
	defer func() { _ = errors.Join(write.Close(), read.Close()) }() // nothing was written
	applied, err := appliedMigrations(ctx, direct{newStatements(read, 0), d})
	return merge(list, applied), err
}

// ownMigrations are the migrations that the program has, oldest first.
func ownMigrations() ([]Migration, error) {
	files, err := migrations.ReadDir("migrations")
	var list []Migration
	for _, file := range files {
		version, errName := goose.NumericComponent(file.Name())
		err = errors.Join(err, errName)
		list = append(list, Migration{Version: version, Name: strings.TrimSuffix(file.Name(), ".sql")})
	}
	return list, err
}

// appliedMigrations are those that the database had, oldest first.
func appliedMigrations(ctx context.Context, r direct) ([]Migration, error) {
	var there bool
	if err := r.row(ctx, r.dialect.hasTable(), goose.DefaultTablename).Scan(&there); err != nil || !there {
		return nil, err
	}
	rows, err := r.query(ctx, `SELECT version_id, tstamp FROM `+goose.DefaultTablename+` WHERE is_applied AND version_id > 0 ORDER BY version_id`)
	return collect(rows, err, func(rows *sql.Rows) (m Migration, err error) {
		return m, rows.Scan(&m.Version, &m.AppliedAt)
	})
}

func merge(own, applied []Migration) []Migration {
	at := map[int64]time.Time{}
	for _, m := range applied {
		at[m.Version] = m.AppliedAt
	}
	for i, m := range own {
		own[i].AppliedAt = at[m.Version]
	}
	newest := own[len(own)-1].Version
	for _, m := range applied {
		if m.Version > newest {
			own = append(own, m)
		}
	}
	return own
}

// prepareSchema brings the schema up to date, or sees to it that it is.
func (s *Store) prepareSchema(ctx context.Context, cfg Config) error {
	if !cfg.Migrate {
		return s.checkSchema(ctx)
	}
	if err := s.migrate(ctx, cfg); err != nil {
		return fmt.Errorf("migrate store: %w", known(ctx, s.dialect, err))
	}
	return nil
}

func (s *Store) checkSchema(ctx context.Context) error {
	own, err := ownMigrations()
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, s.reader())
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		return errNoSchema
	}
	if have, want := applied[len(applied)-1].Version, own[len(own)-1].Version; have < want {
		return fmt.Errorf("%w: it has version %d of %d", ErrSchema, have, want)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context, cfg Config) (err error) {
	db, err := s.dialect.openSchema(ctx, cfg, s.write)
	if err != nil {
		return err
	}
	if db != s.write {
		defer func() { err = errors.Join(err, db.Close()) }()
	}
	files, err := fs.Sub(translated{migrations, s.dialect}, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(s.dialect.goose(), db, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// translated are the migrations as a database reads them.
type translated struct {
	fs.FS
	dialect dialect
}

// Open implements fs.FS.
func (t translated) Open(name string) (fs.File, error) {
	file, err := t.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	text, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return translatedFile{file, bytes.NewReader(t.dialect.migration(text))}, nil
}

type translatedFile struct {
	fs.File
	text *bytes.Reader
}

// Read implements fs.File.
func (f translatedFile) Read(p []byte) (int, error) { return f.text.Read(p) }
