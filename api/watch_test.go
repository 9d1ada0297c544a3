package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

// rows are the turns that a watcher looks at, on a clock that skips.
type rows struct {
	mu      sync.Mutex
	status  map[string]schemas.TurnStatus
	queries []int // the number of refs of each
	fails   int   // how many queries fail first
	hangs   int   // how many queries hang first
}

func (r *rows) set(turn string, status schemas.TurnStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status[turn] = status
}

func (r *rows) read(ctx context.Context, refs []store.TurnRef) ([]store.TurnState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = append(r.queries, len(refs))
	if r.hangs--; r.hangs >= 0 {
		r.mu.Unlock()
		<-ctx.Done()
		r.mu.Lock()
		return nil, ctx.Err()
	}
	if r.fails--; r.fails >= 0 {
		return nil, errors.New("the database is away")
	}
	states := make([]store.TurnState, len(refs))
	for i, ref := range refs {
		states[i].Status = r.status[ref.Turn]
	}
	return states, nil
}

func (r *rows) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queries)
}

// watching runs do with a watcher of rows, on a clock that skips.
func watching(t *testing.T, do func(t *testing.T, w *watcher, r *rows)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rows{status: map[string]schemas.TurnStatus{}}
		w := newWatcher(r.read, slog.New(slog.DiscardHandler))
		defer synctest.Wait()
		defer w.close()
		do(t, w, r)
	})
}

func ended(s store.TurnState) bool { return s.Status.Final() }

func (w *watcher) await(ctx context.Context, turn string) error {
	_, err := w.wait(ctx, store.TurnRef{Product: "prod_a", Turn: turn}, ended)
	return err
}

func TestWatcherAsksOnceForAll(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, r *rows) {
		var group sync.WaitGroup
		for i := range 450 {
			group.Go(func() { _ = w.await(t.Context(), fmt.Sprintf("msg_%d", i)) })
		}
		time.Sleep(isNew)
		synctest.Wait()
		before := r.asked()
		time.Sleep(lookEvery)
		synctest.Wait()
		r.mu.Lock()
		require.Equal(t, []int{200, 200, 50}, r.queries[before:], "three queries for 450 callers")
		r.mu.Unlock()
		for i := range 450 {
			r.set(fmt.Sprintf("msg_%d", i), schemas.TurnCompleted)
		}
		group.Wait()
		after := r.asked()
		time.Sleep(time.Hour)
		require.LessOrEqual(t, r.asked(), after+1, "nobody waits, nobody asks")
	})
}

func TestWatcherSeesAChangeAtOnce(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, r *rows) {
		for changed, within := range map[string]time.Duration{"msg_1": 0, "msg_2": lookSoon} {
			r.set("msg_1", schemas.TurnRunning)
			var group sync.WaitGroup
			group.Go(func() { require.NoError(t, w.await(t.Context(), "msg_1")) })
			synctest.Wait()
			began := time.Now()
			r.set("msg_1", schemas.TurnCompleted)
			w.changed(changed)
			group.Wait()
			require.Equal(t, within, time.Since(began), "told of %s", changed)
		}
	})
}

// Those who have waited long are asked for less often, and no less for the sake
// of those who come.
func TestWatcherAsksMoreOftenForTheNew(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, r *rows) {
		var group sync.WaitGroup
		group.Go(func() { _ = w.await(t.Context(), "msg_old") })
		time.Sleep(isNew)
		group.Go(func() { _ = w.await(t.Context(), "msg_new") })
		synctest.Wait()
		before := r.asked()
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		r.mu.Lock()
		sizes := map[int]int{}
		for _, size := range r.queries[before:] {
			sizes[size]++
		}
		r.mu.Unlock()
		require.Equal(t, map[int]int{1: 8, 2: 2}, sizes, "ten looks, two of them at both")
		for _, turn := range []string{"msg_old", "msg_new"} {
			r.set(turn, schemas.TurnCompleted)
		}
		group.Wait()
	})
}

func TestWatcherOutlastsAStoreThatIsAway(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, r *rows) {
		r.fails = 3
		r.set("msg_1", schemas.TurnFailed)
		require.NoError(t, w.await(t.Context(), "msg_1"))
		require.Equal(t, 4, r.asked())
	})
}

func TestWatcherLetsGo(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, _ *rows) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.await(ctx, "msg_1"), context.DeadlineExceeded)
		require.Empty(t, w.waiters)
		time.AfterFunc(time.Second, w.close)
		require.ErrorIs(t, w.await(t.Context(), "msg_1"), errClosed)
		require.ErrorIs(t, w.await(t.Context(), "msg_1"), errClosed, "for good")
	})
}

func TestWatcherWakesAllOfATurn(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, r *rows) {
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { require.NoError(t, w.await(t.Context(), "msg_1")) })
		}
		synctest.Wait()
		r.set("msg_1", schemas.TurnCompleted)
		w.changed("msg_1")
		group.Wait()
	})
}

func TestLimiterCountsEachKeyAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(2, 3)
		for range 3 {
			require.NoError(t, l.take("a"))
		}
		refused := schemas.AsError(l.take("a"))
		require.Equal(t, schemas.RateLimited, refused.Code)
		require.Equal(t, 500*time.Millisecond, refused.RetryAfter)
		require.NoError(t, l.take("b"))
		time.Sleep(refused.RetryAfter)
		require.NoError(t, l.take("a"), "a refusal costs nothing")
		require.Error(t, l.take("a"))
	})
}

func TestLimiterForgetsUnusedKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 1)
		for i := range 100 {
			require.NoError(t, l.take(fmt.Sprintf("key %d", i)))
		}
		time.Sleep(bucketAge / 2)
		require.NoError(t, l.take("key 0"))
		time.Sleep(bucketAge/2 + time.Second)
		require.NoError(t, l.take("another"))
		require.Len(t, l.buckets, 2, "key 0 was used meanwhile")
	})
}

func TestWatcherGivesALookUpThatHangs(t *testing.T) {
	watching(t, func(t *testing.T, w *watcher, r *rows) {
		r.hangs = 2
		r.set("t1", schemas.TurnCompleted)
		began := time.Now()
		_, err := w.wait(t.Context(), store.TurnRef{Turn: "t1"}, func(st store.TurnState) bool { return st.Status.Final() })
		require.NoError(t, err)
		require.Less(t, time.Since(began), 3*lookWithin)
	})
}
