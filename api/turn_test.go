package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

const hello = `{"message":"hello","sessionId":"s"}`

func TestChatAnswersWhenTheTurnEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.engine.startTurn = b.ends(schemas.TurnCompleted, nil)
	a := b.send(t, "POST", "/v1/chat", hello)
	a.require(t, http.StatusOK, "")
	require.Equal(t, schemas.TurnCompleted, a.Turn.Status)
	require.Equal(t, "s", a.Turn.SessionID)
}

func TestChatThatFailsAnswersWithTheError(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for failure, status := range map[*schemas.Error]int{
		schemas.Errorf(schemas.ModelUnavailable, "the model is away"): http.StatusBadGateway,
		schemas.Errorf(schemas.TurnLimit, "too long"):                 http.StatusUnprocessableEntity,
		schemas.Errorf(schemas.Interrupted, "interrupted"):            http.StatusInternalServerError,
	} {
		b.engine.startTurn = b.ends(schemas.TurnFailed, failure)
		a := b.send(t, "POST", "/v1/chat", hello)
		a.require(t, status, failure.Code)
		require.Equal(t, failure.Message, a.Error.Message)
		require.Regexp(t, "^msg_", a.Error.TurnID)
	}
}

func TestChatThatIsNotAwaitedSaysWhereToLook(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.engine.startTurn = b.opens
	for body, header := range map[string]string{
		`{"message":"hello","wait":0}`: "", `{"message":"hello"}`: "respond-async", `{"message":"hello","wait":9}`: "return=minimal, Respond-Async",
	} {
		a := b.send(t, "POST", "/v1/chat", body, "Prefer", header)
		a.require(t, http.StatusAccepted, "")
		require.Equal(t, schemas.TurnRunning, a.Turn.Status)
		require.Equal(t, "/v1/turns/"+a.Turn.ID, a.Header().Get("Location"))
		b.send(t, "GET", a.Header().Get("Location"), "").require(t, http.StatusOK, "")
	}
}

func TestChatUnderAKnownKeyStartsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.engine.startTurn = b.ends(schemas.TurnCompleted, nil)
	first := b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", "k")
	first.require(t, http.StatusOK, "")
	b.engine.startTurn = nil
	again := b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", "k")
	again.require(t, http.StatusOK, "")
	require.Equal(t, first.Turn.ID, again.Turn.ID)
	b.send(t, "POST", "/v1/chat", `{"message":"other","sessionId":"s"}`, "Idempotency-Key", "k").
		require(t, http.StatusUnprocessableEntity, schemas.IdempotencyMismatch)
}

// The workflow of the key is another call's, whose message is refused: the key
// is free again, and this call's message is taken by a second start.
func TestChatStartsAgainAfterAnothersRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	starts := 0
	b.engine.startTurn = func(ctx context.Context, in schemas.TurnInput) (bool, error) {
		if starts++; starts == 1 {
			return false, nil // it runs for another's draft, and will fail
		}
		return b.ends(schemas.TurnCompleted, nil)(ctx, in)
	}
	b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", "k").require(t, http.StatusOK, "")
	require.Equal(t, 2, starts)
}

func TestChatIntoAFullSessionIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.engine.startTurn = b.opens
	for i := range schemas.MaxQueuedTurns + 1 {
		a := b.send(t, "POST", "/v1/chat", hello, "Prefer", "respond-async")
		a.require(t, http.StatusAccepted, "")
		require.Equal(t, i > 0, a.Turn.Status == schemas.TurnQueued)
	}
	b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", "k").require(t, http.StatusConflict, schemas.ConversationBusy)
	_, err := b.Store.Turn(t.Context(), schemas.DefaultProduct, schemas.TurnID(schemas.DefaultProduct, "k"))
	require.Equal(t, schemas.NotFound, schemas.CodeOf(err))
}

