package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"runa/schemas"
)

// CreateSource registers a source, in its canonical URL, and returns it with
// the number of its newest run: while it is indexing, that is the crawl to
// start. The same URL again is the source that exists; if its crawl failed, a
// new run begins.
func (s *Store) CreateSource(ctx context.Context, product string, spec schemas.SourceSpec, i Idempotency) (schemas.Source, int64, error) {
	var source schemas.Source
	var run int64
	err := s.update(ctx, func(t *tx) error {
		if err := t.mustLive(ctx, product); err != nil {
			return err
		}
		id, err := t.bound(ctx, product, kindSource, i)
		if err != nil {
			return err
		}
		if id == "" {
			if id, err = t.upsertSource(ctx, product, spec); err != nil {
				return err
			}
			if err := t.bind(ctx, product, kindSource, i, id); err != nil {
				return err
			}
		}
		if source, err = t.readSource(ctx, product, id); err != nil {
			return err
		}
		return t.row(ctx, `SELECT run FROM sources WHERE product = ? AND id = ?`, product, id).Scan(&run)
	})
	return source, run, err
}

func (t *tx) upsertSource(ctx context.Context, product string, spec schemas.SourceSpec) (id string, err error) {
	var status schemas.SourceStatus
	err = t.row(ctx, `SELECT id, status FROM sources WHERE product = ? AND url = ? AND deleted_at IS NULL`+t.dialect.lockRow("sources"),
		product, spec.URL).Scan(&id, &status)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t.insertSource(ctx, product, spec)
	case err == nil && status == schemas.SourceFailed:
		return id, t.restartSource(ctx, product, id, spec)
	}
	return id, err
}

func (t *tx) insertSource(ctx context.Context, product string, spec schemas.SourceSpec) (id string, err error) {
	options, err := json.Marshal(spec.Crawl)
	if err != nil {
		return "", err
	}
	id = schemas.NewID(schemas.SourcePrefix)
	_, err = t.exec(ctx, `INSERT INTO sources (product, id, name, type, url, options, status, reason, run, taken_in, left_out, created_at, touched_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, '', 1, 0, 0, ?, ?)`,
		product, id, spec.Name, spec.Type, spec.URL, string(options), string(schemas.SourceIndexing), t.now, t.now)
	return id, err
}

// restartSource begins a run, by the name and options that are given now, that
// fetches all pages again. Those that were left out when they were found are
// forgotten: it may find them within its own limits.
func (t *tx) restartSource(ctx context.Context, product, id string, spec schemas.SourceSpec) error {
	options, err := json.Marshal(spec.Crawl)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE sources SET name = ?, options = ?, status = ?, reason = '', run = run + 1, left_out = 0, touched_at = ?
		WHERE product = ? AND id = ?`, spec.Name, string(options), string(schemas.SourceIndexing), t.now, product, id)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `DELETE FROM pages WHERE product = ? AND source = ? AND state = 'skipped' AND leases = 0`, product, id)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE pages SET state = 'pending', reason = '', detail = '', tries = 0, not_before = 0,
			lease_owner = '', lease_token = ''
		WHERE product = ? AND source = ?`, product, id)
	return err
}

// Sources lists a product's sources, newest first. Deleted ones are gone.
func (s *Store) Sources(ctx context.Context, product string, o ListOptions) (List[schemas.Source], error) {
	before, err := parseCursor(o.Cursor, last)
	if err != nil {
		return List[schemas.Source]{}, err
	}
	r := s.reader()
	rows, err := r.query(ctx, `SELECT `+sourceColumns+` FROM sources
		WHERE product = ? AND deleted_at IS NULL AND (created_at < ? OR (created_at = ? AND id < ?))
		ORDER BY created_at DESC, id DESC LIMIT ?`, product, before.at, before.at, before.id, o.limit()+1)
	items, err := collect(rows, err, func(rows *sql.Rows) (schemas.Source, error) { return scanSource(rows) })
	if err != nil {
		return List[schemas.Source]{}, err
	}
	var total int
	err = r.row(ctx, `SELECT count(*) FROM sources WHERE product = ? AND deleted_at IS NULL`, product).Scan(&total)
	return page(items, o.limit(), total, func(s schemas.Source) place { return place{timeMillis(s.CreatedAt), s.ID} }), err
}

// Source returns a source with the progress of its crawl.
func (s *Store) Source(ctx context.Context, product, id string) (schemas.Source, error) {
	var source schemas.Source
	err := s.view(ctx, func(t *tx) (err error) {
		if source, err = t.readSource(ctx, product, id); err != nil {
			return err
		}
		source.Pages, err = t.countPages(ctx, product, id)
		return err
	})
	return source, err
}

// LiveSources returns the ids of the sources that may answer: all of the
// product's, or those of them that are named.
func (s *Store) LiveSources(ctx context.Context, product string, named []string) ([]string, error) {
	rows, err := s.reader().query(ctx, `SELECT id FROM sources WHERE product = ? AND deleted_at IS NULL ORDER BY id`, product)
	wanted := make(map[string]bool, len(named))
	for _, id := range named {
		wanted[id] = true
	}
	ids, err := collect(rows, err, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) })
	live := []string{}
	for _, id := range ids {
		if len(named) == 0 || wanted[id] {
			live = append(live, id)
		}
	}
	return live, err
}

