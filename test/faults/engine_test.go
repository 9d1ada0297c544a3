package faults

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/harness"
	"runa/test/runatest"
)

var engineAway = flag.Duration("engine-away", 10*time.Second, "how long TestEngineAway keeps the engine away at most")

// soon is what a caller may wait for the answer that a service is away: 2 s are
// promised, and a busy machine adds to them.
const soon = 4 * time.Second

// hung is what a caller may wait for an engine that takes connections and does
// not answer: it may only be slow, and 10 s are waited for it.
const hung = 14 * time.Second

// engineOf starts a whole engine of a test's own.
func engineOf(t *testing.T, e *runatest.Engine, env []string) *runatest.Process {
	t.Helper()
	p := runatest.Spawn(t, env, e.Args("frontend", "history", "matching", "worker")...)
	require.NoError(t, p.AwaitReady())
	return p
}

// TestEngineAway takes the durable engine away from an installation that works:
// stopped for a while, killed, and hanging.
func TestEngineAway(t *testing.T) {
	t.Parallel()
	runatest.NeedServices(t)
	e := runatest.NewEngine(t)
	engine := engineOf(t, e, e.Env())
	r := newRig(t, e.Address)
	r.start()
	w := r.world(3 * time.Second)
	known := begin(w)
	stopped := func() (back func()) {
		engine.Stop()
		return func() { engine = engineOf(t, e, e.Env()) }
	}
	killed := func() (back func()) {
		engine.Kill()
		return func() { engine = engineOf(t, e, e.Env()) }
	}
	paused := func() (back func()) {
		engine.Pause()
		return engine.Resume
	}
	var crawls []func()
	for _, c := range []struct {
		name string
		away func() func()
		d    time.Duration
		soon time.Duration
	}{
		{"stopped", stopped, time.Second, soon},
		{"stopped", stopped, *engineAway, soon},
		{"killed", killed, time.Second, soon},
		{"paused", paused, *engineAway, hung},
	} {
		running := start(w, 10)
		back := c.away()
		var sources tally
		crawls = append(crawls, register(r, &sources))
		o := during(t, c.d, w, r, known)
		back()
		ready := awaitReady(t, r.api)
		began := time.Now()
		o.sendAgain(t.Context(), w)
		running()
		w.Await()
		require.Less(t, sources.quantile(1), c.soon, "a site is registered, and its crawl is started later")
		require.Equal(t, map[string]int{"200": 1}, sources.codes)
		t.Logf("engine %s %s: %s; a site registered %s; ready %s after it was back, all turns ended %s later", c.name, c.d, o, &sources, ms(ready), ms(time.Since(began)))
		require.Less(t, o.chats.quantile(1), c.soon, "a chat is answered soon: %s", r.log())
		require.Less(t, o.reads.quantile(1), soon)
		require.Equal(t, len(o.sent), o.chats.codes["503 unavailable"]+o.chats.codes["202"], "chats are taken in or told to come back")
		require.Equal(t, map[string]int{"200": len(o.reads.took)}, o.reads.codes, "what is there can be read")
		require.Contains(t, strings.Join(slices.Collect(maps.Keys(o.failed)), " "), "engine", "/readyz names the engine")
	}
	for _, ended := range crawls {
		ended()
	}
	f := w.Prove()
	t.Logf("%s; events %d, twice 0", f, r.proveEvents(f))
}

// register registers a site that is not there; ended waits until a crawl has
// said so.
func register(r *rig, y *tally) (ended func()) {
	r.t.Helper()
	a := probe(r.t, r.api, y, runatest.Request{
		Method: http.MethodPost, Path: "/v1/knowledge", Body: schemas.SourceSpec{Type: schemas.SourceURL, URL: "http://127.0.0.1:1/help/", Name: "gone"},
	})
	var source schemas.Source
	a.JSON(r.t, &source)
	return func() {
		r.t.Helper()
		require.Eventually(r.t, func() bool {
			a, err := r.api.Try(runatest.Request{Method: http.MethodGet, Path: "/v1/knowledge/" + source.ID})
			require.NoError(r.t, err)
			a.JSON(r.t, &source)
			return source.Status == schemas.SourceFailed
		}, 2*recovery, 100*time.Millisecond, "the crawl is started later")
	}
}

// begin registers the tools and ends a first turn, whose id it returns.
func begin(w *harness.World) (turn string) {
	w.T.Helper()
	require.NoError(w.T, w.Register(w.T.Context()))
	w.AddSession(1, func(int) *harness.Message {
		m := w.NewMessage(harness.FindUser, 1)
		m.Wait = 60
		return m
	})
	m := w.Messages()[len(w.Messages())-1]
	require.NoError(w.T, w.Send(w.T.Context(), m))
	return m.ID
}

// start takes in turns of all tools, which go on by themselves; ended waits
// until they were acknowledged.
func start(w *harness.World, turns int) (acknowledged func()) {
	w.T.Helper()
	tools := []string{harness.FindUser, harness.CreateTicket, harness.RefundOrder}
	for i := range turns {
		w.AddSession(1, func(int) *harness.Message { return w.NewMessage(tools[i%len(tools)], 1) })
	}
	fresh := w.Messages()
	fresh = fresh[len(fresh)-turns:]
	done := make(chan error, turns)
	for _, m := range fresh {
		go func() { done <- w.Send(w.T.Context(), m) }()
	}
	harness.Pause(rand.N(time.Second))
	return func() {
		w.T.Helper()
		for range fresh {
			require.NoError(w.T, <-done)
		}
	}
}

// TestEngineRecordsFail cuts the engine off from its own database again and
// again, while it is slow as well.
func TestEngineRecordsFail(t *testing.T) {
	t.Parallel()
	runatest.NeedServices(t)
	e := runatest.NewEngine(t)
	i := &rig{t: t, Installation: &runatest.Installation{Env: e.Env()}}
	database := i.stand("RUNA_DATABASE_URL", "")
	engineOf(t, e, i.Env)
	r := newRig(t, e.Address)
	r.start()
	w := r.world(500 * time.Millisecond)
	begin(w)
	database.Set(Fault{Delay: 3 * time.Millisecond})
	const turns = 90
	w.Plan(rand.New(rand.NewPCG(rand.Uint64(), 0)), turns)
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	permits := make(chan struct{}, turns)
	group := sessions(ctx, w, permits)
	cut := 0
	for range turns {
		permits <- struct{}{}
		harness.Pause(rand.N(300 * time.Millisecond))
		cut += database.Cut(0.05)
	}
	require.NoError(t, group(), r.log())
	database.Pass()
	began := time.Now()
	w.Await()
	ended := time.Since(began)
	f := w.Prove()
	t.Logf("connections of the engine's database cut %d; the last turn ended %s after the faults; %s; events %d, twice 0", cut, ms(ended), f, r.proveEvents(f))
	require.Positive(t, cut)
}

// sessions sends the messages of the sessions that were planned, each after the
// one before and with a permit.
func sessions(ctx context.Context, w *harness.World, permits <-chan struct{}) (wait func() error) {
	planned := w.Sessions
	done := make(chan error, len(planned))
	for _, session := range planned {
		go func() {
			for _, m := range session {
				if m.ID != "" {
					continue
				}
				<-permits
				if err := w.Send(ctx, m); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	return func() error {
		for range planned {
			if err := <-done; err != nil {
				return err
			}
		}
		return nil
	}
}