// Under a key whose turn is started and not open yet, nobody is told that
// nothing was taken in.
func TestChatUnderAKeyThatIsBegunIsNotRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(cfg *Config) { cfg.MaxOpenTurns = 1 })
	b.engine.startTurn = b.opens
	_, err := b.takeIn(t.Context(), schemas.DefaultProduct, "first", schemas.ChatRequest{Message: "hello", SessionID: "a"})
	require.NoError(t, err)
	begun := false
	b.engine.turnOpen = func(context.Context, string, string) (bool, error) { return begun, nil }
	_, err = b.takeIn(t.Context(), schemas.DefaultProduct, "second", schemas.ChatRequest{Message: "hello", SessionID: "b"})
	require.Equal(t, schemas.RateLimited, schemas.CodeOf(err))
	begun = true
	_, err = b.takeIn(t.Context(), schemas.DefaultProduct, "second", schemas.ChatRequest{Message: "hello", SessionID: "b"})
	require.NoError(t, err)
}

func TestChatWithoutAnEngine(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.engine.startTurn = func(context.Context, schemas.TurnInput) (bool, error) {
		away := &schemas.Error{Code: schemas.Unavailable, Message: "the durable engine cannot be reached", RetryAfter: 1500 * time.Millisecond}
		return false, errors.Join(away, errors.New("dial 10.1.2.3: refused"))
	}
	a := b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", "k")
	a.require(t, http.StatusServiceUnavailable, schemas.Unavailable)
	require.Equal(t, "2", a.Header().Get("Retry-After"))
	require.NotContains(t, a.Body.String(), "10.1.2.3")
	require.Contains(t, b.log.String(), "10.1.2.3")
	list, err := b.Store.Conversations(t.Context(), schemas.DefaultProduct, store.ListOptions{})
	require.NoError(t, err)
	require.Zero(t, list.Total, "nothing was written")
	b.engine.startTurn = b.ends(schemas.TurnCompleted, nil)
	b.send(t, "POST", "/v1/chat", hello, "Idempotency-Key", "k").require(t, http.StatusOK, "")
}

// A server that stops lets no caller wait: a turn that was taken is a 202, one
// that was not a 503.
func TestChatWhenTheServerStops(t *testing.T) {
	t.Parallel()
	for _, opened := range []bool{true, false} {
		b := setup(t, nil)
		b.engine.startTurn = func(ctx context.Context, in schemas.TurnInput) (bool, error) {
			if opened {
				return b.opens(ctx, in)
			}
			b.Close()
			return true, nil
		}
		closing := time.AfterFunc(300*time.Millisecond, b.Close)
		a := b.send(t, "POST", "/v1/chat", hello)
		closing.Stop()
		if opened {
			a.require(t, http.StatusAccepted, "")
			continue
		}
		a.require(t, http.StatusServiceUnavailable, schemas.Unavailable)
		require.NotEmpty(t, a.Header().Get("Retry-After"))
	}
}

func TestChatWhoseCallerLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	b.engine.startTurn = func(_ context.Context, in schemas.TurnInput) (bool, error) {
		started, err := b.opens(t.Context(), in)
		leave()
		return started, err
	}
	// Whether the caller who leaves is told first is a race that nobody sees.
	_, _ = b.takeIn(ctx, schemas.DefaultProduct, "k", schemas.ChatRequest{Message: "hello", SessionID: "s"})
	turn, err := b.Store.Turn(t.Context(), schemas.DefaultProduct, schemas.TurnID(schemas.DefaultProduct, "k"))
	require.NoError(t, err)
	require.Equal(t, schemas.TurnRunning, turn.Status, "the turn goes on")
}

// The row is what counts: a crawl or a purge that cannot be started now is
// started by the sweep.
func TestKnowledgeWithoutAnEngine(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	away := fmt.Errorf("engine is away")
	b.engine.startCrawl = func(context.Context, string, string, int64) error { return away }
	b.engine.startPurge = func(context.Context, string, string) error { return away }
	b.send(t, "POST", "/v1/knowledge", `{"type":"url","url":"http://help.test/","name":"help"}`).require(t, http.StatusOK, "")
	list, err := b.Store.Sources(t.Context(), schemas.DefaultProduct, store.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	b.send(t, "DELETE", "/v1/knowledge/"+list.Items[0].ID, "").require(t, http.StatusOK, "")
	b.send(t, "DELETE", "/v1/knowledge/"+list.Items[0].ID, "").require(t, http.StatusNotFound, schemas.NotFound)
}
