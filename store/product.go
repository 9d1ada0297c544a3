package store

import (
	"cmp"
	"context"
	"database/sql"

	"runa/schemas"
)

// CreateProduct makes a product; an id that is taken is schemas.Conflict.
func (s *Store) CreateProduct(ctx context.Context, id, name string) (schemas.Product, error) {
	var p schemas.Product
	err := s.update(ctx, func(t *tx) error {
		changed, err := t.exec(ctx, `INSERT INTO products (id, name, created_at) VALUES (?, ?, ?)
			ON CONFLICT (id) DO NOTHING`, id, name, t.now)
		if err == nil && changed == 0 {
			return schemas.Errorf(schemas.Conflict, "product %q exists", id)
		}
		p = schemas.Product{ID: id, Name: name, CreatedAt: schemas.Time(schemas.FromMillis(t.now))}
		return err
	})
	return p, err
}

// Products lists the products, oldest first.
func (s *Store) Products(ctx context.Context, o ListOptions) (List[schemas.Product], error) {
	after, err := parseCursor(o.Cursor, first)
	if err != nil {
		return List[schemas.Product]{}, err
	}
	r := s.reader()
	rows, err := r.query(ctx, `SELECT id, name, created_at FROM products
		WHERE deleted_at IS NULL AND (created_at > ? OR (created_at = ? AND id > ?))
		ORDER BY created_at, id LIMIT ?`, after.at, after.at, after.id, o.limit()+1)
	items, err := collect(rows, err, func(rows *sql.Rows) (schemas.Product, error) { return scanProduct(rows) })
	if err != nil {
		return List[schemas.Product]{}, err
	}
	var total int
	err = r.row(ctx, `SELECT count(*) FROM products WHERE deleted_at IS NULL`).Scan(&total)
	return page(items, o.limit(), total, func(p schemas.Product) place { return place{timeMillis(p.CreatedAt), p.ID} }), err
}

// Product returns a product.
func (s *Store) Product(ctx context.Context, id string) (schemas.Product, error) {
	p, err := scanProduct(s.reader().row(ctx, `SELECT id, name, created_at FROM products
		WHERE id = ? AND deleted_at IS NULL`, id))
	return p, notFound(err, "product", id)
}

// RenameProduct changes a product's name.
func (s *Store) RenameProduct(ctx context.Context, id, name string) error {
	changed, err := s.change(ctx, `UPDATE products SET name = ? WHERE id = ? AND deleted_at IS NULL`, name, id)
	return missing(changed, err, "product", id)
}

// DeleteProduct closes a product: its keys are revoked, its sources get their
// tombstones, its conversations and tools are erased, in one transaction. Its
// id is never used again. Purging the sources is the sweep's. Turns that were
// being opened meanwhile are erased when they are: many may be, at any moment,
// and waiting for none to be would be for ever.
func (s *Store) DeleteProduct(ctx context.Context, id string) error {
	err := s.update(ctx, func(t *tx) error {
		changed, err := t.exec(ctx, `UPDATE products SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL`, t.now, id)
		if err := missing(changed, err, "product", id); err != nil {
			return err
		}
		for _, statement := range []string{
			`UPDATE keys SET revoked_at = ? WHERE product = ? AND revoked_at IS NULL`,
			`UPDATE sources SET touched_at = 0, deleted_at = ? WHERE product = ? AND deleted_at IS NULL`,
		} {
			if _, err := t.exec(ctx, statement, t.now, id); err != nil {
				return err
			}
		}
		return t.erase(ctx, id)
	})
	if err != nil && schemas.CodeOf(err) != schemas.NotFound {
		return err
	}
	// Also for a product that was deleted before: this part may have failed then.
	late := s.update(ctx, func(t *tx) error {
		err := t.row(ctx, `SELECT id FROM products WHERE id = ?`+t.dialect.endRow("products"), id).Scan(&id)
		if err != nil {
			return notFound(err, "product", id)
		}
		return t.erase(ctx, id)
	})
	return cmp.Or(err, late)
}

// erase deletes what a product holds, in the order in which a turn is opened
// and runs: that is the order of its locks.
func (t *tx) erase(ctx context.Context, product string) error {
	for _, table := range []string{"drafts", "conversations", "messages", "turns", "steps", "calls", "tools", "idempotency"} {
		if _, err := t.exec(ctx, `DELETE FROM `+table+` WHERE product = ?`, product); err != nil {
			return err
		}
	}
	return nil
}

// mustLive is NotFound for a product that is not there: nothing more is made
// for it. What is made of a product, and looked for before, is made one at a
// time: the product's row is locked.
func (t *tx) mustLive(ctx context.Context, product string) error {
	var id string
	err := t.row(ctx, `SELECT id FROM products WHERE id = ? AND deleted_at IS NULL`+t.dialect.lockRow("products"), product).Scan(&id)
	return notFound(err, "product", product)
}

// lockProduct takes the lock of mustLive for changes of what was made. A
// product that is not there has nothing to change.
func (t *tx) lockProduct(ctx context.Context, product string) error {
	err := t.mustLive(ctx, product)
	if schemas.CodeOf(err) == schemas.NotFound {
		return nil
	}
	return err
}

func scanProduct(row scanner) (schemas.Product, error) {
	var p schemas.Product
	var at int64
	err := row.Scan(&p.ID, &p.Name, &at)
	p.CreatedAt = schemas.Time(schemas.FromMillis(at))
	return p, err
}
