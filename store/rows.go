package store

import (
	"context"
	"database/sql"
	"errors"

	"runa/schemas"
)

// exec runs a statement that returns no rows.
func exec(ctx context.Context, d dialect, s statement, args []any) (changed int64, err error) {
	bounded, cancel := patient(ctx, d.patience())
	defer cancel()
	res, err := s.ExecContext(bounded, clean(args)...)
	if err != nil {
		return 0, known(ctx, d, err)
	}
	return res.RowsAffected()
}

// rows are the rows of a query, whose failure has its code.
type rows struct {
	*sql.Rows
	known  func(error) error
	cancel context.CancelFunc
}

func ask(ctx context.Context, d dialect, s statement, args []any) (*rows, error) {
	bounded, cancel := patient(ctx, d.patience())
	found, err := s.QueryContext(bounded, clean(args)...) //nolint:rowserrcheck // collect checks it
	if err != nil {
		cancel()
		return nil, known(ctx, d, err)
	}
	return &rows{found, func(err error) error { return known(ctx, d, err) }, cancel}, nil
}

// row is the only row of a query.
type row struct {
	*sql.Row
	known  func(error) error
	cancel context.CancelFunc
}

func askOne(ctx context.Context, d dialect, s statement, args []any) row {
	bounded, cancel := patient(ctx, d.patience())
	return row{s.QueryRowContext(bounded, clean(args)...), func(err error) error { return known(ctx, d, err) }, cancel}
}

// Scan implements scanner.
func (r row) Scan(dest ...any) error {
	defer r.cancel()
	return r.known(r.Row.Scan(dest...))
}

// collect scans every row of a query by scan.
func collect[T any](found *rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer found.cancel()
	defer func() { _ = found.Close() }() // Err says what went wrong
	items := []T{}
	for found.Next() {
		item, err := scan(found.Rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, found.known(found.Err())
}

type scanner interface{ Scan(dest ...any) error }

// notFound turns "no row" into the caller's error.
func notFound(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return schemas.Errorf(schemas.NotFound, "no %s %q", what, id)
	}
	return err
}

// missing is NotFound when a statement that names one row changed none.
func missing(changed int64, err error, what, id string) error {
	if err == nil && changed == 0 {
		err = sql.ErrNoRows
	}
	return notFound(err, what, id)
}
