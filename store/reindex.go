package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"runa/schemas"
)

// PagePlace is where a walk over the pages of a product stands: behind the page
// of that source and id. The zero value is before the first.
type PagePlace struct{ Source, ID string }

// PageText is a page that answers, with the text that its passages are made
// of.
type PageText struct {
	DocumentRef
	URL, Title, Markdown string
}

// PageTexts returns the pages of a product that answer, from a place on, in
// the order of source and id. What is written meanwhile may be missed: whoever
// walks to fill an index has to see to what is written meanwhile by itself.
func (s *Store) PageTexts(ctx context.Context, product string, after PagePlace, limit int) ([]PageText, error) {
	rows, err := s.reader().query(ctx, `
		SELECT p.source, p.id, p.version, p.url, p.title, b.data
		FROM pages p
		JOIN sources s ON s.product = p.product AND s.id = p.source
		JOIN blobs b ON b.product = p.product AND b.owner = p.source AND b.id = p.id
		WHERE p.product = ? AND p.version > 0 AND s.deleted_at IS NULL
			AND (p.source > ? OR (p.source = ? AND p.id > ?))
		ORDER BY p.source, p.id LIMIT ?`,
		product, after.Source, after.Source, after.ID, limit)
	return collect(rows, err, func(rows *sql.Rows) (p PageText, err error) {
		var text []byte
		err = rows.Scan(&p.Source, &p.Document, &p.Version, &p.URL, &p.Title, &text)
		p.Markdown = string(text)
		return p, err
	})
}

// NextProduct returns the product behind another in the order of ids, "" behind
// the last.
func (s *Store) NextProduct(ctx context.Context, after string) (string, error) {
	var id string
	err := s.reader().row(ctx, `SELECT id FROM products WHERE deleted_at IS NULL AND id > ? ORDER BY id LIMIT 1`, after).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// LeasesEnd is when the last of the leases of now runs out that no record has
// ended yet; those of deleted sources do not count. Zero is no lease.
func (s *Store) LeasesEnd(ctx context.Context) (time.Time, error) {
	var until int64
	err := s.reader().row(ctx, `
		SELECT coalesce(max(p.lease_until), 0) FROM pages p
		JOIN sources s ON s.product = p.product AND s.id = p.source
		WHERE p.state = 'leased' AND s.deleted_at IS NULL`).Scan(&until)
	if err != nil || until <= s.now() {
		return time.Time{}, err
	}
	return time.UnixMilli(until).UTC(), nil
}

// Leased reports whether a lease of LeasesEnd's kind runs out at a time or
// before it, and has not run out.
func (s *Store) Leased(ctx context.Context, end time.Time) (bool, error) {
	var pages int
	err := s.reader().row(ctx, `
		SELECT count(*) FROM pages p
		JOIN sources s ON s.product = p.product AND s.id = p.source
		WHERE p.state = 'leased' AND s.deleted_at IS NULL AND p.lease_until > ? AND p.lease_until <= ?`,
		s.now(), schemas.Millis(end)).Scan(&pages)
	return pages > 0, err
}
