package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// product is the number of a product in this file; its full-text table and
// that table's vocabulary are named by it. The number is ours, so the names
// are safe in a statement.
type product int64

func (p product) table() string { return fmt.Sprintf("index_%d", int64(p)) }
func (p product) vocab() string { return fmt.Sprintf("vocab_%d", int64(p)) }

// findProduct returns the product's number, or false when it has never had a
// chunk.
func findProduct(ctx context.Context, tx *sql.Tx, name string) (product, bool, error) {
	var p product
	err := tx.QueryRowContext(ctx, `SELECT num FROM products WHERE name = ?`, name).Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return p, err == nil, err
}

// ensureProduct returns the product's number and makes its tables at first.
func ensureProduct(ctx context.Context, tx *sql.Tx, name string) (product, error) {
	p, found, err := findProduct(ctx, tx, name)
	if err != nil || found {
		return p, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO products (name) VALUES (?) RETURNING num`, name).Scan(&p)
	if err != nil {
		return 0, err
	}
	// The text itself is in chunks: the full-text table keeps only postings of
	// words that search.Words has prepared.
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`
		CREATE VIRTUAL TABLE %s USING fts5(source, title, heading, text,
			content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
		CREATE VIRTUAL TABLE %s USING fts5vocab(%s, 'row');`,
		p.table(), p.vocab(), p.table()))
	return p, err
}

// ensureSource returns the number of a product's source.
func ensureSource(ctx context.Context, tx *sql.Tx, p product, name string) (int64, error) {
	var num int64
	err := tx.QueryRowContext(ctx, `
		INSERT INTO sources (product, name) VALUES (?, ?)
		ON CONFLICT (product, name) DO UPDATE SET name = excluded.name
		RETURNING num`, p, name).Scan(&num)
	return num, err
}

// productSources returns the numbers of the product's sources by name.
func productSources(ctx context.Context, tx *sql.Tx, p product) (map[string]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT name, num FROM sources WHERE product = ?`, p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	sources := map[string]int64{}
	for rows.Next() {
		var name string
		var num int64
		if err := rows.Scan(&name, &num); err != nil {
			return nil, err
		}
		sources[name] = num
	}
	return sources, rows.Err()
}

// sourceWord is the word by which the full-text table knows a source.
func sourceWord(num int64) string { return fmt.Sprintf("s%d", num) }
