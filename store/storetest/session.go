package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func sessionTests() tests {
	return tests{
		"one turn runs, the others queue":     sessionQueues,
		"a session is its product's":          sessionOfAnother,
		"the place goes to the lowest":        sessionOrder,
		"close of a queued turn keeps holder": sessionCloseQueued,
		"the ninth that waits is refused":     sessionFull,
		"a refusal stands":                    refusalStands,
		"times never run back":                timesNeverBack,
		"history is what came before":         historyBefore,
		"100 turns at once":                   func(t *testing.T, f *fixture) { f.contend(t, f.Store) },
		"one turn opened by many at once":     openedByMany,
	}
}

func sessionQueues(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	f.open(t, "other", "msg_3", schemas.TurnRunning)
	for turn, want := range map[string]schemas.TurnStatus{
		"msg_1": schemas.TurnRunning, "msg_2": schemas.TurnQueued, "msg_3": schemas.TurnRunning,
	} {
		status, err := f.ClaimPlace(f.ctx, north, turn)
		require.NoError(t, err)
		require.Equal(t, want, status, turn)
	}
	require.Equal(t, "msg_2", f.end(t, "msg_1"))
	status, err := f.ClaimPlace(f.ctx, north, "msg_2")
	require.NoError(t, err)
	require.Equal(t, schemas.TurnRunning, status)
	status, err = f.ClaimPlace(f.ctx, north, "msg_1")
	require.NoError(t, err)
	require.Equal(t, schemas.TurnCompleted, status)
}

func sessionOfAnother(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	id, err := f.PutDraft(f.ctx, south, "hello")
	require.NoError(t, err)
	opened, err := f.OpenTurn(f.ctx, schemas.TurnInput{Product: south, Turn: "msg_1", Session: "s", Draft: id})
	require.NoError(t, err)
	require.Equal(t, schemas.TurnRunning, opened.Status, "the same names of another product are other things")
	require.Equal(t, "message of msg_1", f.turn(t, "msg_1").Message)
	require.Equal(t, 1, f.count(t, "s"))
}

func sessionOrder(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_z", schemas.TurnRunning)
	queued := []string{"msg_y", "msg_a", "msg_m", "msg_b"}
	for i, turn := range queued {
		f.open(t, "s", turn, schemas.TurnQueued)
		require.EqualValues(t, i+2, f.turn(t, turn).Seq)
	}
	holder := "msg_z"
	for _, want := range queued {
		require.Equal(t, want, f.end(t, holder))
		require.Equal(t, schemas.TurnRunning, f.turn(t, want).Status)
		holder = want
	}
	require.Empty(t, f.end(t, holder))
	f.open(t, "s", "msg_0", schemas.TurnRunning)
	require.EqualValues(t, 6, f.turn(t, "msg_0").Seq)
}

func sessionCloseQueued(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	f.open(t, "s", "msg_3", schemas.TurnQueued)
	next, err := f.CloseTurn(f.ctx, north, "msg_2", store.Closing{Status: schemas.TurnCanceled})
	require.NoError(t, err)
	require.Equal(t, "msg_1", next)
	require.Equal(t, schemas.TurnRunning, f.turn(t, "msg_1").Status)
	require.Equal(t, "msg_3", f.end(t, "msg_1"), "the canceled one is passed over")
	require.Equal(t, schemas.TurnCanceled, f.turn(t, "msg_2").Status)
	require.Empty(t, f.end(t, "msg_3"))
}

// fill runs a turn of session "s" and lets eight wait.
func (f *fixture) fill(t *testing.T) {
	t.Helper()
	f.open(t, "s", "msg_0", schemas.TurnRunning)
	for i := range schemas.MaxQueuedTurns {
		f.open(t, "s", fmt.Sprint("msg_", i+1), schemas.TurnQueued)
	}
}

func sessionFull(t *testing.T, f *fixture) {
	f.fill(t)
	f.drain(t)
	in := f.draft(t, "s", "msg_9", "one too many")
	opened, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Empty(t, opened.Status)
	require.Equal(t, schemas.ConversationBusy, opened.Refusal.Code)

	_, err = f.Turn(f.ctx, north, "msg_9")
	requireCode(t, schemas.NotFound, err)
	require.Equal(t, 9, f.count(t, "s"))
	require.Empty(t, f.drain(t))
	states, err := f.TurnStates(f.ctx, []store.TurnRef{{Product: north, Turn: "msg_9", Draft: in.Draft}})
	require.NoError(t, err)
	require.Equal(t, []store.TurnState{{Refusal: opened.Refusal}}, states)

	f.open(t, "other", "msg_other", schemas.TurnRunning)
	require.Equal(t, "msg_1", f.end(t, "msg_0"))
	f.open(t, "s", "msg_10", schemas.TurnQueued)
	require.EqualValues(t, 10, f.turn(t, "msg_10").Seq, "a refused turn takes no number")
}

