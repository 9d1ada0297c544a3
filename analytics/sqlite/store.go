// Package sqlite is the embedded analytics.Store: one SQLite file per product
// in a folder. It keeps the events of one machine; it is not shared between
// machines, and the records in package store do not depend on it.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"runa/analytics"
	"runa/schemas"
)

// Config says where the files are.
type Config struct {
	// Dir is the folder of the files. It is made when it is missing.
	Dir string
	// Retention is how long events are kept; default 0: for ever. What is older
	// goes within an hour of a write.
	Retention time.Duration
	// MaxOpen bounds the files that are open at once; default 64.
	MaxOpen int
	// Logger hears of files that are opened and closed; default: nobody.
	Logger *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Store is an analytics.Store in a folder.
type Store struct {
	dir       string
	retention time.Duration
	files     *files
	now       func() time.Time
}

var _ analytics.Store = (*Store)(nil)

// Open makes the folder if needed. Files are opened when they are first used.
func Open(_ context.Context, cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("analytics: Config.Dir is empty")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("analytics: make the folder: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Store{
		dir:       cfg.Dir,
		retention: cfg.Retention,
		files:     newFiles(cmp.Or(cfg.MaxOpen, 64), cfg.Logger),
		now:       cfg.Now,
	}, nil
}

// Write implements analytics.Store. Each product's part is one transaction of
// its file. A part that fails does not keep the others from being written:
// the batch is repeated as a whole and counts once wherever it got through.
func (s *Store) Write(ctx context.Context, batch analytics.Batch) error {
	if batch.ID == "" {
		return errors.New("analytics: a batch needs an id")
	}
	parts := make(map[string][]schemas.Event)
	for _, event := range batch.Events {
		parts[event.Product] = append(parts[event.Product], event)
	}
	var failed []error
	for _, product := range slices.Sorted(maps.Keys(parts)) {
		if err := s.writePart(ctx, product, batch.ID, parts[product]); err != nil {
			failed = append(failed, fmt.Errorf("analytics: write batch %s for %s: %w", batch.ID, product, err))
		}
	}
	return errors.Join(failed...)
}

func (s *Store) writePart(ctx context.Context, product, batch string, events []schemas.Event) error {
	f, err := s.files.acquire(ctx, pathOf(s.dir, product))
	if err != nil {
		return err
	}
	defer s.files.release(f)
	tx, err := f.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	fresh, err := insertBatch(ctx, tx, batch, len(events), s.now())
	if err != nil || !fresh {
		return err
	}
	if err := insertEvents(ctx, tx, events); err != nil {
		return err
	}
	if err := s.prune(ctx, tx, f.file); err != nil {
		return err
	}
	return tx.Commit()
}

// pruneEvery is how often a file is searched for events that are too old: the
// search reads all of it.
const pruneEvery = time.Hour

// prune deletes the events that are too old. The caller writes to the file, so
// it is the only one here.
func (s *Store) prune(ctx context.Context, tx *sql.Tx, f *file) error {
	if s.retention == 0 || s.now().Sub(f.pruned) < pruneEvery {
		return nil
	}
	f.pruned = s.now()
	_, err := tx.ExecContext(ctx, `DELETE FROM events WHERE at < ?`, schemas.Millis(s.now().Add(-s.retention)))
	return err
}

// insertBatch reports false when the batch was written before.
func insertBatch(ctx context.Context, tx *sql.Tx, id string, events int, now time.Time) (bool, error) {
	res, err := tx.ExecContext(ctx,
		`INSERT INTO batches (id, events, written_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		id, events, schemas.Millis(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func insertEvents(ctx context.Context, tx *sql.Tx, events []schemas.Event) error {
	insert, err := tx.PrepareContext(ctx, `
		INSERT INTO events (
			id, product, kind, at, conversation, turn, subject, outcome, intent, model,
			answered, degraded, duration_ms, model_calls, input_tokens, output_tokens, size
		) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }() // the transaction's end decides
	for _, e := range events {
		_, err := insert.ExecContext(ctx,
			e.ID, e.Product, string(e.Kind), e.At, e.Conversation, e.Turn, e.Subject, e.Outcome, e.Intent, e.Model,
			e.Answered, e.Degraded, e.DurationMs, e.ModelCalls, e.InputTokens, e.OutputTokens, e.Size)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
	}
	return nil
}

// Figures implements analytics.Store. All numbers are of one moment, and a
// write under way is not waited for. A product without a file gets none.
func (s *Store) Figures(ctx context.Context, product string, period analytics.Period) (schemas.Figures, error) {
	asOf := s.now()
	path := pathOf(s.dir, product)
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return analytics.Totals{}.Figures(asOf), s.Ping(ctx)
	case err != nil:
		return schemas.Figures{}, fmt.Errorf("analytics: figures of %s: %w", product, err)
	}
	totals, err := s.totals(ctx, path, period)
	if err != nil {
		return schemas.Figures{}, fmt.Errorf("analytics: figures of %s: %w", product, err)
	}
	return totals.Figures(asOf), nil
}

func (s *Store) totals(ctx context.Context, path string, period analytics.Period) (t analytics.Totals, err error) {
	f, err := s.files.acquire(ctx, path)
	if err != nil {
		return t, err
	}
	defer s.files.release(f)
	tx, err := f.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return t, err
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	if err := countMessages(ctx, tx, period, &t); err != nil {
		return t, err
	}
	t.Intents, err = countIntents(ctx, tx, period)
	return t, err
}

func countMessages(ctx context.Context, tx *sql.Tx, period analytics.Period, t *analytics.Totals) error {
	low, high := period.Millis()
	var held int64
	// A message without a gap before it is the first of its conversation.
	err := tx.QueryRowContext(ctx, `
		WITH messages AS (
			SELECT at - lag(at) OVER (PARTITION BY conversation ORDER BY at) AS gap
			FROM events
			WHERE kind = 'message' AND at >= ? AND at < ?
		)
		SELECT coalesce(sum(gap IS NULL), 0), count(*), coalesce(sum(min(gap, ?)), 0)
		FROM messages`,
		low, high, analytics.MaxGap.Milliseconds(),
	).Scan(&t.Conversations, &t.Messages, &held)
	t.Held = time.Duration(held) * time.Millisecond
	return err
}

func countIntents(ctx context.Context, tx *sql.Tx, period analytics.Period) ([]schemas.IntentShare, error) {
	low, high := period.Millis()
	rows, err := tx.QueryContext(ctx, `
		SELECT intent, count(*)
		FROM events
		WHERE kind = 'turn' AND intent <> '' AND at >= ? AND at < ?
		GROUP BY intent`, low, high)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var intents []schemas.IntentShare
	for rows.Next() {
		var intent schemas.IntentShare
		if err := rows.Scan(&intent.Name, &intent.Count); err != nil {
			return nil, err
		}
		intents = append(intents, intent)
	}
	return intents, rows.Err()
}

// Ping implements analytics.Store: the store is open and its folder is there.
func (s *Store) Ping(context.Context) error {
	if s.files.isClosed() {
		return errClosed
	}
	info, err := os.Stat(s.dir)
	if err != nil {
		return fmt.Errorf("analytics: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("analytics: %s is not a folder", s.dir)
	}
	return nil
}

// Close implements analytics.Store. It waits for calls under way; later ones
// fail. Closing again does nothing.
func (s *Store) Close() error { return s.files.close() }
