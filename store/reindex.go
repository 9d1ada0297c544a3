package store

import (
	"context"
	"database/sql"
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
