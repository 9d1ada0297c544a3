package store

import (
	"context"
	"database/sql"
	"errors"

	"runa/schemas"
)

// Idempotency binds a client's key to the object that the request makes.
type Idempotency struct {
	Key      string // "" binds nothing
	BodyHash string
}

// bound returns the object that a key reached before, or "". The same key with
// another body is schemas.IdempotencyMismatch.
func (t *tx) bound(ctx context.Context, product, kind string, i Idempotency) (object string, err error) {
	if i.Key == "" {
		return "", nil
	}
	var hash string
	err = t.row(ctx, `SELECT body_hash, object FROM idempotency WHERE product = ? AND kind = ? AND key = ?`,
		product, kind, i.Key).Scan(&hash, &object)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err == nil && hash != i.BodyHash {
		return "", schemas.Errorf(schemas.IdempotencyMismatch, "this Idempotency-Key was used with another body")
	}
	return object, err
}

func (t *tx) bind(ctx context.Context, product, kind string, i Idempotency, object string) error {
	if i.Key == "" {
		return nil
	}
	_, err := t.exec(ctx, `INSERT INTO idempotency (product, kind, key, body_hash, object, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		product, kind, i.Key, i.BodyHash, object, t.now)
	return err
}

// unbind forgets the keys of an object that is deleted.
func (t *tx) unbind(ctx context.Context, product, kind, object string) error {
	_, err := t.exec(ctx, `DELETE FROM idempotency WHERE product = ? AND kind = ? AND object = ?`, product, kind, object)
	return err
}

const (
	kindTool   = "tool"
	kindSource = "source"
)
