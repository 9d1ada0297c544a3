package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

func TestTurnStatusFinal(t *testing.T) {
	t.Parallel()
	for _, s := range []schemas.TurnStatus{schemas.TurnCompleted, schemas.TurnFailed, schemas.TurnCanceled} {
		require.True(t, s.Final(), s)
	}
	for _, s := range []schemas.TurnStatus{schemas.TurnQueued, schemas.TurnRunning, schemas.TurnWaiting, ""} {
		require.False(t, s.Final(), s)
	}
}

func TestChatRequestValidate(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("m", schemas.MaxMessageBytes)
	for _, ok := range []schemas.ChatRequest{
		{Message: "hi"},
		{Message: full},
		{Message: "hi", SessionID: "s", Wait: new(0)},
		{Message: "hi", Wait: new(schemas.MaxWaitSeconds)},
	} {
		require.NoError(t, ok.Validate())
	}
	for param, bad := range map[string][]schemas.ChatRequest{
		"message":   {{}, {Message: "\xff"}},
		"wait":      {{Message: "hi", Wait: new(-1)}, {Message: "hi", Wait: new(601)}},
		"sessionId": {{Message: "hi", SessionID: "a b"}},
	} {
		for _, r := range bad {
			requireInvalid(t, r.Validate(), param)
		}
	}
	long := schemas.ChatRequest{Message: full + "m"}
	require.Equal(t, schemas.TooLarge, schemas.CodeOf(long.Validate()))
}

func TestChatRequestHashIsOfWhatIsAsked(t *testing.T) {
	t.Parallel()
	r := schemas.ChatRequest{SessionID: "s", Message: "m"}
	same := schemas.ChatRequest{ProductID: "p", SessionID: "s", Message: "m", Wait: new(0)}
	require.Equal(t, r.Hash(), same.Hash())
	for _, other := range []schemas.ChatRequest{{Message: "m"}, {SessionID: "s", Message: "n"}, {Message: "sm"}} {
		require.NotEqual(t, r.Hash(), other.Hash())
	}
}

func TestWorkflowIDsNameTheProduct(t *testing.T) {
	t.Parallel()
	require.Equal(t, "turn/prod_a/msg_1", schemas.TurnWorkflowID("prod_a", "msg_1"))
	require.Equal(t, "crawl/prod_a/ks_1", schemas.CrawlWorkflowID("prod_a", "ks_1"))
	require.Equal(t, "purge/prod_a/ks_1", schemas.PurgeWorkflowID("prod_a", "ks_1"))
}
