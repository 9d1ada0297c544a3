package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"runa/schemas"
)

// TakeSlot reserves the next moment at which a request may go out to a host,
// at least delay after the one before it, whoever crawls it. A host that is
// booked for longer than patience reserves nothing and returns false with the
// time at which it is worth asking again.
func (s *Store) TakeSlot(ctx context.Context, host string, delay, patience time.Duration) (at time.Time, taken bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		if err := t.ensureHost(ctx, host); err != nil {
			return err
		}
		var next int64
		err := t.row(ctx, `SELECT next_at FROM hosts WHERE host = ?`+t.dialect.lockRow("hosts"), host).Scan(&next)
		if err != nil {
			return err
		}
		next = max(next, t.now)
		at, taken = schemas.FromMillis(next), next-t.now <= patience.Milliseconds()
		if !taken {
			return nil
		}
		_, err = t.exec(ctx, `UPDATE hosts SET next_at = ? WHERE host = ?`, next+delay.Milliseconds(), host)
		return err
	})
	return at, taken, err
}

// HoldHost lets no request out to a host before a time, as it asked.
func (s *Store) HoldHost(ctx context.Context, host string, until time.Time) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.ensureHost(ctx, host); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE hosts SET next_at = ? WHERE host = ? AND next_at < ?`,
			schemas.Millis(until), host, schemas.Millis(until))
		return err
	})
}

func (t *tx) ensureHost(ctx context.Context, host string) error {
	_, err := t.exec(ctx, `INSERT INTO hosts (host, next_at, robots_status, robots, robots_at) VALUES (?, 0, 0, '', 0)
		ON CONFLICT (host) DO NOTHING`, host)
	return err
}

// SaveRobots keeps a host's robots.txt for the batches of its crawls.
func (s *Store) SaveRobots(ctx context.Context, host string, status int, body []byte) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.ensureHost(ctx, host); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE hosts SET robots_status = ?, robots = ?, robots_at = ? WHERE host = ?`,
			status, string(body), t.now, host)
		return err
	})
}

// Robots returns a host's robots.txt and the status it was answered with; a
// host whose file was never read has the status 0.
func (s *Store) Robots(ctx context.Context, host string) (status int, body []byte, err error) {
	var text string
	err = s.reader().row(ctx, `SELECT robots_status, robots FROM hosts WHERE host = ?`, host).Scan(&status, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	return status, []byte(text), err
}
