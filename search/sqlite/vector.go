package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"runa/search"
)

// findSpace returns the number of a vector's space, or false when no vector of
// it was ever put.
func findSpace(ctx context.Context, tx *sql.Tx, v *search.Vector) (int64, bool, error) {
	var num int64
	err := tx.QueryRowContext(ctx, `SELECT num FROM spaces WHERE name = ? AND length = ?`, v.Space, len(v.Values)).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return num, err == nil, err
}

// putVector writes the vector of a chunk that has none.
func putVector(ctx context.Context, tx *sql.Tx, p product, source, chunk int64, v *search.Vector) error {
	space, found, err := findSpace(ctx, tx, v)
	if err == nil && !found {
		err = tx.QueryRowContext(ctx, `INSERT INTO spaces (name, length) VALUES (?, ?) RETURNING num`, v.Space, len(v.Values)).Scan(&space)
	}
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO vectors (chunk, space, exact) VALUES (?, ?, ?)`, chunk, space, pack(v.Values)); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO codes (product, space, source, chunk, code) VALUES (?, ?, ?, ?, ?)`,
		p, space, source, chunk, newCode(v.Values))
	return err
}

// sameVector reports whether the chunk of that number has this vector; nil is
// none.
func sameVector(ctx context.Context, tx *sql.Tx, chunk int64, v *search.Vector) (bool, error) {
	var name string
	var exact []byte
	err := tx.QueryRowContext(ctx, `
		SELECT s.name, v.exact FROM vectors v JOIN spaces s ON s.num = v.space WHERE v.chunk = ?`, chunk).Scan(&name, &exact)
	if errors.Is(err, sql.ErrNoRows) {
		return v == nil, nil
	}
	return err == nil && v != nil && name == v.Space && slices.Equal(unpack(exact), v.Values), err
}

// nearest returns the chunks nearest to the vector, in the sources of the
// filter; no filter is all of the product's. Every code is read, and the best
// are compared exactly.
func nearest(ctx context.Context, tx *sql.Tx, p product, v *search.Vector, filter []int64, want int) ([]search.Match, error) {
	space, found, err := findSpace(ctx, tx, v)
	if err != nil || !found {
		return nil, err
	}
	best := &nearestCodes{to: newCode(v.Values), most: 2 * want}
	if filter == nil {
		err = best.scan(ctx, tx, `SELECT chunk, code FROM codes WHERE product = ? AND space = ?`, p, space)
	}
	for _, source := range filter {
		err = errors.Join(err, best.scan(ctx, tx, `SELECT chunk, code FROM codes WHERE product = ? AND space = ? AND source = ?`, p, space, source))
	}
	if err != nil {
		return nil, err
	}
	best.cut()
	if err := compareExactly(ctx, tx, v, best.list); err != nil {
		return nil, err
	}
	matches, err := load(ctx, tx, p, best.list)
	return search.Best(matches, want), err
}

// compareExactly scores the candidates by their vectors.
func compareExactly(ctx context.Context, tx *sql.Tx, v *search.Vector, list []candidate) error {
	for i := range list {
		var exact []byte
		err := tx.QueryRowContext(ctx, `SELECT exact FROM vectors WHERE chunk = ?`, list[i].num).Scan(&exact)
		if err != nil {
			return err
		}
		list[i].score = cosine(v.Values, unpack(exact))
	}
	return nil
}

// nearestCodes keeps the most nearest of those it has seen.
type nearestCodes struct {
	to   []byte
	most int
	list []candidate
}

func (n *nearestCodes) scan(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var code sql.RawBytes
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.num, &code); err != nil {
			return err
		}
		c.score = nearness(n.to, code)
		if n.list = append(n.list, c); len(n.list) > 10*n.most {
			n.cut()
		}
	}
	return rows.Err()
}

func (n *nearestCodes) cut() {
	slices.SortFunc(n.list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.num, b.num))
	})
	n.list = n.list[:min(len(n.list), n.most)]
}