func refusalStands(t *testing.T, f *fixture) {
	f.fill(t)
	in := f.draft(t, "s", "msg_9", "one too many")
	first, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	f.end(t, "msg_0")
	again, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.NotNil(t, again.Refusal)
	require.Equal(t, first.Refusal, again.Refusal)
	require.Empty(t, again.Status)
}

func timesNeverBack(t *testing.T, f *fixture) {
	started := f.clock.now()
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.clock.advance(time.Minute)
	calls := f.think(t, "msg_1", 1, store.StepOutcome{Text: "one"}, newCall("revenue"))
	_, err := f.ClaimCall(f.ctx, north, "msg_1", calls[0])
	require.NoError(t, err)
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	f.clock.advance(-time.Hour)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", calls[0], store.CallOutcome{Status: schemas.CallSucceeded}))
	f.end(t, "msg_1")
	f.open(t, "s", "msg_3", schemas.TurnQueued)
	f.clock.advance(30 * time.Minute)
	f.end(t, "msg_2")
	messages, err := f.Messages(f.ctx, north, "s")
	require.NoError(t, err)
	require.Len(t, messages, 4)
	last := started
	for _, m := range messages {
		require.False(t, time.Time(m.Timestamp).Before(last), "%s after %s", time.Time(m.Timestamp), last)
		last = time.Time(m.Timestamp)
	}
	require.Equal(t, started.Add(time.Minute), last)
	require.Zero(t, f.view(t, "msg_1").ToolCalls[0].DurationMs)
	for _, e := range f.drain(t) {
		require.GreaterOrEqual(t, e.DurationMs, int64(0), e.Kind)
	}
}

func historyBefore(t *testing.T, f *fixture) {
	for i := range 3 {
		turn := fmt.Sprint("msg_", i)
		f.open(t, "s", turn, schemas.TurnRunning)
		f.open(t, "s", turn+"_behind", schemas.TurnQueued)
		f.think(t, turn, 1, store.StepOutcome{Text: "reply of " + turn})
		f.end(t, turn)
		f.end(t, turn+"_behind")
	}
	f.open(t, "other", "msg_other", schemas.TurnRunning)
	contents := func(turn string, limit int) []string {
		history, err := f.History(f.ctx, north, f.turn(t, turn), limit)
		require.NoError(t, err)
		texts := []string{}
		for _, m := range history {
			texts = append(texts, m.Content)
		}
		return texts
	}
	require.Empty(t, contents("msg_0", 100))
	require.Equal(t, []string{"message of msg_0", "reply of msg_0", "message of msg_0_behind"}, contents("msg_1", 100))
	require.Equal(t, []string{"message of msg_0", "reply of msg_0"}, contents("msg_0_behind", 100), "nothing of itself, nor of later ones")
	require.Equal(t, []string{"reply of msg_1", "message of msg_1_behind"}, contents("msg_2", 2), "the newest, oldest first")
	require.Empty(t, contents("msg_other", 100))
}

const (
	contendSessions = 4
	contendTurns    = 100
)

// contest is what turns at once may observe of each other.
type contest struct {
	mu     sync.Mutex
	holder [contendSessions]string
	ran    [contendSessions][]string
	// free is closed, and made anew, when a turn of the session ends.
	free [contendSessions]chan struct{}
	// woken has a channel for each turn, on which its signal comes.
	woken sync.Map
}

// contend runs 100 turns over a few sessions, each by the store of its number:
// opened, signalled by the one before, closed. A turn that waits does so for
// its signal alone, so one that CloseTurn does not name is stranded.
func (f *fixture) contend(t *testing.T, stores ...*store.Store) {
	t.Helper()
	c := &contest{}
	for i := range c.free {
		c.free[i] = make(chan struct{})
	}
	err := together(contendTurns, func(i int) error {
		return c.play(f.ctx, stores[i%len(stores)], i)
	})
	require.NoError(t, err)

	for i, ran := range c.ran {
		require.Len(t, ran, contendTurns/contendSessions)
		for n, turn := range ran {
			require.EqualValues(t, n+1, f.turn(t, turn).Seq, "session %d ran %s as number %d", i, turn, n+1)
		}
		require.Equal(t, 2*len(ran), f.count(t, session(i)))
	}
	kinds := map[schemas.EventKind]int{}
	for _, e := range f.drain(t) {
		kinds[e.Kind]++
	}
	require.Equal(t, map[schemas.EventKind]int{schemas.EventMessage: 2 * contendTurns, schemas.EventTurn: contendTurns}, kinds)
	stale, err := f.StaleTurns(f.ctx, f.clock.now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, stale)
}

