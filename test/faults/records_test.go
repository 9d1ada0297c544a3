package faults

import (
	"flag"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/harness"
	"runa/test/runatest"
)

var recordsAway = flag.Duration("records-away", 5*time.Second, "how long TestRecordsAway keeps PostgreSQL away")

// answerWithin is how long a caller may wait for any answer while the records
// hang: the program's own bound, and what a busy machine adds.
const answerWithin = 15 * time.Second

// TestRecordsAway harms the way to PostgreSQL under load, in each way for a
// while.
func TestRecordsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.start()
	w := r.world(time.Second)
	known := begin(w)
	cutting := func() {
		for range *recordsAway / (250 * time.Millisecond) {
			r.records.Cut(1)
			harness.Pause(250 * time.Millisecond)
		}
	}
	keep := func(f Fault) func() {
		return func() {
			r.records.Set(f)
			harness.Pause(*recordsAway)
		}
	}
	for _, c := range []struct {
		name  string
		fault func()
		// within bounds each call.
		within time.Duration
	}{
		{"cut again and again", cutting, answerWithin},
		{"refused", func() { r.records.Refuse(); harness.Pause(*recordsAway) }, soon},
		{"stalled", keep(Fault{Stall: true}), answerWithin},
		{"slow by 50 ms", keep(Fault{Delay: 50 * time.Millisecond}), answerWithin},
		{"answers cut short", keep(Fault{Truncate: 3000}), answerWithin},
		{"answers ended", keep(Fault{HalfClose: true}), answerWithin},
		{"connections dead", func() { r.records.Deaden(); harness.Pause(*recordsAway) }, hangsFor},
	} {
		running := start(w, 10)
		over := make(chan time.Time, 1)
		go func() {
			c.fault()
			r.records.Pass()
			over <- time.Now()
		}()
		o := during(t, *recordsAway, w, r, known)
		began := <-over
		ready := awaitReady(t, r.api)
		o.sendAgain(t.Context(), w)
		running()
		awaitTurns(r)
		w.Await()
		t.Logf("records %s, %s: %s; ready %s after, all turns ended %s after", c.name, *recordsAway, o, ms(ready), ms(time.Since(began)))
		for code := range o.chats.codes {
			require.Contains(t, []string{"202", "503 unavailable"}, code, "chats: %s", r.log())
		}
		for code := range o.reads.codes {
			require.Contains(t, []string{"200", "503 unavailable"}, code, "reads: %s", r.log())
		}
		require.Less(t, o.chats.quantile(1), c.within)
		require.Less(t, o.reads.quantile(1), c.within)
		for names := range o.failed {
			require.Contains(t, []string{"", "records"}, names, "only the records fail")
		}
	}
	f := w.Prove()
	t.Logf("%s; events %d, twice 0", f, r.proveEvents(f))
}

// TestRecordsHang keeps PostgreSQL silent for longer than any caller waits.
func TestRecordsHang(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.start()
	w := r.world(time.Second)
	known := begin(w)
	running := start(w, 5)
	r.records.Set(Fault{Stall: true})
	time.AfterFunc(2*hangsFor, r.records.Pass) // if a call hangs on
	const callers = 20
	var answers tally
	var calls sync.WaitGroup
	for i := range callers {
		calls.Go(func() {
			req := runatest.Request{Method: http.MethodGet, Path: "/v1/turns/" + known}
			if i%2 == 0 {
				req = runatest.Request{Method: http.MethodPost, Path: "/v1/chat", Body: map[string]any{"message": "Anybody there?", "wait": 60}}
			}
			probe(t, r.api, &answers, req)
		})
	}
	calls.Wait()
	r.records.Pass()
	began := time.Now()
	ready := awaitReady(t, r.api)
	running()
	awaitTurns(r)
	t.Logf("records hang: %s; ready %s after, all turns ended %s after", &answers, ms(ready), ms(time.Since(began)))
	require.Equal(t, map[string]int{"503 unavailable": callers}, answers.codes)
	require.Less(t, answers.quantile(1), hangsFor)
	f := w.Prove()
	t.Logf("%s; events %d, twice 0", f, r.proveEvents(f))
}

// awaitTurns waits longer than World does until all turns have ended: an
// activity whose connection died without a word is let go by the program after
// 70 s.
func awaitTurns(r *rig) {
	r.t.Helper()
	open := func() int {
		return r.query(`SELECT count(*) FROM turns WHERE status IN ('queued', 'running', 'waiting')`)
	}
	require.Eventually(r.t, func() bool { return open() == 0 }, 2*recovery, 100*time.Millisecond, "all turns end")
}

// TestManyCallersOnSlowRecords holds many callers on turns that take a while,
// and the records are slow.
func TestManyCallersOnSlowRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.start()
	w := r.world(5 * time.Second)
	known := begin(w)
	r.records.Set(Fault{Delay: 50 * time.Millisecond})
	const callers = 200
	for range callers {
		w.AddSession(1, func(int) *harness.Message { return w.NewMessage(harness.CreateTicket, 1) })
	}
	var chats, reads tally
	done := make(chan struct{}, callers)
	began := time.Now()
	for _, m := range w.Messages()[1:] {
		go func() {
			defer func() { done <- struct{}{} }()
			a := probe(t, r.api, &chats, runatest.Request{
				Method: http.MethodPost, Path: "/v1/chat", Header: map[string]string{"Idempotency-Key": m.Key},
				Body: map[string]any{"sessionId": m.Session, "message": m.Text, "wait": 60},
			})
			var turn schemas.Turn
			if a.Status < 300 {
				a.JSON(t, &turn)
			}
			m.ID = turn.ID
		}()
	}
	for range callers {
		<-done
		probe(t, r.api, &reads, runatest.Request{Method: http.MethodGet, Path: "/v1/turns/" + known})
	}
	took := time.Since(began)
	r.records.Pass()
	for _, m := range w.Messages() {
		if m.ID == "" {
			require.NoError(t, w.Send(t.Context(), m))
		}
	}
	f := w.Prove()
	t.Logf("%d callers with records slow by 50 ms: chats %s; reads %s; all in %s; %s; events %d, twice 0", callers, &chats, &reads, ms(took), f, r.proveEvents(f))
	for code := range chats.codes {
		require.Contains(t, []string{"200", "202", "503 unavailable"}, code, r.log())
	}
	require.Equal(t, map[string]int{"200": len(reads.took)}, reads.codes)
}
