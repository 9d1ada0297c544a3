package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/schemas"
	"runa/store"
)

// calling is a bench whose turn has one call of a tool at an address.
func calling(t *testing.T, effect schemas.Effect, address string, change func(*activities.Config)) (*activitiestest.Bench, activities.CallKey) {
	t.Helper()
	b := activitiestest.New(t, change)
	tool := b.Tool(t, schemas.ToolSpec{
		Name: "act", Description: "acts", Endpoint: address, Method: "POST", Effect: effect, TimeoutMs: 300,
		Headers: map[string]string{"X-Token": "secret"},
	})
	key := b.Opened(t, "s", "msg_1", "act!")
	claim, err := b.Store.ClaimStep(t.Context(), product, key.Turn, 1, nil)
	require.NoError(t, err)
	_, err = b.Store.StoreStep(t.Context(), product, key.Turn, 1, claim.Claim, store.StepOutcome{}, []store.NewCall{
		{Tool: tool, Name: "act", Arguments: json.RawMessage(`{}`)},
	})
	require.NoError(t, err)
	return b, activities.CallKey{TurnKey: key, Call: schemas.CallID(key.Turn, 1, 0)}
}

func callOf(t *testing.T, b *activitiestest.Bench, key activities.CallKey) store.CallRecord {
	t.Helper()
	calls := turnOf(t, b, key.TurnKey).Calls
	require.Len(t, calls, 1)
	return calls[0]
}

