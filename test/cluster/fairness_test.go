package cluster

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/harness"
)

// TestFairShares fills the queues with one product's turns, and sees another's
// overtake them. How long those take beside the flood is measured by
// `make load`.
func TestFairShares(t *testing.T) {
	t.Parallel()
	const slots, flood, few = 4, 100, 5
	c := newCluster(t, options{worker: []string{"--turn-slots", strconv.Itoa(slots)}})
	busy, quiet := harness.NewProduct(t, c.programs, "prod_busy", 200*time.Millisecond), harness.NewProduct(t, c.programs, "prod_quiet", 0)
	quiet.Open()
	accepted := busy.Flood(flood)
	busy.Open()
	for range few {
		answer := quiet.Send(60)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	}
	overtaken := flood - busy.Ended(accepted)
	require.Greater(t, overtaken, flood/2, "turns of the busy product that the quiet one's overtook")
	require.Eventually(t, func() bool { return busy.Ended(accepted) == flood }, 2*time.Minute, time.Second, "the flood ends")
	t.Logf("%d turns of the quiet product overtook %d of %d", few, overtaken, flood)
}
