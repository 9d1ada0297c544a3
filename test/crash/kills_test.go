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

	"runa/test/harness"
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
	w := newWorld(t, 800*time.Millisecond, harness.NewSite(t, 200, 60*time.Millisecond))
	w.Plan(random, turns)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
	defer cancel()
	permits := make(chan struct{}, turns)
	clients := w.Clients(ctx, permits)
	for k := range kills {
		go release(permits, (k+1)*turns/kills-k*turns/kills)
		w.liveAndDie(random)
	}
	killed := w.died
	w.start(0)
	require.NoError(t, clients.Wait())
	w.Await()
	ended := time.Since(killed)
	f := w.prove()
	slices.Sort(w.starts)
	t.Logf("kills %d, of them while starting %d; ready after p50 %s, max %s", kills, kills+1-len(w.starts),
		w.starts[len(w.starts)/2].Round(time.Millisecond), w.starts[len(w.starts)-1].Round(time.Millisecond))
	t.Logf("the last turn ended %s after the last kill", ended.Round(time.Millisecond))
	t.Log(f)
}

// release gives permits over the time that a process lives.
func release(permits chan<- struct{}, n int) {
	for range n {
		permits <- struct{}{}
		harness.Pause(longestLife / time.Duration(2*n))
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
	harness.Pause(life)
	w.kill()
}