// ageCalls makes the first claim of each call three minutes old.
func ageCalls(t *testing.T, b *activitiestest.Bench) {
	t.Helper()
	alter(t, b, `UPDATE calls SET claimed_at = claimed_at - 180000`)
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// cut ends the connection after the request was read.
func cut(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

// hang answers nothing until the caller is gone, which a server sees only
// once it has read the body.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

const (
	read       = schemas.EffectRead
	idempotent = schemas.EffectIdempotent
	unsafe     = schemas.EffectUnsafe
)

// again is not a status: the call is tried again, and sent says whether the
// row still says that the request may have left.
type verdict struct {
	status schemas.CallStatus
	code   string
	again  bool
	sent   bool
	delay  time.Duration
}

func ends(status schemas.CallStatus, code string) verdict {
	return verdict{status: status, code: code, sent: true}
}

func again(sent bool, delay time.Duration) verdict {
	return verdict{status: schemas.CallRunning, again: true, sent: sent, delay: delay}
}

func TestCallToolByEffectAndAnswer(t *testing.T) {
	t.Parallel()
	failed, unknown := ends(schemas.CallFailed, "http_status"), ends(schemas.CallUnknown, "unknown")
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		first  map[schemas.Effect]verdict
		// spent is the end of a try after the budget; nil is as first.
		spent map[schemas.Effect]verdict
	}{
		"200": {status(200), map[schemas.Effect]verdict{
			read: ends(schemas.CallSucceeded, ""), idempotent: ends(schemas.CallSucceeded, ""), unsafe: ends(schemas.CallSucceeded, ""),
		}, nil},
		"404": {status(404), map[schemas.Effect]verdict{read: failed, idempotent: failed, unsafe: failed}, nil},
		"429": {
			status(429, "Retry-After", "7"),
			map[schemas.Effect]verdict{read: again(false, 7*time.Second), idempotent: again(false, 7*time.Second), unsafe: again(false, 7*time.Second)},
			map[schemas.Effect]verdict{read: failed, idempotent: failed, unsafe: failed},
		},
		"500": {
			status(500),
			map[schemas.Effect]verdict{read: again(false, 0), idempotent: again(false, 0), unsafe: failed},
			map[schemas.Effect]verdict{read: failed, idempotent: failed},
		},
		"503": {
			status(503),
			map[schemas.Effect]verdict{read: again(false, 0), idempotent: again(false, 0), unsafe: failed},
			map[schemas.Effect]verdict{read: failed, idempotent: failed},
		},
		"503 that says when": {
			status(503, "Retry-After", "3"),
			map[schemas.Effect]verdict{read: again(false, 3*time.Second), idempotent: again(false, 3*time.Second), unsafe: again(false, 3*time.Second)},
			map[schemas.Effect]verdict{read: failed, idempotent: failed, unsafe: failed},
		},
		"502": {
			status(502),
			map[schemas.Effect]verdict{read: again(true, 0), idempotent: again(true, 0), unsafe: unknown},
			map[schemas.Effect]verdict{read: failed, idempotent: unknown},
		},
		"cut": {
			cut,
			map[schemas.Effect]verdict{read: again(true, 0), idempotent: again(true, 0), unsafe: unknown},
			map[schemas.Effect]verdict{read: ends(schemas.CallFailed, "connection_lost"), idempotent: unknown},
		},
		"timeout": {
			hang,
			map[schemas.Effect]verdict{read: again(true, 0), idempotent: again(true, 0), unsafe: unknown},
			map[schemas.Effect]verdict{read: ends(schemas.CallFailed, "timeout"), idempotent: unknown},
		},
		"refused": {
			nil,
			map[schemas.Effect]verdict{read: again(false, 0), idempotent: again(false, 0), unsafe: again(false, 0)},
			map[schemas.Effect]verdict{
				read: ends(schemas.CallFailed, "unreachable"), idempotent: ends(schemas.CallFailed, "unreachable"),
				unsafe: ends(schemas.CallFailed, "unreachable"),
			},
		},
	} {
		for effect, want := range c.first {
			t.Run(fmt.Sprintf("%s %s", name, effect), func(t *testing.T) {
				t.Parallel()
				tool := serve(t, c.answer)
				if c.answer == nil {
					tool.Close()
				}
				b, key := calling(t, effect, tool.URL, nil)
				want.check(t, b, key)
				if spent, more := c.spent[effect]; more {
					ageCalls(t, b)
					spent.check(t, b, key)
				}
				sent := len(tool.requests())
				if call := callOf(t, b, key); !call.Ended.IsZero() {
					require.NoError(t, run(t, b, b.CallTool, key), "a call with an outcome is left as it is")
					require.Equal(t, call, callOf(t, b, key))
					require.Len(t, tool.requests(), sent)
				}
				for _, r := range tool.requests() {
					require.Equal(t, "msg_1/1/"+key.Call, r.Header.Get("Idempotency-Key"))
					require.Equal(t, "secret", r.Header.Get("X-Token"))
				}
			})
		}
	}
}

// An answer to a later try says nothing of an earlier one that was lost.
func TestCallToolThatWasLostOnceEndsUnknown(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	tool := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			cut(w, r)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	b, key := calling(t, idempotent, tool.URL, nil)
	again(true, 0).check(t, b, key)
	again(true, 0).check(t, b, key)
	ageCalls(t, b)
	ends(schemas.CallUnknown, "unknown").check(t, b, key)
}

// A tool that asks for an hour would hold the session for it.
func TestCallToolDoesNotWaitBeyondItsBudget(t *testing.T) {
	t.Parallel()
	tool := serve(t, status(429, "Retry-After", "3600"))
	b, key := calling(t, unsafe, tool.URL, nil)
	ends(schemas.CallFailed, "http_status").check(t, b, key)
	require.Len(t, tool.requests(), 1)
}

func TestCallToolRemovedAfterItWasSentIsUnknown(t *testing.T) {
	t.Parallel()
	for sent, want := range map[bool]schemas.CallStatus{true: schemas.CallUnknown, false: schemas.CallFailed} {
		b, key := calling(t, unsafe, "http://127.0.0.1:1", nil)
		if sent {
			_, err := b.Store.ClaimCall(t.Context(), product, key.Turn, key.Call)
			require.NoError(t, err)
		}
		require.NoError(t, b.Store.DeleteTool(t.Context(), product, callOf(t, b, key).Tool))
		require.NoError(t, run(t, b, b.CallTool, key))
		require.Equal(t, want, callOf(t, b, key).Status)
	}
}

// check runs the call once and holds what came of it to the verdict.
func (v verdict) check(t *testing.T, b *activitiestest.Bench, key activities.CallKey) {
	t.Helper()
	err := run(t, b, b.CallTool, key)
	call := callOf(t, b, key)
	require.Equal(t, v.status, call.Status)
	require.Equal(t, v.sent, !call.SentAt.IsZero())
	if v.again {
		requireFailure(t, err, schemas.Unavailable, false)
		require.Equal(t, v.delay, delayOf(t, err))
		return
	}
	require.NoError(t, err)
	require.False(t, call.Ended.IsZero())
	if v.code == "" {
		require.Nil(t, call.Error)
		return
	}
	require.Equal(t, v.code, call.Error.Code)
}

// An earlier try marked the request as sent and died.
func TestCallToolFoundSent(t *testing.T) {
	t.Parallel()
	for effect, want := range map[schemas.Effect]struct {
		status schemas.CallStatus
		sends  int
	}{
		read: {schemas.CallSucceeded, 1}, idempotent: {schemas.CallSucceeded, 1}, unsafe: {schemas.CallUnknown, 0},
	} {
		tool := serve(t, status(200))
		b, key := calling(t, effect, tool.URL, nil)
		claim, err := b.Store.ClaimCall(t.Context(), product, key.Turn, key.Call)
		require.NoError(t, err)
		require.True(t, claim.Send)
		require.NoError(t, run(t, b, b.CallTool, key))
		require.Equal(t, want.status, callOf(t, b, key).Status, effect)
		require.Len(t, tool.requests(), want.sends, effect)
	}
}

// The first try was sent and lost; that the second found no one at home says
// nothing of the first.
func TestCallToolDoesNotUnsendAnothersRequest(t *testing.T) {
	t.Parallel()
	tool := serve(t, cut)
	b, key := calling(t, idempotent, tool.URL, nil)
	again(true, 0).check(t, b, key)
	tool.Close()
	again(true, 0).check(t, b, key)
	require.Len(t, tool.requests(), 1)
}

func TestCallToolTriedAgainSucceeds(t *testing.T) {
	t.Parallel()
	for _, effect := range []schemas.Effect{read, idempotent, unsafe} {
		var answered atomic.Bool
		tool := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if answered.CompareAndSwap(false, true) {
				status(429)(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{ "done": true }`))
		})
		changed := 0
		b, key := calling(t, effect, tool.URL, func(cfg *activities.Config) { cfg.Changed = func(string) { changed++ } })
		require.Error(t, run(t, b, b.CallTool, key))
		require.NoError(t, run(t, b, b.CallTool, key))
		call := callOf(t, b, key)
		require.Equal(t, schemas.CallSucceeded, call.Status, effect)
		require.JSONEq(t, `{"done":true}`, string(call.Result))
		require.Len(t, tool.requests(), 2)
		require.Equal(t, 1, changed)
	}
}

func TestCallToolOfARemovedTool(t *testing.T) {
	t.Parallel()
	tool := serve(t, status(200))
	b, key := calling(t, unsafe, tool.URL, nil)
	require.NoError(t, b.Store.DeleteTool(t.Context(), product, callOf(t, b, key).Tool))
	require.NoError(t, run(t, b, b.CallTool, key))
	require.Equal(t, "unknown_tool", callOf(t, b, key).Error.Code)
	require.Empty(t, tool.requests())
}

func TestCallToolOfATurnThatEnded(t *testing.T) {
	t.Parallel()
	tool := serve(t, status(200))
	b, key := calling(t, unsafe, tool.URL, nil)
	_, err := b.Store.CloseTurn(t.Context(), product, key.Turn, store.Closing{Status: schemas.TurnCanceled})
	require.NoError(t, err)
	requireFailure(t, run(t, b, b.CallTool, key), schemas.Gone, true)
	require.Empty(t, tool.requests())
	require.Equal(t, schemas.CallCanceled, callOf(t, b, key).Status)
}

// A worker that stops while the tool works leaves the row as it is; what may be
// sent again is, by the next worker and under the same key.
func TestCallToolStoppedOnTheWay(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{"shutdown": worker.ErrWorkerShutdown, "cancel": context.Canceled} {
		for effect, want := range map[schemas.Effect]schemas.CallStatus{
			read: schemas.CallSucceeded, idempotent: schemas.CallSucceeded, unsafe: schemas.CallUnknown,
		} {
			t.Run(fmt.Sprintf("%s %s", name, effect), func(t *testing.T) {
				t.Parallel()
				ctx, stop := context.WithCancelCause(t.Context())
				var calls atomic.Int64
				tool := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if calls.Add(1) == 1 {
						stop(cause)
						hang(w, r)
					}
				})
				b, key := calling(t, effect, tool.URL, nil)
				requireStopped(t, runIn(ctx, b, b.CallTool, key), name)
				require.False(t, callOf(t, b, key).SentAt.IsZero())
				require.NoError(t, run(t, b, b.CallTool, key))
				require.Equal(t, want, callOf(t, b, key).Status)
			})
		}
	}
}

func requireStopped(t *testing.T, err error, how string) {
	t.Helper()
	if how == "shutdown" {
		requireFailure(t, err, schemas.Unavailable, false)
		return
	}
	require.ErrorContains(t, err, context.Canceled.Error())
}

// Told to stop between the claim and the request: nothing has left, and even
// an unsafe call may be made by the next try.
func TestCallToolStoppedBeforeItSent(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	tool := serve(t, status(200))
	b, key := calling(t, unsafe, tool.URL, func(cfg *activities.Config) {
		cfg.Fail = func(point string) {
			if point == "call claimed" {
				stop(worker.ErrWorkerShutdown)
			}
		}
	})
	requireStopped(t, runIn(ctx, b, b.CallTool, key), "shutdown")
	require.True(t, callOf(t, b, key).SentAt.IsZero())
	require.NoError(t, run(t, b, b.CallTool, key))
	require.Equal(t, schemas.CallSucceeded, callOf(t, b, key).Status)
	require.Len(t, tool.requests(), 1)
}

// The answer was there when the worker stopped: it is kept.
func TestCallToolStoppedAfterTheAnswer(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]schemas.CallStatus{200: schemas.CallSucceeded, 404: schemas.CallFailed} {
		ctx, stop := context.WithCancelCause(t.Context())
		tool := serve(t, status(code))
		b, key := calling(t, unsafe, tool.URL, func(cfg *activities.Config) {
			cfg.Fail = func(point string) {
				if point == "tool answered" {
					stop(worker.ErrWorkerShutdown)
				}
			}
		})
		require.NoError(t, runIn(ctx, b, b.CallTool, key))
		require.Equal(t, want, callOf(t, b, key).Status)
	}
}

func TestTestTool(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]schemas.CallStatus{200: schemas.CallSucceeded, 404: schemas.CallFailed, 502: schemas.CallUnknown} {
		tool := serve(t, status(code))
		b, key := calling(t, unsafe, tool.URL, nil)
		tester := &activities.ToolTester{Store: b.Store, Tools: b.Tools}
		call, err := tester.TestTool(t.Context(), product, callOf(t, b, key).Tool, json.RawMessage(`{}`))
		require.NoError(t, err)
		require.Equal(t, want, call.Status)
		require.Len(t, tool.requests(), 1, "once, and never again")
		_, err = tester.TestTool(t.Context(), product, callOf(t, b, key).Tool, json.RawMessage(`[]`))
		require.Equal(t, schemas.InvalidRequest, schemas.CodeOf(err))
		_, err = tester.TestTool(t.Context(), product, "tool_none", json.RawMessage(`{}`))
		require.Equal(t, schemas.NotFound, schemas.CodeOf(err))
	}
}
