package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

// The tests of writers let many write the same row from several stores, as
// processes do: what one of them read before the other wrote must not be what
// it goes by.
func writerTests() tests {
	return tests{
		"turns of a few sessions":          func(t *testing.T, f *fixture) { f.contend(t, f.several(t)...) },
		"slots of a host":                  writersOfHost,
		"halves of a tool":                 writersOfTool,
		"one name of many tools":           writersOfName,
		"one key of many bodies":           writersOfKey,
		"one URL of a source":              writersOfURL,
		"the frontier of a source":         writersOfFrontier,
		"claims of a step":                 writersOfStep,
		"a product that is deleted":        writersOfDeleted,
		"a turn that is read meanwhile":    writersOfRead,
		"a turn of two drafts":             writersOfTurn,
		"a refusal, asked for many times":  writersOfRefusal,
		"sources that are made and undone": writersOfUndone,
	}
}

const writers = 100

// several are stores of the same database.
func (f *fixture) several(t *testing.T) []*store.Store {
	t.Helper()
	return []*store.Store{f.Store, f.again(t), f.again(t), f.again(t)}
}

// race runs do for each writer, by the stores in turn.
func (f *fixture) race(t *testing.T, do func(s *store.Store, i int) error) {
	t.Helper()
	stores := f.several(t)
	require.NoError(t, together(writers, func(i int) error { return do(stores[i%len(stores)], i) }))
}

// set collects what writers saw.
type set struct {
	mu   sync.Mutex
	seen map[string]int
}

func (s *set) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]int{}
	}
	s.seen[what]++
}

// unless is the error unless it has the code.
func unless(err error, code schemas.Code) error {
	if schemas.CodeOf(err) == code {
		return nil
	}
	return err
}

func writersOfHost(t *testing.T, f *fixture) {
	const delay = 100 * time.Millisecond
	var slots set
	f.race(t, func(s *store.Store, _ int) error {
		slot, taken, err := s.TakeSlot(f.ctx, host, delay, time.Hour)
		if !taken {
			return errors.Join(err, errors.New("no slot"))
		}
		slots.add(slot.String())
		return err
	})
	require.Len(t, slots.seen, writers, "no slot is given twice")
	slot, _, err := f.TakeSlot(f.ctx, host, delay, time.Hour)
	require.NoError(t, err)
	require.Equal(t, f.clock.now().Add(writers*delay), slot, "none is left out")
}

func writersOfTool(t *testing.T, f *fixture) {
	tool := f.tool(t, north, "revenue")
	for round := range 10 {
		description, timeout, name := fmt.Sprint("Round ", round), 1000+round, fmt.Sprint("revenue_", round)
		patches := []schemas.ToolPatch{{Description: &description}, {TimeoutMs: &timeout}, {Name: &name}}
		stores := f.several(t)
		require.NoError(t, together(len(patches), func(i int) error {
			_, err := stores[i].UpdateTool(f.ctx, north, tool.ID, patches[i], valid)
			return err
		}))
		now, err := f.Tool(f.ctx, north, tool.ID)
		require.NoError(t, err)
		require.Equal(t, []any{description, timeout, name}, []any{now.Description, now.TimeoutMs, now.Name})
	}
}

func writersOfName(t *testing.T, f *fixture) {
	var made atomic.Int64
	f.race(t, func(s *store.Store, i int) error {
		spec := toolSpec("revenue")
		spec.Description = fmt.Sprint("definition ", i)
		_, err := s.CreateTool(f.ctx, north, spec, store.Idempotency{})
		if err == nil {
			made.Add(1)
		}
		return unless(err, schemas.Conflict)
	})
	require.EqualValues(t, 1, made.Load())
	names := []string{"a", "b"}
	var tools []schemas.Tool
	for _, name := range names {
		tools = append(tools, f.tool(t, north, name))
	}
	var renamed atomic.Int64
	name := "wanted"
	require.NoError(t, together(len(tools), func(i int) error {
		_, err := f.UpdateTool(f.ctx, north, tools[i].ID, schemas.ToolPatch{Name: &name}, valid)
		if err == nil {
			renamed.Add(1)
		}
		return unless(err, schemas.Conflict)
	}))
	require.EqualValues(t, 1, renamed.Load())
}

func writersOfKey(t *testing.T, f *fixture) {
	var made set
	f.race(t, func(s *store.Store, i int) error {
		body := fmt.Sprint("body ", i%2)
		tool, err := s.CreateTool(f.ctx, north, toolSpec(fmt.Sprint("tool_", i%2)), store.Idempotency{Key: "k", BodyHash: body})
		if err == nil {
			made.add(tool.ID)
		}
		return unless(err, schemas.IdempotencyMismatch)
	})
	require.Len(t, made.seen, 1)
	list, err := f.Tools(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, list.Total)
}

