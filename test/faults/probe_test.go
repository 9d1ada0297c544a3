package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/harness"
	"runa/test/runatest"
)

// recovery is how long all may take once a fault is over. It is not what the
// program needs but what a busy machine may make of it.
const recovery = 90 * time.Second

// hangsFor is longer than a caller waits for a service that hangs: 30 s, and
// what a busy machine adds.
const hangsFor = 40 * time.Second

// tally is how a kind of call was answered.
type tally struct {
	mu    sync.Mutex
	codes map[string]int
	took  []time.Duration
}

func (y *tally) add(code string, took time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.codes == nil {
		y.codes = map[string]int{}
	}
	y.codes[code]++
	y.took = append(y.took, took)
}

func (y *tally) quantile(q float64) time.Duration {
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(y.took))
	return sorted[int(q*float64(len(sorted)-1))]
}

// String is how a tally is printed.
func (y *tally) String() string {
	p50, p95, most := y.quantile(0.5), y.quantile(0.95), y.quantile(1)
	y.mu.Lock()
	defer y.mu.Unlock()
	return fmt.Sprintf("%v p50 %s p95 %s max %s", y.codes, ms(p50), ms(p95), ms(most))
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// probe makes a call and counts its answer: "200", "503 unavailable". A 503
// must say when to come back.
func probe(t testing.TB, r *runatest.Runa, y *tally, req runatest.Request) runatest.Answer {
	t.Helper()
	began := time.Now()
	a, err := r.Try(req)
	took := time.Since(began)
	if err != nil {
		y.add("error", took)
		t.Errorf("%s %s: %v", req.Method, req.Path, err)
		return a
	}
	code := fmt.Sprint(a.Status)
	if a.Status >= http.StatusBadRequest {
		var body struct{ Error struct{ Code string } }
		if json.Unmarshal(a.Body, &body) == nil && body.Error.Code != "" {
			code += " " + body.Error.Code
		}
		if a.Status == http.StatusServiceUnavailable && req.Path != "/readyz" && a.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: 503 without Retry-After: %s", req.Method, req.Path, a.Body)
		}
	}
	y.add(code, took)
	return a
}

// fails are the checks of /readyz that fail now.
func fails(t testing.TB, r *runatest.Runa) (names []string) {
	t.Helper()
	a, err := r.Try(runatest.Request{Method: http.MethodGet, Path: "/readyz", Key: "none"})
	require.NoError(t, err)
	var body struct{ Checks map[string]string }
	a.JSON(t, &body)
	for name, state := range body.Checks {
		if state != "ok" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// awaitReady waits until /readyz says that all is well again, and says how long
// that took.
func awaitReady(t testing.TB, r *runatest.Runa) time.Duration {
	t.Helper()
	began := time.Now()
	require.Eventually(t, func() bool { return len(fails(t, r)) == 0 }, recovery, 50*time.Millisecond, "/readyz is well again")
	return time.Since(began)
}

// outage is what callers saw while a service was away.
type outage struct {
	chats, reads, ready tally
	failed              map[string]int
	// sent are the messages of the chats; whoever was not answered sends again
	// afterwards.
	sent []*harness.Message
}

// String is how an outage is printed.
func (o *outage) String() string {
	return fmt.Sprintf("chats %s; reads %s; /readyz %s, failed checks %v", &o.chats, &o.reads, &o.ready, o.failed)
}

// suffer sends new messages, reads a turn and asks /readyz, one after the other
// in three lines, until the context ends.
func suffer(ctx context.Context, w *harness.World, r *rig, known string) *outage {
	o := &outage{failed: map[string]int{}}
	var lines sync.WaitGroup
	line := func(do func()) {
		lines.Go(func() {
			for ctx.Err() == nil {
				do()
				harness.Pause(50 * time.Millisecond)
			}
		})
	}
	line(func() {
		w.AddSession(1, func(int) *harness.Message { return w.NewMessage(harness.CreateTicket, 1) })
		m := w.Sessions[len(w.Sessions)-1][0]
		o.sent = append(o.sent, m)
		probe(w.T, r.api, &o.chats, runatest.Request{
			Method: http.MethodPost, Path: "/v1/chat", Header: map[string]string{"Idempotency-Key": m.Key},
			Body: map[string]any{"sessionId": m.Session, "message": m.Text, "wait": 0},
		})
	})
	line(func() {
		probe(w.T, r.api, &o.reads, runatest.Request{Method: http.MethodGet, Path: "/v1/turns/" + known})
	})
	line(func() {
		probe(w.T, r.api, &o.ready, runatest.Request{Method: http.MethodGet, Path: "/readyz", Key: "none"})
		o.failed[strings.Join(fails(w.T, r.api), "+")]++
	})
	lines.Wait()
	return o
}

// sendAgain sends what was sent in an outage until it is acknowledged, under
// the same keys.
func (o *outage) sendAgain(ctx context.Context, w *harness.World) {
	w.T.Helper()
	for _, m := range o.sent {
		require.NoError(w.T, w.Send(ctx, m))
	}
}

// during runs suffer for a while.
func during(t testing.TB, d time.Duration, w *harness.World, r *rig, known string) *outage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return suffer(ctx, w, r, known)
}
