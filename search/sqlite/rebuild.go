package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"runa/search"
)

var _ search.Rebuilder = (*Index)(nil)

// The states of the newest rebuild.
const (
	running  = "running"
	finished = "finished"
	aborted  = "aborted"
)

// rebuild is the newest rebuild.
type rebuild struct {
	id         string
	generation int64
	state      string
}

func newestRebuild(ctx context.Context, tx *sql.Tx) (r rebuild, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id, generation, state FROM rebuild`).Scan(&r.id, &r.generation, &r.state)
	return r, err
}

// underWay returns the rebuild if it is id's and runs.
func underWay(ctx context.Context, tx *sql.Tx, id string) (rebuild, error) {
	r, err := newestRebuild(ctx, tx)
	if err == nil && (r.id != id || r.state != running) {
		err = search.ErrRebuild
	}
	return r, err
}

// StartRebuild implements search.Rebuilder. What is put from now on is of a new
// generation.
func (x *Index) StartRebuild(ctx context.Context, id string) error {
	err := x.update(ctx, func(tx *sql.Tx) error {
		r, err := newestRebuild(ctx, tx)
		switch {
		case err != nil:
			return err
		case r.id == id && r.state == running:
			return nil
		case r.id == id && r.state == finished:
			return search.ErrRebuild
		}
		_, err = tx.ExecContext(ctx, `UPDATE rebuild SET id = ?, generation = generation + 1, state = ?`, id, running)
		return err
	})
	return wrap("start rebuild", err)
}

// Fill implements search.Rebuilder: in place.
func (x *Index) Fill(ctx context.Context, id, productName string, chunks []search.Entry) error {
	if err := search.ValidateEntries(chunks); err != nil {
		return wrap("fill", err)
	}
	err := x.update(ctx, func(tx *sql.Tx) error {
		r, err := underWay(ctx, tx, id)
		if err != nil {
			return err
		}
		p, err := ensureProduct(ctx, tx, productName)
		if err != nil {
			return err
		}
		for i := range chunks {
			have, err := storedChunk(ctx, tx, p, chunks[i].ID)
			if err != nil {
				return err
			}
			if have.num != 0 && have.generation == r.generation {
				continue
			}
			if err := replaceChunk(ctx, tx, p, r.generation, have.num, &chunks[i]); err != nil {
				return fmt.Errorf("chunk %s: %w", chunks[i].ID, err)
			}
		}
		return nil
	})
	return wrap("fill", err)
}

// DeleteNext implements search.Rebuilder: the chunks are left to
// FinishRebuild.
func (x *Index) DeleteNext(ctx context.Context, id, productName string, which search.Selection) error {
	err := x.update(ctx, func(tx *sql.Tx) error {
		r, err := underWay(ctx, tx, id)
		if err != nil {
			return err
		}
		p, found, err := findProduct(ctx, tx, productName)
		if err != nil || !found {
			return err
		}
		where, args := matching(p, which)
		_, err = tx.ExecContext(ctx, `UPDATE chunks SET generation = ? WHERE num IN (SELECT c.num`+where+`)`, //nolint:gosec // where is one of some constants
			append([]any{r.generation - 1}, args...)...)
		return err
	})
	return wrap("delete from the next generation", err)
}

// FinishRebuild implements search.Rebuilder. It works in batches, as Delete
// does, and goes on where a call before it stopped.
func (x *Index) FinishRebuild(ctx context.Context, id string) error {
	last := int64(0)
	for done := false; !done; {
		err := x.update(ctx, func(tx *sql.Tx) error {
			r, err := newestRebuild(ctx, tx)
			switch {
			case err != nil:
				return err
			case r.id == id && r.state == finished:
				done = true
				return nil
			case r.id != id || r.state != running:
				return search.ErrRebuild
			}
			last, err = deleteOlder(ctx, tx, r.generation, last)
			if err != nil || last != 0 {
				return err
			}
			done = true
			return endRebuild(ctx, tx, finished)
		})
		if err != nil {
			return wrap("finish rebuild", err)
		}
	}
	return nil
}

// deleteOlder deletes some chunks of older generations behind the one of that
// number, and returns the last one's number, 0 when there was none.
func deleteOlder(ctx context.Context, tx *sql.Tx, generation, after int64) (int64, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT num, product FROM chunks WHERE num > ? AND generation < ? ORDER BY num LIMIT ?`, after, generation, deleteBatch)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	type old struct {
		num     int64
		product product
	}
	var list []old
	for rows.Next() {
		var o old
		if err := rows.Scan(&o.num, &o.product); err != nil {
			return 0, err
		}
		list = append(list, o)
	}
	if err := rows.Err(); err != nil || len(list) == 0 {
		return 0, err
	}
	for _, o := range list {
		if err := deleteChunk(ctx, tx, o.product, o.num); err != nil {
			return 0, err
		}
	}
	return list[len(list)-1].num, nil
}

func endRebuild(ctx context.Context, tx *sql.Tx, state string) error {
	_, err := tx.ExecContext(ctx, `
		DELETE FROM sources WHERE NOT EXISTS (
			SELECT 1 FROM chunks WHERE chunks.product = sources.product AND chunks.source = sources.num)`)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE rebuild SET state = ?`, state)
	return err
}

// AbortRebuild implements search.Rebuilder.
func (x *Index) AbortRebuild(ctx context.Context, id string) error {
	err := x.update(ctx, func(tx *sql.Tx) error {
		_, err := underWay(ctx, tx, id)
		if errors.Is(err, search.ErrRebuild) {
			return nil
		}
		if err != nil {
			return err
		}
		return endRebuild(ctx, tx, aborted)
	})
	return wrap("abort rebuild", err)
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("search/sqlite: %s: %w", what, err)
	}
	return nil
}
