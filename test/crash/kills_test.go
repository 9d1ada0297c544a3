package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const (
	kills = 20
	turns = 200
	// seedVariable repeats the kills of a run.
	seedVariable = "RUNA_CRASH_SEED"
	// longestLife is how long a process lives at most once it is ready.
	longestLife = 2 * time.Second
)

func seed(t *testing.T) uint64 {
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedVariable)
		return n
	}
	return rand.Uint64()
}

// TestKills kills the program at random moments, while it is busy and while it
// starts, under clients that insist.
func TestKills(t *testing.T) {
	n := seed(t)
	t.Logf("%s=%d", seedVariable, n)
	random := rand.New(rand.NewPCG(n, 0))
	w := &world{service: newService(t), tools: newToolbox(t, 800*time.Millisecond), site: newSite(t, 200, 60*time.Millisecond)}
	w.plan(random)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	permits := make(chan struct{}, turns)
	clients := w.clients(ctx, permits)
	for k := range kills {
		go release(permits, (k+1)*turns/kills-k*turns/kills)
		w.liveAndDie(random)
	}
	killed := w.died
	w.start(0)
	require.NoError(t, clients.Wait())
	w.await()
	ended := time.Since(killed)
	f := w.prove()
	slices.Sort(w.starts)
	t.Logf("kills %d, of them while starting %d; ready after p50 %s, max %s", kills, kills+1-len(w.starts),
		w.starts[len(w.starts)/2].Round(time.Millisecond), w.starts[len(w.starts)-1].Round(time.Millisecond))
	t.Logf("the last turn ended %s after the last kill", ended.Round(time.Millisecond))
	t.Log(f)
}

// plan fills the sessions: single messages and conversations of up to four.
func (w *world) plan(random *rand.Rand) {
	tools := []string{findUser, createTicket, refundOrder}
	for left := turns; left > 0; {
		n := min(left, 1+random.IntN(4))
		w.addSession(n, func(int) *message {
			m := w.newMessage(tools[random.IntN(len(tools))], 1+random.IntN(5)/4)
			m.wait = random.IntN(2) * 60
			return m
		})
		left -= n
	}
}

// clients are one for each session and one that gives the site to crawl. A
// client sends its next message when the last one is acknowledged and it has a
// permit.
func (w *world) clients(ctx context.Context, permits <-chan struct{}) *errgroup.Group {
	group, ctx := errgroup.WithContext(ctx)
	registered := make(chan struct{})
	group.Go(func() error {
		if err := w.register(ctx); err != nil {
			return err
		}
		close(registered)
		return w.crawl(ctx)
	})
	for _, session := range w.sessions {
		group.Go(func() error {
			select {
			case <-registered:
			case <-ctx.Done():
				return ctx.Err()
			}
			for _, m := range session {
				<-permits
				if err := w.send(ctx, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group
}

// release gives permits over the time that a process lives.
func release(permits chan<- struct{}, n int) {
	for range n {
		permits <- struct{}{}
		pause(longestLife / time.Duration(2*n))
	}
}

// liveAndDie starts the program and kills it: four times of five while it
// works, else while it starts.
func (w *world) liveAndDie(random *rand.Rand) {
	life := time.Duration(random.Int64N(int64(longestLife)))
	if random.IntN(5) == 0 && len(w.starts) > 0 {
		starting := w.starts[len(w.starts)-1]
		if _, ready := w.start(max(1, life*starting/longestLife)); !ready {
			return
		}
	} else {
		w.start(0)
	}
	pause(life)
	w.kill()
}
