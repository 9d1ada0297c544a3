package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"runa/schemas"
)

// emit writes an event to the outbox in the transaction of what it tells of.
func (t *tx) emit(ctx context.Context, e schemas.Event) error {
	e.ID = schemas.NewID("")
	if e.At == 0 {
		e.At = t.now
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO outbox (id, event) VALUES (?, ?)`, e.ID, string(text))
	return err
}

// Batch is a fixed set of events on its way to a destination.
type Batch struct {
	ID     string
	Events []schemas.Event
}

// StampBatch returns the destination's open batch, or makes one of at most
// limit committed events; "" as its id says that there is nothing to send.
// Membership is stamped on the rows and fixed: ids commit out of order, so a
// range would lose the late ones. The unique destination lets one batch be
// open, whoever runs.
func (s *Store) StampBatch(ctx context.Context, destination string, limit int) (Batch, error) {
	id, err := s.openBatch(ctx, destination)
	if err != nil {
		return Batch{}, err
	}
	if id == "" {
		waiting, err := s.hasOutbox(ctx)
		if err != nil || !waiting {
			return Batch{}, err
		}
		if id, err = s.stamp(ctx, destination, limit); err != nil || id == "" {
			return Batch{}, err
		}
	}
	rows, err := s.reader().query(ctx, `SELECT event FROM outbox WHERE batch = ? ORDER BY id`, id)
	events, err := collect(rows, err, func(rows *sql.Rows) (e schemas.Event, err error) {
		var text string
		if err := rows.Scan(&text); err != nil {
			return e, err
		}
		return e, json.Unmarshal([]byte(text), &e)
	})
	return Batch{ID: id, Events: events}, err
}

func (s *Store) openBatch(ctx context.Context, destination string) (id string, err error) {
	err = s.view(ctx, func(t *tx) (err error) {
		id, err = t.batchOf(ctx, destination)
		return err
	})
	return id, err
}

// batchOf is the open batch of a destination, or "".
func (t *tx) batchOf(ctx context.Context, destination string) (id string, err error) {
	err = t.row(ctx, `SELECT id FROM batches WHERE destination = ?`, destination).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// hasOutbox is a cheap look before a transaction that would find nothing.
func (s *Store) hasOutbox(ctx context.Context) (bool, error) {
	var one int
	err := s.reader().row(ctx, `SELECT 1 FROM outbox WHERE batch IS NULL LIMIT 1`).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) stamp(ctx context.Context, destination string, limit int) (id string, err error) {
	err = s.update(ctx, func(t *tx) error {
		id = schemas.NewID("batch_")
		won, err := t.exec(ctx, `INSERT INTO batches (destination, id) VALUES (?, ?)
			ON CONFLICT (destination) DO NOTHING`, destination, id)
		if err != nil {
			return err
		}
		if won == 0 {
			id, err = t.batchOf(ctx, destination)
			return err
		}
		// A subquery in its place might be run more than once, each time locking
		// other rows.
		n, err := t.exec(ctx, `WITH waiting AS (SELECT id FROM outbox WHERE batch IS NULL ORDER BY id LIMIT ?`+t.dialect.skipLocked("outbox")+`)
			UPDATE outbox SET batch = ? WHERE id IN (SELECT id FROM waiting)`, limit, id)
		if err != nil || n > 0 {
			return err
		}
		_, err = t.exec(ctx, `DELETE FROM batches WHERE destination = ?`, destination)
		id = ""
		return err
	})
	return id, err
}

// AckBatch forgets a batch that the destination has taken. Acknowledging it
// again changes nothing, nor does one that is another destination's.
func (s *Store) AckBatch(ctx context.Context, destination, id string) error {
	return s.update(ctx, func(t *tx) error {
		open, err := t.exec(ctx, `DELETE FROM batches WHERE destination = ? AND id = ?`, destination, id)
		if err != nil || open == 0 {
			return err
		}
		_, err = t.exec(ctx, `DELETE FROM outbox WHERE batch = ?`, id)
		return err
	})
}

// OutboxDepth counts the events that no destination has taken yet.
func (s *Store) OutboxDepth(ctx context.Context) (n int, err error) {
	err = s.reader().row(ctx, `SELECT count(*) FROM outbox`).Scan(&n)
	return n, err
}
