package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"runa/schemas"
)

// TurnTimes says where a turn stands, when it was taken in and when it ended.
type TurnTimes struct {
	Status  schemas.TurnStatus
	Created time.Time
	Ended   time.Time // zero while it has not ended
}

// TurnTimes reads a turn's times alone.
func (s *Store) TurnTimes(ctx context.Context, product, turn string) (TurnTimes, error) {
	var times TurnTimes
	var created int64
	var ended sql.NullInt64
	err := s.reader().row(ctx, `SELECT status, created_at, ended_at FROM turns WHERE product = ? AND id = ?`, product, turn).
		Scan(&times.Status, &created, &ended)
	if err != nil {
		return times, notFound(err, "turn", turn)
	}
	times.Created = schemas.FromMillis(created)
	if ended.Valid {
		times.Ended = schemas.FromMillis(ended.Int64)
	}
	return times, nil
}

// OpenByStatus counts the turns of all products that have not ended. Each
// status that a turn can be open in is there.
func (s *Store) OpenByStatus(ctx context.Context) (map[schemas.TurnStatus]int, error) {
	open := map[schemas.TurnStatus]int{schemas.TurnQueued: 0, schemas.TurnRunning: 0, schemas.TurnWaiting: 0}
	rows, err := s.reader().query(ctx, `SELECT status, count(*) FROM turns
		WHERE status IN ('queued', 'running', 'waiting') GROUP BY status`)
	_, err = collect(rows, err, func(rows *sql.Rows) (struct{}, error) {
		var status schemas.TurnStatus
		var n int
		err := rows.Scan(&status, &n)
		open[status] = n
		return struct{}{}, err
	})
	return open, err
}

// OldestEvent is the time of the oldest event that no destination has taken
// yet, zero when there is none.
func (s *Store) OldestEvent(ctx context.Context) (time.Time, error) {
	var text string
	err := s.reader().row(ctx, `SELECT event FROM outbox ORDER BY id LIMIT 1`).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var e schemas.Event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return time.Time{}, err
	}
	return schemas.FromMillis(e.At), nil
}

// Pools shows how the database's connections are used, by the pool's name.
func (s *Store) Pools() map[string]sql.DBStats {
	if s.write == s.read {
		return map[string]sql.DBStats{"all": s.write.Stats()}
	}
	return map[string]sql.DBStats{"write": s.write.Stats(), "read": s.read.Stats()}
}