func writersOfURL(t *testing.T, f *fixture) {
	var made set
	f.race(t, func(s *store.Store, i int) error {
		source, run, err := s.CreateSource(f.ctx, north, sourceSpec(site), store.Idempotency{Key: fmt.Sprint(i % 3), BodyHash: "h"})
		made.add(fmt.Sprint(source.ID, " ", run))
		return err
	})
	require.Len(t, made.seen, 1)
	id := f.source(t)
	f.fail(t, id)
	restarted := set{}
	f.race(t, func(s *store.Store, _ int) error {
		source, run, err := s.CreateSource(f.ctx, north, sourceSpec(site), store.Idempotency{})
		restarted.add(fmt.Sprint(source.ID, " ", run))
		return err
	})
	require.Equal(t, map[string]int{id + " 2": writers}, restarted.seen, "one new run begins")
}

func writersOfFrontier(t *testing.T, f *fixture) {
	id := f.source(t)
	limits := store.FrontierLimits{Pages: 120, Variants: 5}
	f.race(t, func(s *store.Store, i int) error {
		return s.AddPages(f.ctx, north, id, 1, []store.NewPage{
			newPage(fmt.Sprint("own", i), 1), newPage(fmt.Sprint("shared", i%10), 1), newPage(fmt.Sprint("more", i), 2),
		}, limits)
	})
	states := map[string]int{}
	for _, state := range f.pages(t, id) {
		states[state]++
	}
	require.Equal(t, map[string]int{"pending": 120, "skipped limit": 90}, states, "of 210 pages")
	require.NoError(t, f.AddPages(f.ctx, north, id, 1, []store.NewPage{newPage("late", 0)}, limits))
	require.Equal(t, "skipped limit", f.pages(t, id)[site+"late"])

	var leased set
	f.race(t, func(s *store.Store, i int) error {
		leases, err := s.LeasePages(f.ctx, north, id, 1, fmt.Sprint("1/", i), 2, f.clock.now().Add(time.Minute))
		for _, l := range leases {
			leased.add(l.URL)
		}
		return err
	})
	require.Len(t, leased.seen, 120)
	for url, n := range leased.seen {
		require.Equal(t, 1, n, url)
	}
}

func writersOfStep(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	var claims, stored set
	f.race(t, func(s *store.Store, i int) error {
		claim, err := s.ClaimStep(f.ctx, north, "msg_1", 1, &store.Retrieval{Began: f.clock.now()})
		if err != nil || claim.Outcome != nil {
			return err
		}
		claims.add(fmt.Sprint(claim.Claim))
		outcome, err := s.StoreStep(f.ctx, north, "msg_1", 1, claim.Claim,
			store.StepOutcome{Text: fmt.Sprint("by ", i)}, []store.NewCall{newCall("revenue")})
		if err == nil {
			stored.add(outcome.Text)
		}
		return unless(err, schemas.Unavailable)
	})
	for claim, n := range claims.seen {
		require.Equal(t, 1, n, "claim %s", claim)
	}
	require.Len(t, stored.seen, 1, "one outcome, which all are told")
	turn := f.turn(t, "msg_1")
	require.Len(t, turn.Calls, 1)
	require.Equal(t, len(claims.seen), turn.Usage().ModelCalls)

	var sent atomic.Int64
	f.race(t, func(s *store.Store, _ int) error {
		claim, err := s.ClaimCall(f.ctx, north, "msg_1", turn.Calls[0].ID)
		if claim.Send {
			sent.Add(1)
		}
		return err
	})
	require.EqualValues(t, 1, sent.Load())
}

// writersOfDeleted make what a product can have until it is gone. Nothing of
// it may be left.
func writersOfDeleted(t *testing.T, f *fixture) {
	makers := []func(s *store.Store, n string) error{
		func(s *store.Store, n string) error {
			_, err := s.CreateTool(f.ctx, north, toolSpec("tool_"+n), store.Idempotency{Key: n, BodyHash: "h"})
			return err
		},
		func(s *store.Store, n string) error {
			_, _, err := s.CreateSource(f.ctx, north, sourceSpec(site+n+"/"), store.Idempotency{Key: n, BodyHash: "h"})
			return err
		},
		func(s *store.Store, n string) error { _, _, err := s.CreateKey(f.ctx, north, n); return err },
	}
	for range 12 { // at each moment one of them is opening a turn
		makers = append(makers, func(s *store.Store, n string) error { return f.talk(s, n) })
	}
	stores := f.several(t)
	var made atomic.Int64
	err := together(len(makers)+1, func(i int) error {
		if i == len(makers) {
			for made.Load() < 50 {
				time.Sleep(time.Millisecond)
			}
			return f.DeleteProduct(f.ctx, north)
		}
		for n := 0; ; n++ {
			err := makers[i](stores[i%len(stores)], fmt.Sprint(i, "_", n))
			if code := schemas.CodeOf(err); code == schemas.NotFound || code == schemas.Gone {
				return nil
			}
			if err != nil {
				return err
			}
			made.Add(1)
		}
	})
	require.NoError(t, err)
	f.requireNothing(t, north)
}

