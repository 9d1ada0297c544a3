package store

import (
	"context"
	"database/sql"
	"time"
)

// openingTime is for how long a message that no workflow has opened yet counts
// as a turn: its workflow may wait for a worker that long.
const openingTime = time.Hour

// OpenTurns counts the turns that have not ended and the messages that are
// about to be some, by product; a product without one is not there. It is for
// the whole installation, since what they wait for is shared.
func (s *Store) OpenTurns(ctx context.Context) (map[string]int, error) {
	rows, err := s.reader().query(ctx, `
		SELECT product, count(*) FROM (
			SELECT product FROM turns WHERE status IN ('queued', 'running', 'waiting')
			UNION ALL
			SELECT product FROM drafts WHERE refusal IS NULL AND created_at > ?
		) AS open GROUP BY product`, s.now()-openingTime.Milliseconds())
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
