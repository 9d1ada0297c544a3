package cluster

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/harness"
	"runa/test/runatest"
)

// maxOpen is from how many open turns on a product beyond its share is refused.
const maxOpen = 20

// TestCapacity floods an installation with one product's turns: it is told to
// wait, another product is not, what was accepted ends, and then the first gets
// in again.
func TestCapacity(t *testing.T) {
	t.Parallel()
	c := newCluster(t, options{api: []string{"--max-open-turns", strconv.Itoa(maxOpen)}})
	flooding, other := harness.NewProduct(t, c.programs, "prod_flooding", 0), harness.NewProduct(t, c.programs, "prod_other", 0)
	other.Open()
	var accepted []string
	var refusal runatest.Answer
	for range 5 * maxOpen {
		answer := flooding.Send(0)
		if answer.Status == http.StatusTooManyRequests {
			refusal = answer
			continue
		}
		require.Equal(t, http.StatusAccepted, answer.Status, "%s", answer.Body)
		accepted = append(accepted, harness.IDOf(t, answer))
	}
	// Each API counts what it takes in by itself and learns of the other's
	// within a second.
	require.GreaterOrEqual(t, len(accepted), maxOpen)
	require.LessOrEqual(t, len(accepted), len(c.apis)*maxOpen)
	requireRefusal(t, refusal)

	answer := other.Send(30)
	require.Equal(t, http.StatusOK, answer.Status, "another product gets in and is served: %s", answer.Body)
	require.Zero(t, flooding.Ended(accepted), "the flood is still there")
	requireRefusal(t, flooding.Send(0))

	flooding.Open()
	require.Eventually(t, func() bool { return flooding.Ended(accepted) == len(accepted) }, time.Minute, 100*time.Millisecond)
	require.Eventually(t, func() bool { return flooding.Send(30).Status == http.StatusOK }, 30*time.Second, time.Second, "it gets in again")
}

func requireRefusal(t *testing.T, answer runatest.Answer) {
	t.Helper()
	require.Equal(t, http.StatusTooManyRequests, answer.Status, "%s", answer.Body)
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
	var body struct{ Error struct{ Code schemas.Code } }
	answer.JSON(t, &body)
	require.Equal(t, schemas.RateLimited, body.Error.Code)
}