// FinishCrawl says how a run ended, once, and tells analytics.
func (s *Store) FinishCrawl(ctx context.Context, product, id string, run int64, status schemas.SourceStatus, reason string) error {
	return s.update(ctx, func(t *tx) error {
		changed, err := t.exec(ctx, `UPDATE sources SET status = ?, reason = ?, crawled_at = ?, touched_at = ?
			WHERE product = ? AND id = ? AND run = ? AND deleted_at IS NULL AND status = ?`,
			string(status), reason, t.now, t.now, product, id, run, string(schemas.SourceIndexing))
		if err != nil || changed == 0 {
			return err
		}
		counts, err := t.countPages(ctx, product, id)
		if err != nil {
			return err
		}
		return t.emit(ctx, schemas.Event{
			Product: product, Kind: schemas.EventCrawl, Subject: id, Outcome: string(status), Size: int64(counts.Indexed),
		})
	})
}

// DeleteSource writes the tombstone: from here on nothing of the source is
// seen. A second time it is NotFound.
func (s *Store) DeleteSource(ctx context.Context, product, id string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.lockProduct(ctx, product); err != nil {
			return err
		}
		changed, err := t.exec(ctx, `UPDATE sources SET deleted_at = ?, touched_at = ?
			WHERE product = ? AND id = ? AND deleted_at IS NULL`, t.now, t.now, product, id)
		if err := missing(changed, err, "knowledge source", id); err != nil {
			return err
		}
		return t.unbind(ctx, product, kindSource, id)
	})
}

// PurgeReady returns when the last lease on a page of a deleted source ends:
// until then a fetch that is under way may still write to the index.
func (s *Store) PurgeReady(ctx context.Context, product, id string) (time.Time, error) {
	var until int64
	err := s.reader().row(ctx, `SELECT COALESCE(MAX(lease_until), 0) FROM pages
		WHERE product = ? AND source = ? AND state = ?`, product, id, string(schemas.PageLeased)).Scan(&until)
	return schemas.FromMillis(until), err
}

// ForgetSource deletes the pages and texts of a deleted source, whose chunks
// are gone from the index. The tombstone stays: an id is never used twice. A
// source that was not deleted is schemas.NotFound.
func (s *Store) ForgetSource(ctx context.Context, product, id string) error {
	return s.update(ctx, func(t *tx) error {
		changed, err := t.exec(ctx, `UPDATE sources SET purged_at = ? WHERE product = ? AND id = ? AND deleted_at IS NOT NULL`, t.now, product, id)
		if err := missing(changed, err, "deleted knowledge source", id); err != nil {
			return err
		}
		for _, statement := range []string{
			`DELETE FROM pages WHERE product = ? AND source = ?`,
			`DELETE FROM blobs WHERE product = ? AND owner = ?`,
		} {
			if _, err := t.exec(ctx, statement, product, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// StaleSource is a source whose crawl or purge nothing has moved for a while.
type StaleSource struct {
	Product, Source string
	Run             int64
	Deleted         bool
}

// StaleSources lists sources with work to do that nothing touched since.
func (s *Store) StaleSources(ctx context.Context, since time.Time, limit int) ([]StaleSource, error) {
	rows, err := s.reader().query(ctx, `SELECT product, id, run, deleted_at IS NOT NULL FROM sources
		WHERE ((deleted_at IS NULL AND status = 'indexing') OR (deleted_at IS NOT NULL AND purged_at IS NULL))
		AND touched_at < ? ORDER BY touched_at LIMIT ?`, schemas.Millis(since), limit)
	return collect(rows, err, func(rows *sql.Rows) (r StaleSource, err error) {
		return r, rows.Scan(&r.Product, &r.Source, &r.Run, &r.Deleted)
	})
}

// TouchSource says that somebody looked after a source.
func (s *Store) TouchSource(ctx context.Context, product, id string) error {
	_, err := s.change(ctx, `UPDATE sources SET touched_at = ? WHERE product = ? AND id = ?`, s.now(), product, id)
	return err
}

const sourceColumns = `id, name, type, url, options, status, reason, created_at, crawled_at`

func (t *tx) readSource(ctx context.Context, product, id string) (schemas.Source, error) {
	source, err := scanSource(t.row(ctx, `SELECT `+sourceColumns+` FROM sources
		WHERE product = ? AND id = ? AND deleted_at IS NULL`, product, id))
	return source, notFound(err, "knowledge source", id)
}

func scanSource(row scanner) (schemas.Source, error) {
	var source schemas.Source
	var options string
	var created int64
	var crawled sql.NullInt64
	err := row.Scan(&source.ID, &source.Name, &source.Type, &source.URL, &options, &source.Status, &source.Reason, &created, &crawled)
	if err != nil {
		return source, err
	}
	source.CreatedAt, source.LastCrawledAt = schemas.Time(schemas.FromMillis(created)), nullTime(crawled)
	return source, json.Unmarshal([]byte(options), &source.Crawl)
}