func session(i int) string { return fmt.Sprint("s", i) }

func (c *contest) play(ctx context.Context, s *store.Store, i int) error {
	turn, n := fmt.Sprint("msg_", i), i%contendSessions
	signal := make(chan struct{}, 1)
	c.woken.Store(turn, signal)
	status, err := c.enter(ctx, s, turn, n)
	if err != nil {
		return err
	}
	for status != schemas.TurnRunning {
		select {
		case <-signal:
		case <-ctx.Done():
			return fmt.Errorf("%s is stranded: %w", turn, ctx.Err())
		}
		if status, err = s.ClaimPlace(ctx, north, turn); err != nil {
			return err
		}
	}
	return c.run(ctx, s, turn, n)
}

// enter opens the turn, with a new draft each time it is refused.
func (c *contest) enter(ctx context.Context, s *store.Store, turn string, n int) (schemas.TurnStatus, error) {
	for {
		c.mu.Lock()
		free := c.free[n]
		c.mu.Unlock()
		in, err := newDraft(ctx, s, session(n), turn, "message of "+turn)
		if err != nil {
			return "", err
		}
		opened, err := s.OpenTurn(ctx, in)
		if err != nil || opened.Refusal == nil {
			return opened.Status, err
		}
		if opened.Refusal.Code != schemas.ConversationBusy {
			return "", opened.Refusal
		}
		select {
		case <-free:
		case <-ctx.Done():
			return "", fmt.Errorf("%s never came in: %w", turn, ctx.Err())
		}
	}
}

// run is a turn that holds the place.
func (c *contest) run(ctx context.Context, s *store.Store, turn string, n int) error {
	c.mu.Lock()
	other := c.holder[n]
	c.holder[n], c.ran[n] = turn, append(c.ran[n], turn)
	c.mu.Unlock()
	if other != "" {
		return fmt.Errorf("%s and %s hold %s", turn, other, session(n))
	}
	claim, err := s.ClaimStep(ctx, north, turn, 1, nil)
	if err != nil {
		return err
	}
	if _, err := s.StoreStep(ctx, north, turn, 1, claim.Claim, store.StepOutcome{Text: "reply"}, nil); err != nil {
		return err
	}
	c.mu.Lock()
	c.holder[n] = ""
	c.mu.Unlock()
	next, err := s.CloseTurn(ctx, north, turn, store.Closing{Status: schemas.TurnCompleted})
	if err != nil {
		return err
	}
	c.mu.Lock()
	close(c.free[n])
	c.free[n] = make(chan struct{})
	c.mu.Unlock()
	return c.wake(next)
}

func (c *contest) wake(turn string) error {
	if turn == "" {
		return nil
	}
	signal, ok := c.woken.Load(turn)
	if !ok {
		return errors.New(turn + " holds the place and is nobody's")
	}
	select {
	case signal.(chan struct{}) <- struct{}{}:
	default: // it has a signal that it has not seen yet
	}
	return nil
}

func openedByMany(t *testing.T, f *fixture) {
	in := f.draft(t, "s", "msg_1", "hello")
	err := together(20, func(int) error {
		opened, err := f.OpenTurn(f.ctx, in)
		if err == nil && (opened.Status != schemas.TurnRunning || opened.Refusal != nil) {
			return fmt.Errorf("opened as %+v", opened)
		}
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 1, f.count(t, "s"))
	require.Len(t, f.drain(t), 1)

	f.open(t, "s", "msg_2", schemas.TurnQueued)
	err = together(20, func(int) error {
		next, err := f.CloseTurn(f.ctx, north, "msg_1", store.Closing{Status: schemas.TurnCompleted})
		if err == nil && next != "msg_2" {
			return fmt.Errorf("next is %q", next)
		}
		return err
	})
	require.NoError(t, err)
	require.Len(t, f.drainOf(t, schemas.EventTurn), 1)
}
