package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"runa/schemas"
)

// tx is a transaction: statements with ? for parameters on any database.
type tx struct {
	*sql.Tx
	dialect  dialect
	prepared *statements
	// unprepared are the statements that were sent as text.
	unprepared []string
	now        int64
}

// statement is the statement prepared, or as text to be prepared afterwards.
func (t *tx) statement(ctx context.Context, query string) statement {
	text := t.dialect.rebind(query)
	if stmt := t.prepared.get(text); stmt != nil {
		return t.StmtContext(ctx, stmt)
	}
	t.unprepared = append(t.unprepared, text)
	return asText{t.Tx, text}
}

func (t *tx) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	return exec(ctx, t.dialect, t.statement(ctx, query), args)
}

func (t *tx) query(ctx context.Context, query string, args ...any) (*rows, error) {
	return ask(ctx, t.dialect, t.statement(ctx, query), args)
}

func (t *tx) row(ctx context.Context, query string, args ...any) row {
	return askOne(ctx, t.dialect, t.statement(ctx, query), args)
}

// alone holds the place of the one that makes what a database has once.
func (t *tx) alone(ctx context.Context) error {
	query := t.dialect.alone()
	if query == "" {
		return nil
	}
	_, err := t.exec(ctx, query)
	return err
}

// direct asks outside a transaction.
type direct struct {
	prepared *statements
	dialect  dialect
}

func (r direct) query(ctx context.Context, query string, args ...any) (*rows, error) {
	return ask(ctx, r.dialect, r.statement(ctx, query), args)
}

func (r direct) row(ctx context.Context, query string, args ...any) row {
	return askOne(ctx, r.dialect, r.statement(ctx, query), args)
}

func (r direct) statement(ctx context.Context, query string) statement {
	text := r.dialect.rebind(query)
	if stmt := r.prepared.get(text); stmt != nil {
		return stmt
	}
	r.prepared.prepare(ctx, []string{text})
	return asText{r.prepared.db, text}
}

// reader reads what is committed when each of its statements begins.
func (s *Store) reader() direct { return direct{s.reads, s.dialect} }

// change runs a statement that is a transaction of its own.
func (s *Store) change(ctx context.Context, query string, args ...any) (changed int64, err error) {
	w := direct{s.writes, s.dialect}
	err = s.retry(ctx, func() error {
		changed, err = exec(ctx, s.dialect, w.statement(ctx, query), args)
		return err
	})
	return changed, err
}

// maxTries bounds how often a transaction is run: one that fails for a lock
// ten times is kept out by something that will not end soon.
const maxTries = 10

// update runs do in a transaction that writes, and runs it again whole when
// the database asks for that (busy, deadlock): then nothing of it was written.
// A database that goes away while it commits leaves open whether it did, so
// that is the caller's to ask again.
func (s *Store) update(ctx context.Context, do func(*tx) error) error {
	return s.retry(ctx, func() error { return s.transact(ctx, s.writes, s.dialect.toUpdate(), do) })
}

func (s *Store) retry(ctx context.Context, do func() error) error {
	var err error
	for range maxTries {
		err = do()
		if err == nil || ctx.Err() != nil || schemas.AsError(err) != nil || s.dialect.failure(err) != again {
			return err
		}
	}
	return errors.Join(schemas.Errorf(schemas.Unavailable, "the database is too busy"), err)
}

// view runs do in a transaction that reads one moment.
func (s *Store) view(ctx context.Context, do func(*tx) error) error {
	return s.transact(ctx, s.reads, s.dialect.toView(), do)
}

// transact runs do in a transaction of a pool. What it sent as text is
// prepared behind it: inside, the pool may have no other connection.
func (s *Store) transact(ctx context.Context, pool *statements, opts *sql.TxOptions, do func(*tx) error) error {
	whole, cancel := patient(ctx, s.dialect.patience())
	defer cancel()
	sqlTx, err := pool.db.BeginTx(whole, opts)
	if err != nil {
		return known(ctx, s.dialect, err)
	}
	defer func() { _ = sqlTx.Rollback() }() // after Commit it is a no-op
	t := &tx{Tx: sqlTx, dialect: s.dialect, prepared: pool, now: s.now()}
	if err := do(t); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return known(ctx, s.dialect, err)
	}
	pool.prepare(ctx, t.unprepared)
	return nil
}

// known gives what a database failed of its code, if the caller was not the
// reason by going away.
func known(ctx context.Context, d dialect, err error) error {
	if err == nil || ctx.Err() != nil || schemas.AsError(err) != nil {
		return err
	}
	switch d.failure(err) {
	case exhausted:
		return errors.Join(schemas.Errorf(schemas.Unavailable, "the database cannot take anything in now"), err)
	case lost:
		return errors.Join(schemas.Errorf(schemas.Unavailable, "the database cannot be reached now"), err)
	default:
		return err
	}
}

// patient bounds a context, if there is a bound.
func patient(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patience)
}
