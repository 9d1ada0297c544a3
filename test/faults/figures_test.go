package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/harness"
	"runa/test/runatest"
)

var batchKills = flag.Int("batch-kills", 20, "how often TestBatchSentAndNotAcknowledged kills the worker")

// chatsPerPhase is how many chats measure each state of the analytics.
const chatsPerPhase = 60

// TestFiguresAway harms the way to ClickHouse while chats go on, in each way
// for a number of chats.
func TestFiguresAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.start()
	w := r.world(0)
	begin(w)
	well := chat(w, r, chatsPerPhase)
	r.awaitOutbox()
	for _, c := range []struct {
		name  string
		fault func()
	}{
		{"away", r.figures.Refuse},
		{"slow by 2 s", func() { r.figures.Set(Fault{Delay: 2 * time.Second}) }},
		{"stalled", func() { r.figures.Set(Fault{Stall: true}) }},
		{"answer dropped after the insert", func() { r.figures.Set(Fault{DropAnswer: "INSERT"}) }},
		{"503", func() {
			r.figuresHTTP.Set(Refused(http.StatusServiceUnavailable, "Code: 202. Too many simultaneous queries"))
		}},
		{"answers cut short", func() { r.figuresHTTP.Set(CutShort) }},
	} {
		dropped := r.figures.Dropped()
		c.fault()
		chats := chat(w, r, chatsPerPhase)
		waiting, size := r.outbox(), r.query(`SELECT pg_total_relation_size('outbox')`)
		failed := fails(t, r.api)
		var figures tally
		probe(t, r.api, &figures, runatest.Request{Method: http.MethodGet, Path: "/v1/analytics"})
		awaitDrops(r, c.name, dropped)
		r.figuresHTTP.Set(nil)
		r.figures.Pass()
		took := r.awaitOutbox()
		ratio := float64(chats.quantile(0.95)) / float64(well.quantile(0.95))
		t.Logf("analytics %s: chats %s, p95 %.2f of %s without; events waiting %d (%d kB on disk); figures %s; failed checks %v; answers dropped %d; all sent %s after",
			c.name, chats, ratio, ms(well.quantile(0.95)), waiting, size/1024, &figures, failed, r.figures.Dropped()-dropped, ms(took))
		require.Equal(t, map[string]int{"200": chatsPerPhase}, chats.codes)
		require.Len(t, figures.codes, figures.codes["200"]+figures.codes["503 unavailable"], "figures %s: %s", &figures, r.log())
		require.Less(t, figures.quantile(1), hangsFor)
		require.Less(t, chats.quantile(0.95), 5*well.quantile(0.95)+time.Second, "chats are not held up")
	}
	f := w.Prove()
	t.Logf("%s; events %d, twice 0", f, r.proveEvents(f))
}

// awaitDrops waits, in the case that drops answers, until a few were dropped.
func awaitDrops(r *rig, name string, before int) {
	if name == "answer dropped after the insert" {
		require.Eventually(r.t, func() bool { return r.figures.Dropped() >= before+3 }, recovery, 50*time.Millisecond, "answers are dropped")
	}
}

// chat sends messages one after the other, each held until its answer.
func chat(w *harness.World, r *rig, n int) *tally {
	w.T.Helper()
	var y tally
	for range n {
		w.AddSession(1, func(int) *harness.Message { return w.NewMessage(harness.FindUser, 1) })
		m := w.Sessions[len(w.Sessions)-1][0]
		a := probe(w.T, r.api, &y, runatest.Request{
			Method: http.MethodPost, Path: "/v1/chat", Header: map[string]string{"Idempotency-Key": m.Key},
			Body: map[string]any{"sessionId": m.Session, "message": m.Text, "wait": 60},
		})
		var turn struct{ ID string }
		a.JSON(w.T, &turn)
		m.ID = turn.ID
	}
	return &y
}

// TestBatchSentAndNotAcknowledged kills the worker between the answer of
// ClickHouse and the note of it, again and again.
func TestBatchSentAndNotAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.api = r.API(t)
	w := r.world(0)
	require.NoError(t, w.Register(t.Context()))
	began := time.Now()
	var sent []func()
	for n := range *batchKills {
		// The first batch of a worker is the one that the worker before sent.
		point := fmt.Sprintf("RUNA_FAILPOINT=batch sent#%d", 1+rand.IntN(min(n, 1)+1))
		r.worker = runatest.Spawn(t, append(slices.Clip(r.Env), point), "worker")
		sent = append(sent, start(w, 1+rand.IntN(3)))
		select {
		case <-r.worker.Exited():
		case <-time.After(recovery):
			t.Fatalf("the worker did not come to the point: %s", r.log())
		}
	}
	died := time.Now()
	r.worker = r.Worker(t)
	for _, acknowledged := range sent {
		acknowledged()
	}
	took := r.awaitOutbox()
	f := w.Prove()
	r.proveDeduplication()
	t.Logf("kills %d in %s; all sent %s after the last worker was ready, %s after the last kill; %s; events %d, twice 0",
		*batchKills, ms(time.Since(began)), ms(took), ms(time.Since(died)), f, r.proveEvents(f))
}

// proveDeduplication sees that the table drops what it was given before: a
// plain table does so only if it is told to.
func (r *rig) proveDeduplication() {
	r.t.Helper()
	address := r.ClickHouse()
	at := strings.LastIndex(address, "/")
	var answer struct{ Data []struct{ Engine string } }
	query := "SELECT engine_full AS Engine FROM system.tables WHERE database = '" + address[at+1:] + "' AND name = 'events' FORMAT JSON"
	r.Fetch(r.t, http.MethodPost, address[:at+1], query, &answer)
	require.Len(r.t, answer.Data, 1)
	require.Regexp(r.t, `Replicated|non_replicated_deduplication_window = [1-9]`, answer.Data[0].Engine)
}
