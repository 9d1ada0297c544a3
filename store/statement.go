package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxStatements bounds what is kept prepared: statements whose text grows with
// their arguments are many.
const maxStatements = 256

// statements are the prepared statements of a pool. Parsing SQL was a quarter
// of what a turn's transactions cost.
type statements struct {
	db    *sql.DB
	mu    sync.Mutex
	ready map[string]*sql.Stmt
}

func newStatements(db *sql.DB) *statements {
	return &statements{db: db, ready: map[string]*sql.Stmt{}}
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
		s.mu.Lock()
		full := len(s.ready) >= maxStatements
		s.mu.Unlock()
		if full || s.get(query) != nil {
			continue
		}
		stmt, err := s.db.PrepareContext(ctx, query) //nolint:sqlclosecheck // it is kept until the pool is closed
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ready[query] == nil {
			s.ready[query], stmt = stmt, nil
		}
		s.mu.Unlock()
		if stmt != nil {
			_ = stmt.Close() // another was first
		}
	}
}
