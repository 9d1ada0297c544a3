package store_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
	"runa/store/storetest"
)

const product = "prod_north"

// openProduct opens a schema of its own with a product in it.
func (s *server) openProduct(t *testing.T) (st *store.Store, address string) {
	t.Helper()
	name := schemas.NewID("outage_")
	address = s.schema(t, name)
	st = s.open(t, storetest.Options{Database: name, Now: time.Now})
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	_, err := st.CreateProduct(t.Context(), product, "North")
	require.NoError(t, err)
	return st, address
}

// TestPostgresConnectionsEnd ends all connections again and again under load.
// What was asked for is asked again, as the engine and clients do: nothing is
// lost and nothing is doubled, and no error is another than Unavailable.
func TestPostgresConnectionsEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t).database(t, "")
	st, address := s.openProduct(t)
	const workers, each = 8, 12
	var ended, failed atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killer.Go(func() {
		for ctx.Err() == nil {
			var n int64
			err := s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'runa') AS ended`).Scan(&n)
			if err != nil {
				t.Error(err)
				return
			}
			ended.Add(n)
			time.Sleep(40 * time.Millisecond)
		}
	})
	var talkers sync.WaitGroup
	for w := range workers {
		talkers.Go(func() {
			for i := range each {
				if err := stubborn(t.Context(), st, fmt.Sprint("s", w%4), fmt.Sprintf("msg_%d_%d", w, i), &failed); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	talkers.Wait()
	stop()
	killer.Wait()
	t.Logf("%d connections were ended, %d acts failed", ended.Load(), failed.Load())
	require.Positive(t, failed.Load(), "the test has met what it is for")
	// The pool of the first store may hold connections that were ended last.
	fresh, err := store.Open(t.Context(), store.Config{URL: address, Sealer: s.sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, fresh.Close()) })
	requireTalks(t, fresh, workers*each)
}

// stubborn is a turn each of whose acts is asked for until it is done.
func stubborn(ctx context.Context, st *store.Store, session, turn string, failed *atomic.Int64) error {
	in := schemas.TurnInput{Product: product, Turn: turn, Session: session}
	status := schemas.TurnQueued
	acts := []func() error{
		func() (err error) { in.Draft, err = st.PutDraft(ctx, product, "hello"); return err },
		func() error {
			opened, err := st.OpenTurn(ctx, in)
			if status = opened.Status; err == nil && opened.Refusal != nil {
				return opened.Refusal
			}
			return err
		},
		func() (err error) {
			for err == nil && status != schemas.TurnRunning {
				status, err = st.ClaimPlace(ctx, product, turn)
			}
			return err
		},
		func() error {
			claim, err := st.ClaimStep(ctx, product, turn, 1, &store.Retrieval{})
			if err != nil || claim.Outcome != nil {
				return err
			}
			_, err = st.StoreStep(ctx, product, turn, 1, claim.Claim, store.StepOutcome{Text: "reply"}, nil)
			return err
		},
		func() error {
			_, err := st.CloseTurn(ctx, product, turn, store.Closing{Status: schemas.TurnCompleted})
			return err
		},
	}
	for n, act := range acts {
		for err := act(); err != nil; err = act() {
			if schemas.CodeOf(err) != schemas.Unavailable {
				return fmt.Errorf("act %d of %s: %w", n, turn, err)
			}
			failed.Add(1)
		}
	}
	return nil
}

// requireTalks holds the records to a number of turns, each of them once.
func requireTalks(t *testing.T, st *store.Store, turns int) {
	t.Helper()
	list, err := st.Conversations(t.Context(), product, store.ListOptions{})
	require.NoError(t, err)
	messages := 0
	for _, c := range list.Items {
		got, err := st.Messages(t.Context(), product, c.ID)
		require.NoError(t, err)
		require.Len(t, got, c.MessageCount)
		messages += len(got)
	}
	require.Equal(t, 2*turns, messages)
	kinds := map[schemas.EventKind]int{}
	for {
		batch, err := st.StampBatch(t.Context(), "analytics", 1000)
		require.NoError(t, err)
		if batch.ID == "" {
			break
		}
		for _, e := range batch.Events {
			kinds[e.Kind]++
		}
		require.NoError(t, st.AckBatch(t.Context(), "analytics", batch.ID))
	}
	require.Equal(t, map[schemas.EventKind]int{schemas.EventMessage: 2 * turns, schemas.EventTurn: turns}, kinds)
}

// TestPostgresExportGoesBy exports beside a transaction that is held open: it
// must neither wait for it nor take its events.
func TestPostgresExportGoesBy(t *testing.T) {
	t.Parallel()
	st, _ := newServer(t).openProduct(t)
	ctx := t.Context()
	var failed atomic.Int64
	in := schemas.TurnInput{Product: product, Turn: "msg_held", Session: "held"}
	var err error
	in.Draft, err = st.PutDraft(ctx, product, "hello")
	require.NoError(t, err)
	_, err = st.OpenTurn(ctx, in)
	require.NoError(t, err)
	inside, release, closed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := st.CloseTurn(ctx, product, "msg_held", store.Closing{
			Status: schemas.TurnCompleted,
			Intent: func(string, []string) string { close(inside); <-release; return "" },
		})
		closed <- err
	}()
	<-inside
	require.NoError(t, stubborn(ctx, st, "s", "msg_1", &failed))
	batch, err := st.StampBatch(ctx, "analytics", 100)
	require.NoError(t, err)
	require.Len(t, batch.Events, 1+3, "what opened the held turn, and all of the other")
	require.NoError(t, st.AckBatch(ctx, "analytics", batch.ID))
	close(release)
	require.NoError(t, <-closed)
	batch, err = st.StampBatch(ctx, "analytics", 100)
	require.NoError(t, err)
	require.Len(t, batch.Events, 1)
	require.Equal(t, "msg_held", batch.Events[0].Turn)
	require.Zero(t, failed.Load())
}

// TestPostgresStuck meets a lock that is not let go, a server that is not
// there and one that says nothing.
func TestPostgresStuck(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, address := s.openProduct(t)
	inside := serverAt(t, address, s.sealer)
	st, err := store.Open(t.Context(), store.Config{URL: inside.with(t, "lock_timeout", "20ms"), Sealer: s.sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	lock, err := inside.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = lock.ExecContext(t.Context(), `SELECT 1 FROM products FOR UPDATE`)
	require.NoError(t, err)
	requireUnavailable(t, st.RenameProduct(t.Context(), product, "South"))
	_, _, err = st.CreateKey(t.Context(), product, "ci")
	requireUnavailable(t, err)
	require.NoError(t, lock.Rollback())
	require.NoError(t, st.RenameProduct(t.Context(), product, "South"))
}

func TestPostgresAway(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	silent := listener.Addr().String() // takes connections and never answers
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	away := gone.Addr().String()
	require.NoError(t, gone.Close())
	for _, host := range []string{silent, away} {
		began := time.Now()
		for _, migrate := range []bool{true, false} {
			_, err := store.Open(t.Context(), store.Config{
				URL: "postgres://runa:s3cret@" + host + "/runa?sslmode=disable&connect_timeout=1", Migrate: migrate,
			})
			requireUnavailable(t, err)
			require.NotContains(t, err.Error(), "s3cret")
		}
		require.Less(t, time.Since(began), 20*time.Second)
	}
}

// TestPostgresOneConnection runs turns at once on one connection: whatever asks
// for a second while it has one would wait for itself.
func TestPostgresOneConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, address := s.openProduct(t)
	st, err := store.Open(t.Context(), store.Config{URL: address, MaxConns: 1, Sealer: s.sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	var failed atomic.Int64
	var talkers sync.WaitGroup
	for w := range 6 {
		talkers.Go(func() {
			for i := range 5 {
				if err := stubborn(t.Context(), st, fmt.Sprint("s", w), fmt.Sprintf("msg_%d_%d", w, i), &failed); err != nil {
					t.Error(err)
				}
			}
		})
	}
	talkers.Wait()
	require.Zero(t, failed.Load())
	requireTalks(t, st, 30)
}

// TestPostgresCollation finds no text that would be ordered by a language.
func TestPostgresCollation(t *testing.T) {
	t.Parallel()
	s := newServer(t).database(t, otherOrder)
	_, address := s.openProduct(t)
	var texts, others int
	err := serverAt(t, address, s.sealer).db.QueryRowContext(t.Context(), `SELECT count(*), count(*) FILTER (WHERE collation_name IS DISTINCT FROM 'C')
		FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'text'`).Scan(&texts, &others)
	require.NoError(t, err)
	require.Greater(t, texts, 50)
	require.Zero(t, others)
}

// TestPostgresEncoding refuses a database that cannot keep every text.
func TestPostgresEncoding(t *testing.T) {
	t.Parallel()
	s := newServer(t).database(t, `TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`)
	_, err := store.Open(t.Context(), store.Config{URL: s.url, Migrate: true, Sealer: s.sealer})
	require.ErrorContains(t, err, "UTF8")
}

func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, schemas.Unavailable, schemas.CodeOf(err), "%v", err)
}

// TestPostgresPrivileges works as a role that may read and change rows, and
// nothing else: only migrations need more.
func TestPostgresPrivileges(t *testing.T) {
	t.Parallel()
	s := newServer(t).database(t, "")
	owner, err := store.Open(t.Context(), store.Config{URL: s.url, Migrate: true, Sealer: s.sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, owner.Close()) })
	_, err = owner.CreateProduct(t.Context(), product, "North")
	require.NoError(t, err)
	role := pgx.Identifier{schemas.NewID("runa_test_")}.Sanitize()
	s.exec(t, `CREATE ROLE `+role+` LOGIN PASSWORD 's3cret'`)
	t.Cleanup(func() { s.exec(t, `DROP OWNED BY `+role); s.exec(t, `DROP ROLE `+role) })
	s.exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+role)

	u, err := url.Parse(s.url)
	require.NoError(t, err)
	u.User = url.UserPassword(strings.Trim(role, `"`), "s3cret")
	st, err := store.Open(t.Context(), store.Config{URL: u.String(), Sealer: s.sealer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	_, err = st.Bootstrap(t.Context(), "", "")
	require.NoError(t, err)
	var failed atomic.Int64
	require.NoError(t, stubborn(t.Context(), st, "s", "msg_1", &failed))
	requireTalks(t, st, 1)
	require.NoError(t, st.DeleteProduct(t.Context(), product))
}
