package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"runa/store"
)

// How often rows are looked at while somebody waits. A change in this process
// is seen at once; this is for those of others. Most turns are taken in, and
// many end, soon after a caller begins to wait, so a new one is looked at more
// often.
const (
	lookSoon  = 10 * time.Millisecond
	lookEvery = 50 * time.Millisecond
	// isNew is how long a caller is new.
	isNew = 500 * time.Millisecond
)

// lookWithin bounds one look.
const lookWithin = 5 * time.Second

// errClosed ends a wait when the server stops.
var errClosed = errors.New("the server is stopping")

// watcher waits for rows on behalf of all callers: one query for all of them,
// and none when nobody waits. A workflow's history is never polled for it.
type watcher struct {
	read   func(context.Context, []store.TurnRef) ([]store.TurnState, error)
	log    *slog.Logger
	wake   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	waiters map[*waiter]struct{}
}

type waiter struct {
	ref   store.TurnRef
	began time.Time
	until func(store.TurnState) bool
	found chan store.TurnState
}

func newWatcher(read func(context.Context, []store.TurnRef) ([]store.TurnState, error), log *slog.Logger) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{read: read, log: log, wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel, waiters: map[*waiter]struct{}{}}
	go w.run()
	return w
}

func (w *watcher) close() { w.cancel() }

// wait returns the first state of a turn that satisfies until.
func (w *watcher) wait(ctx context.Context, ref store.TurnRef, until func(store.TurnState) bool) (store.TurnState, error) {
	self := &waiter{ref: ref, began: time.Now(), until: until, found: make(chan store.TurnState, 1)}
	w.mu.Lock()
	w.waiters[self] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.waiters, self)
		w.mu.Unlock()
	}()
	w.look()
	select {
	case state := <-self.found:
		return state, nil
	case <-ctx.Done():
		return store.TurnState{}, ctx.Err()
	case <-w.ctx.Done():
		return store.TurnState{}, errClosed
	}
}

// changed looks at once if somebody waits for the turn.
func (w *watcher) changed(turn string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for waiter := range w.waiters {
		if waiter.ref.Turn == turn {
			w.look()
			return
		}
	}
}

func (w *watcher) look() {
	select {
	case w.wake <- struct{}{}:
	default: // a look is due already
	}
}

func (w *watcher) run() {
	all, looked := true, time.Time{}
	for {
		if all {
			looked = time.Now()
		}
		w.lookOnce(all)
		var again <-chan time.Time
		switch waiting, young := w.count(); {
		case young > 0:
			again = time.After(lookSoon)
		case waiting > 0:
			again = time.After(lookEvery - time.Since(looked))
		}
		select {
		case <-w.wake:
			all = true
		case <-again:
			all = time.Since(looked) >= lookEvery
		case <-w.ctx.Done():
			return
		}
	}
}

// count returns how many wait, and how many of them are new.
func (w *watcher) count() (waiting, young int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.waiters {
		if one.young() {
			young++
		}
	}
	return len(w.waiters), young
}

func (w *waiter) young() bool { return time.Since(w.began) < isNew }

// maxRefs is how many turns one query asks about.
const maxRefs = 200

// lookOnce tells the waiters whose turn has come, of all or of the new ones.
func (w *watcher) lookOnce(all bool) {
	waiting := w.snapshot(all)
	for len(waiting) > 0 {
		part := waiting[:min(len(waiting), maxRefs)]
		waiting = waiting[len(part):]
		refs := make([]store.TurnRef, len(part))
		for i, one := range part {
			refs[i] = one.ref
		}
		states, err := w.readSoon(refs)
		if err != nil {
			if w.ctx.Err() == nil {
				w.log.Warn("turns could not be looked at", "error", err)
			}
			break
		}
		w.tell(part, states)
	}
}

// readSoon gives up on rows that do not come: all callers wait for this look,
// and the next may have a connection that works.
func (w *watcher) readSoon(refs []store.TurnRef) ([]store.TurnState, error) {
	ctx, cancel := context.WithTimeout(w.ctx, lookWithin)
	defer cancel()
	return w.read(ctx, refs)
}

func (w *watcher) snapshot(all bool) []*waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := make([]*waiter, 0, len(w.waiters))
	for one := range w.waiters {
		if all || one.young() {
			waiting = append(waiting, one)
		}
	}
	return waiting
}

func (w *watcher) tell(waiting []*waiter, states []store.TurnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, one := range waiting {
		if _, still := w.waiters[one]; still && one.until(states[i]) {
			one.found <- states[i]
			delete(w.waiters, one)
		}
	}
}
