package store

import (
	"context"
	"database/sql"
)

// OpenTurns counts the turns that have not ended, by product; a product
// without one is not there. It is for the whole installation, since what they
// wait for is shared.
func (s *Store) OpenTurns(ctx context.Context) (map[string]int, error) {
	rows, err := s.reader().query(ctx, `
		SELECT product, count(*) FROM turns
		WHERE status IN ('queued', 'running', 'waiting') GROUP BY product`)
	type count struct {
		product string
		turns   int
	}
	counts, err := collect(rows, err, func(rows *sql.Rows) (c count, err error) {
		err = rows.Scan(&c.product, &c.turns)
		return c, err
	})
	open := make(map[string]int, len(counts))
	for _, c := range counts {
		open[c.product] = c.turns
	}
	return open, err
}