// writersOfRead read turns while their steps are stored: an outcome is there
// with all of its calls, and no call without the outcome that asked for it.
func writersOfRead(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	var done atomic.Bool
	stores := f.several(t)
	err := together(len(stores), func(i int) error {
		if i > 0 {
			for !done.Load() {
				turn, err := stores[i].Turn(f.ctx, north, "msg_1")
				if err != nil {
					return err
				}
				asked := 0
				for _, step := range turn.Steps {
					if step.Outcome != nil {
						asked += len(step.Outcome.Calls)
					}
				}
				if asked != len(turn.Calls) {
					return fmt.Errorf("%d calls were asked for, %d are there", asked, len(turn.Calls))
				}
			}
			return nil
		}
		defer done.Store(true)
		for n := 1; n <= 50; n++ {
			claim, err := f.ClaimStep(f.ctx, north, "msg_1", n, nil)
			if err != nil {
				return err
			}
			_, err = f.StoreStep(f.ctx, north, "msg_1", n, claim.Claim, store.StepOutcome{}, []store.NewCall{newCall("a"), newCall("b")})
			if err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// talk is a turn from its draft to its end.
func (f *fixture) talk(s *store.Store, turn string) error {
	in, err := newDraft(f.ctx, s, "session of "+turn, turn, "hello")
	if err != nil {
		return err
	}
	opened, err := s.OpenTurn(f.ctx, in)
	if err != nil {
		return err
	}
	if opened.Refusal != nil {
		return opened.Refusal
	}
	_, err = s.CloseTurn(f.ctx, north, turn, store.Closing{Status: schemas.TurnCompleted})
	return err
}

// requireNothing holds a product to having no live thing.
func (f *fixture) requireNothing(t *testing.T, product string) {
	t.Helper()
	tools, err := f.Tools(f.ctx, product, store.ListOptions{})
	require.NoError(t, err)
	require.Zero(t, tools.Total)
	sources, err := f.Sources(f.ctx, product, store.ListOptions{})
	require.NoError(t, err)
	require.Zero(t, sources.Total)
	conversations, err := f.Conversations(f.ctx, product, store.ListOptions{})
	require.NoError(t, err)
	require.Zero(t, conversations.Total)
	keys, err := f.Keys(f.ctx, product, store.ListOptions{Limit: 10_000})
	require.NoError(t, err)
	for _, k := range keys.Items {
		require.NotNil(t, k.RevokedAt)
	}
	turns, err := f.StaleTurns(f.ctx, f.clock.now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, turns)
}

// writersOfTurn open two drafts as one turn, each in a session of its own.
func writersOfTurn(t *testing.T, f *fixture) {
	for round := range 10 {
		turn := fmt.Sprint("msg_", round)
		ins := []schemas.TurnInput{f.draft(t, turn+" a", turn, "hello"), f.draft(t, turn+" b", turn, "hello")}
		stores := f.several(t)
		require.NoError(t, together(8, func(i int) error {
			opened, err := stores[i%4].OpenTurn(f.ctx, ins[i%2])
			if err == nil && (opened.Status != schemas.TurnRunning || opened.Refusal != nil) {
				return fmt.Errorf("opened as %+v", opened)
			}
			return err
		}))
		require.Len(t, f.drain(t), 1, "one message was written")
	}
}

// writersOfRefusal open a draft into a full session while its place becomes
// free: who is refused once is refused for good.
func writersOfRefusal(t *testing.T, f *fixture) {
	f.fill(t)
	in := f.draft(t, "s", "msg_9", "one too many")
	var ends set
	f.race(t, func(s *store.Store, i int) error {
		if i == writers/2 {
			_, err := s.CloseTurn(f.ctx, north, "msg_0", store.Closing{Status: schemas.TurnCompleted})
			return err
		}
		opened, err := s.OpenTurn(f.ctx, in)
		ends.add(fmt.Sprint(opened.Status, opened.Refusal != nil))
		return err
	})
	require.Len(t, ends.seen, 1, "all runs say the same")
}

func writersOfUndone(t *testing.T, f *fixture) {
	f.race(t, func(s *store.Store, i int) error {
		if i%2 == 0 {
			source, _, err := s.CreateSource(f.ctx, north, sourceSpec(site), store.Idempotency{Key: "k", BodyHash: "h"})
			if err == nil && source.ID == "" {
				err = errors.New("no source")
			}
			return err
		}
		list, err := s.Sources(f.ctx, north, store.ListOptions{})
		if err != nil || len(list.Items) == 0 {
			return err
		}
		return unless(s.DeleteSource(f.ctx, north, list.Items[0].ID), schemas.NotFound)
	})
	list, err := f.Sources(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.LessOrEqual(t, list.Total, 1)
}
