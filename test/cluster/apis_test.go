package cluster

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// pairs is how many messages are sent to both APIs at once.
const pairs = 100

// TestTwoAPIs sends each message to two APIs at the same moment, under one
// key: there is one turn, and either API answers for it.
func TestTwoAPIs(t *testing.T) {
	t.Parallel()
	c := newCluster(t, options{workers: 2})
	var turns [pairs][2]schemas.Turn
	var all sync.WaitGroup
	for n := range pairs {
		for i := range 2 {
			all.Go(func() { turns[n][i] = c.chat(i, n, "What does the Pro plan cost?") })
		}
	}
	all.Wait()
	seen := map[string]bool{}
	for n, answers := range turns {
		require.NotEmpty(t, answers[0].ID)
		require.Equal(t, answers[0].ID, answers[1].ID, "one turn for the key")
		seen[answers[0].ID] = true
		// The other API answers for what this one took in.
		other := c.ended(n%2, answers[0].ID)
		require.Equal(t, schemas.TurnCompleted, other.Status)
		require.NotEmpty(t, other.Reply)
		var conversation struct{ Messages []schemas.Message }
		c.get((n+1)%2, "/v1/conversations/"+sessionOf(n), &conversation)
		require.Len(t, conversation.Messages, 2, "one message and one reply")
	}
	require.Len(t, seen, pairs)
	again := c.programs[1].Do(c.message(0, "Another text under the key"))
	require.Equal(t, http.StatusUnprocessableEntity, again.Status, "%s", again.Body)
}

func sessionOf(n int) string { return fmt.Sprintf("pair-%d", n) }

func (c *cluster) message(n int, text string) runatest.Request {
	return runatest.Request{
		Method: http.MethodPost, Path: "/v1/chat", Header: map[string]string{"Idempotency-Key": sessionOf(n)},
		Body: map[string]any{"sessionId": sessionOf(n), "message": text, "wait": n % 2 * 30},
	}
}

// chat sends the n-th message to the i-th API, again while it is told to: a
// burst may be more than a busy machine takes in at once.
func (c *cluster) chat(i, n int, text string) (turn schemas.Turn) {
	answer := c.programs[i].Do(c.message(n, text))
	for range 20 {
		if answer.Status != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(time.Second)
		answer = c.programs[i].Do(c.message(n, text))
	}
	if answer.Status != http.StatusOK && answer.Status != http.StatusAccepted {
		c.t.Errorf("message %d: %d %s", n, answer.Status, answer.Body)
		return turn
	}
	answer.JSON(c.t, &turn)
	return turn
}

func (c *cluster) get(i int, path string, dest any) {
	c.t.Helper()
	answer := c.programs[i].Do(runatest.Request{Method: http.MethodGet, Path: path})
	require.Equal(c.t, http.StatusOK, answer.Status, "%s", answer.Body)
	answer.JSON(c.t, dest)
}

// ended waits at the i-th API for the end of a turn.
func (c *cluster) ended(i int, id string) (turn schemas.Turn) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		c.get(i, "/v1/turns/"+id, &turn)
		return turn.Status.Final()
	}, time.Minute, 20*time.Millisecond, "turn %s ends", id)
	return turn
}
