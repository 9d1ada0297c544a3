package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"runa/schemas"
)

// Principal is who a key stands for.
type Principal struct {
	Key string
	// Product is "" for an operator.
	Product string
}

// CreateKey makes a key of a product and returns it with its only copy.
func (s *Store) CreateKey(ctx context.Context, product, name string) (schemas.Key, string, error) {
	secret := schemas.NewKey(schemas.LiveKeyPrefix)
	var k schemas.Key
	err := s.update(ctx, func(t *tx) error {
		if err := t.mustLive(ctx, product); err != nil {
			return err
		}
		var err error
		k, err = t.insertKey(ctx, product, name, secret, false)
		return err
	})
	return k, secret, err
}

func (t *tx) insertKey(ctx context.Context, product, name, secret string, first bool) (schemas.Key, error) {
	k := schemas.Key{
		ID: schemas.NewID(schemas.KeyPrefix), ProductID: product, Name: name, Hint: secret[len(secret)-4:],
		CreatedAt: schemas.Time(schemas.FromMillis(t.now)),
	}
	_, err := t.exec(ctx, `INSERT INTO keys (id, product, name, hash, hint, first, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		k.ID, product, name, schemas.HashKey(secret), k.Hint, bit(first), t.now)
	return k, err
}

// Keys lists the keys of a product, or of all products when it is "", oldest
// first, revoked ones too. Operators' keys are not listed.
func (s *Store) Keys(ctx context.Context, product string, o ListOptions) (List[schemas.Key], error) {
	after, err := parseCursor(o.Cursor, first)
	if err != nil {
		return List[schemas.Key]{}, err
	}
	r := s.reader()
	rows, err := r.query(ctx, `SELECT id, product, name, hint, created_at, revoked_at FROM keys
		WHERE product <> '' AND (? = '' OR product = ?) AND (created_at > ? OR (created_at = ? AND id > ?))
		ORDER BY created_at, id LIMIT ?`, product, product, after.at, after.at, after.id, o.limit()+1)
	items, err := collect(rows, err, func(rows *sql.Rows) (schemas.Key, error) { return scanKey(rows) })
	if err != nil {
		return List[schemas.Key]{}, err
	}
	var total int
	err = r.row(ctx, `SELECT count(*) FROM keys WHERE product <> '' AND (? = '' OR product = ?)`, product, product).Scan(&total)
	return page(items, o.limit(), total, func(k schemas.Key) place { return place{timeMillis(k.CreatedAt), k.ID} }), err
}

// Key returns a product's key by its id.
func (s *Store) Key(ctx context.Context, id string) (schemas.Key, error) {
	k, err := scanKey(s.reader().row(ctx, `SELECT id, product, name, hint, created_at, revoked_at FROM keys
		WHERE id = ? AND product <> ''`, id))
	return k, notFound(err, "key", id)
}

// RenameKey changes a key's name.
func (s *Store) RenameKey(ctx context.Context, id, name string) error {
	changed, err := s.change(ctx, `UPDATE keys SET name = ? WHERE id = ? AND product <> ''`, name, id)
	return missing(changed, err, "key", id)
}

// RevokeKey ends a key; revoking it again is NotFound.
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	changed, err := s.change(ctx, `UPDATE keys SET revoked_at = ? WHERE id = ? AND product <> '' AND revoked_at IS NULL`, s.now(), id)
	return missing(changed, err, "key", id)
}

// Authenticate returns whose key this is; a wrong, revoked or deleted one, and
// one of a deleted product, is schemas.Unauthenticated.
func (s *Store) Authenticate(ctx context.Context, secret string) (Principal, error) {
	var p Principal
	err := s.reader().row(ctx, `SELECT id, product FROM keys WHERE hash = ? AND revoked_at IS NULL
			AND (product = '' OR EXISTS (SELECT 1 FROM products p WHERE p.id = keys.product AND p.deleted_at IS NULL))`,
		schemas.HashKey(secret)).Scan(&p.Key, &p.Product)
	if errors.Is(err, sql.ErrNoRows) {
		return Principal{}, schemas.Errorf(schemas.Unauthenticated, "the API key is not valid")
	}
	return p, err
}

// FirstKeys are the keys that a first start made; "" where one was given or
// made before.
type FirstKeys struct{ Product, Operator string }

// Bootstrap makes the default product with its key and the operator's key,
// each once in the life of the database. A key that is given replaces the one
// that was given or made at the last start.
func (s *Store) Bootstrap(ctx context.Context, productKey, operatorKey string) (FirstKeys, error) {
	var made FirstKeys
	err := s.update(ctx, func(t *tx) error {
		made = FirstKeys{}
		if err := t.alone(ctx); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO products (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			schemas.DefaultProduct, "Default product", t.now)
		if err != nil {
			return err
		}
		if made.Product, err = t.ensureKey(ctx, schemas.DefaultProduct, productKey, schemas.LiveKeyPrefix); err != nil {
			return err
		}
		made.Operator, err = t.ensureKey(ctx, "", operatorKey, schemas.OperatorKeyPrefix)
		return err
	})
	return made, err
}

// firstKeyName is what the keys of Bootstrap are called at first.
const firstKeyName = "first start"

func (t *tx) ensureKey(ctx context.Context, product, given, prefix string) (made string, err error) {
	if given != "" {
		return "", t.replaceFirstKey(ctx, product, given)
	}
	var n int
	err = t.row(ctx, `SELECT count(*) FROM keys WHERE product = ?`, product).Scan(&n)
	if err != nil || n > 0 {
		return "", err
	}
	made = schemas.NewKey(prefix)
	_, err = t.insertKey(ctx, product, firstKeyName, made, true)
	return made, err
}

func (t *tx) replaceFirstKey(ctx context.Context, product, given string) error {
	hash := schemas.HashKey(given)
	if _, err := t.exec(ctx, `DELETE FROM keys WHERE product = ? AND first = 1 AND hash <> ?`, product, hash); err != nil {
		return err
	}
	var owner string
	var revoked sql.NullInt64
	err := t.row(ctx, `SELECT product, revoked_at FROM keys WHERE hash = ?`, hash).Scan(&owner, &revoked)
	switch {
	case err == nil && owner != product:
		return schemas.Errorf(schemas.Conflict, "the key that is set belongs to another product")
	case err == nil && !revoked.Valid:
		return nil
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if _, err := t.exec(ctx, `DELETE FROM keys WHERE hash = ?`, hash); err != nil {
		return err
	}
	_, err = t.insertKey(ctx, product, firstKeyName, given, true)
	return err
}

func scanKey(row scanner) (schemas.Key, error) {
	var k schemas.Key
	var created int64
	var revoked sql.NullInt64
	err := row.Scan(&k.ID, &k.ProductID, &k.Name, &k.Hint, &created, &revoked)
	k.CreatedAt, k.RevokedAt = schemas.Time(schemas.FromMillis(created)), nullTime(revoked)
	return k, err
}

func nullTime(ms sql.NullInt64) *schemas.Time {
	if !ms.Valid {
		return nil
	}
	t := schemas.Time(schemas.FromMillis(ms.Int64))
	return &t
}

func timeMillis(t schemas.Time) int64 { return schemas.Millis(time.Time(t)) }
