package store

import (
	"context"
	"database/sql"
	"sync"
)

// statements are the prepared statements of a pool, at most max.
type statements struct {
	db    *sql.DB
	max   int
	mu    sync.Mutex
	ready map[string]*sql.Stmt
}

func newStatements(db *sql.DB, limit int) *statements {
	return &statements{db: db, max: limit, ready: map[string]*sql.Stmt{}}
}

// get returns a statement if it is prepared, or nil.
func (s *statements) get(query string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready[query]
}

// prepare keeps statements for the next time. It must not be called inside a
// transaction: the pool may have no other connection. One that cannot be
// prepared goes on being sent as text.
func (s *statements) prepare(ctx context.Context, queries []string) {
	for _, query := range queries {
		if !s.lacks(query) {
			continue
		}
		stmt, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			return
		}
		s.keep(query, stmt)
	}
}

// lacks reports whether a statement is not kept and there is room for it.
func (s *statements) lacks(query string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready[query] == nil && len(s.ready) < s.max
}

func (s *statements) keep(query string, stmt *sql.Stmt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready[query] != nil {
		_ = stmt.Close() // another was first
		return
	}
	s.ready[query] = stmt
}

// statement runs with its arguments, prepared or not.
type statement interface {
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, args ...any) *sql.Row
}

// asText is a statement that is sent as text to a database or transaction.
type asText struct {
	to interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	text string
}

// ExecContext implements statement.
func (a asText) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return a.to.ExecContext(ctx, a.text, args...)
}

// QueryContext implements statement.
func (a asText) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	return a.to.QueryContext(ctx, a.text, args...)
}

// QueryRowContext implements statement.
func (a asText) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	return a.to.QueryRowContext(ctx, a.text, args...)
}
