package cluster

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/harness"
)

var (
	kills    = flag.Int("kills", 30, "how many processes TestKills kills")
	killSeed = flag.Uint64("kill-seed", 0, "repeats the kills of a run; 0 is another each time")
)

const (
	// turnsPerKill is how much is sent while one kill comes after the other.
	turnsPerKill = 10
	// between is the longest time between two kills.
	between = 5 * time.Second
)

// TestKills kills one process after the other of each kind, while it works and
// while it starts, under clients that insist against either API.
func TestKills(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kills=%d -kill-seed=%d", *kills, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, options{ownEngine: true, workers: 2})
	w := c.world(harness.NewToolbox(t, 800*time.Millisecond), harness.NewSite(t, 200, 60*time.Millisecond))
	turns := *kills * turnsPerKill
	w.Plan(random, turns)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*kills)*between+time.Minute)
	defer cancel()
	permits := make(chan struct{}, turns)
	clients := w.Clients(ctx, permits)
	killed, starting := map[string]int{}, 0
	for range *kills {
		go release(permits, turnsPerKill)
		harness.Pause(time.Duration(random.Int64N(int64(between))))
		victim := c.victim(random)
		if !victim.kill() {
			starting++
		}
		killed[strings.TrimRight(victim.name, "-12")]++
	}
	last := time.Now()
	c.awaitReady()
	ready := time.Since(last)
	require.NoError(t, clients.Wait(), c.logs())
	w.Await()
	ended := time.Since(last)
	f := w.Prove()
	events := c.proveEvents(f)
	c.proveIndex(f)
	t.Logf("kills %d %v, of them while starting %d; all ready %s and the last turn ended %s after the last kill; last step of a turn at most %s after its message",
		*kills, killed, starting, ready.Round(time.Millisecond), ended.Round(time.Millisecond), c.slowest(w))
	t.Logf("ended without being told to: %d %s", len(c.selfEnded()), strings.Join(c.selfEnded(), "\n"))
	t.Logf("%s; events %d, twice 0", f, events)
}

// victim is an API, a worker or a history process, or now and then the
// frontend with matching.
func (c *cluster) victim(random *rand.Rand) *part {
	kinds := [][]*part{c.apis, c.workers, c.engine}
	kind := kinds[random.IntN(len(kinds))]
	return kind[random.IntN(len(kind))]
}

// slowest is the longest time from a turn's message to its last step.
func (c *cluster) slowest(w *harness.World) (longest time.Duration) {
	c.t.Helper()
	for _, m := range w.Messages() {
		var turn schemas.Turn
		w.Get("/v1/turns/"+m.ID, &turn)
		for _, step := range turn.Steps {
			longest = max(longest, time.Time(step.StartedAt).Sub(time.Time(turn.CreatedAt)))
		}
	}
	return longest
}

// release gives permits over the time between two kills.
func release(permits chan<- struct{}, n int) {
	for range n {
		permits <- struct{}{}
		harness.Pause(between / time.Duration(2*n))
	}
}

// proveEvents counts the rows of the analytics themselves: one for each thing
// that happened, and none twice.
func (c *cluster) proveEvents(f harness.Figures) (rows int) {
	c.t.Helper()
	at, err := url.Parse(c.ClickHouse())
	require.NoError(c.t, err)
	database := strings.Trim(at.Path, "/")
	at.Path = "/"
	var answer struct {
		Data []struct {
			Kind      schemas.EventKind
			Rows, IDs int
		}
	}
	query := "SELECT kind AS Kind, toInt32(count()) AS Rows, toInt32(uniqExact(id)) AS IDs FROM " + database + ".events GROUP BY kind FORMAT JSON"
	c.Fetch(c.t, http.MethodPost, at.String(), query, &answer)
	got := map[schemas.EventKind]int{}
	for _, kind := range answer.Data {
		require.Equal(c.t, kind.Rows, kind.IDs, "each %s is there once", kind.Kind)
		got[kind.Kind] = kind.Rows
		rows += kind.Rows
	}
	want := map[schemas.EventKind]int{schemas.EventMessage: f.Messages, schemas.EventTurn: f.Completed, schemas.EventToolCall: f.Calls}
	if f.Pages > 0 {
		want[schemas.EventPage], want[schemas.EventCrawl] = f.Pages, 1
	}
	require.Equal(c.t, want, got, "events by kind")
	return rows
}

// proveIndex counts the chunks in the index itself: those of one version of
// each page and nothing else.
func (c *cluster) proveIndex(f harness.Figures) {
	c.t.Helper()
	var answer struct{ Count int }
	c.Fetch(c.t, http.MethodGet, c.Elasticsearch()+"-chunks/_count", "", &answer)
	require.Equal(c.t, f.Chunks, answer.Count, "chunks in the index")
}
