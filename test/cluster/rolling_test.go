package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/harness"
	"runa/test/runatest"
)

const (
	rounds = 5
	// rolled is how many turns are sent, one each pace, which takes longer than
	// the rounds; the rest is sent after them.
	rolled = 600
	pace   = 150 * time.Millisecond
	// stopWithin is how long a supervisor gives a process to end.
	stopWithin = 30 * time.Second
	// heldCall is how long a tool takes across a change.
	heldCall = 5 * time.Second
)

// TestRollingDeploy replaces one worker and one API after the other under
// clients that wait for turns, with turns that wait in their session's queue, a
// crawl, and a tool call that takes longer than the change. Clients send again
// only where nobody listens or they are told to (503); what was sent is done
// once, and no call is sent again.
//
// Temporal's versioning of workers is not used, because the eager start of a
// workflow is dispatched without regard to it. In its place stand workflow code
// that replays the histories of the release before (workflows/testdata) and the
// drain that is tested here.
func TestRollingDeploy(t *testing.T) {
	c := newCluster(t, options{workers: 2})
	w := c.world(harness.NewToolbox(t, 800*time.Millisecond), harness.NewSite(t, 200, 60*time.Millisecond))
	strict := &strictClient{}
	w.Again = strict.again
	w.Plan(rand.New(rand.NewPCG(1, 2)), rolled)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	permits, done := make(chan struct{}), make(chan struct{})
	go drip(permits, done)
	clients := w.Clients(ctx, permits)
	clients.Go(func() error { return c.read(ctx, strict, done) })
	var longest time.Duration
	for range rounds {
		held := make(chan struct{})
		w.Tools.AtNextCall(func() {
			close(held)
			harness.Pause(heldCall)
		})
		select {
		case <-held:
		case <-ctx.Done():
			t.Fatal("no call was made: the turns came to their end before the rounds did")
		}
		for _, p := range append(append([]*part{}, c.workers...), c.apis...) {
			longest = max(longest, replaced(t, p))
		}
	}
	close(done)
	require.NoError(t, clients.Wait(), c.logs())
	f := w.Prove()
	c.proveEvents(f)
	c.proveIndex(f)
	require.Empty(t, strict.broken, "requests that failed otherwise than refused or told to come again")
	require.Empty(t, c.selfEnded())
	require.Zero(t, f.Unknown, "no outcome is unknown")
	require.Zero(t, f.Again, "no call is sent again")
	t.Logf("processes replaced %d, the longest end %s; requests refused %d, told to come again %d, broken 0; %s",
		rounds*len(append(c.workers, c.apis...)), longest.Round(time.Millisecond), strict.refused, strict.later, f)
}

// drip gives permits at a pace, and the rest at once when the rounds are done.
func drip(permits chan<- struct{}, done <-chan struct{}) {
	for range rolled {
		select {
		case <-time.After(pace):
		case <-done:
		}
		permits <- struct{}{}
	}
}

// read looks at what is there all the while, as people do.
func (c *cluster) read(ctx context.Context, strict *strictClient, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		case <-time.After(20 * time.Millisecond):
			a, err := c.next(ctx).Try(runatest.Request{Method: http.MethodGet, Path: "/v1/conversations?limit=5"})
			strict.again(a, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func replaced(t *testing.T, p *part) time.Duration {
	t.Helper()
	code, took, err := p.replace()
	require.NoError(t, err, p.name)
	require.Zero(t, code, "%s ends in order", p.name)
	require.Less(t, took, stopWithin, "%s ends in time", p.name)
	return took
}

// strictClient sends again only what was certainly not taken in.
type strictClient struct {
	mu             sync.Mutex
	refused, later int
	broken         []string
}

func (s *strictClient) again(a runatest.Answer, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		s.refused++
	case err != nil:
		s.broken = append(s.broken, err.Error())
	case a.Status == http.StatusServiceUnavailable:
		s.later++
	case a.Status >= http.StatusBadRequest:
		s.broken = append(s.broken, fmt.Sprintf("%d %s", a.Status, a.Body))
		return false
	default:
		return false
	}
	return true
}
