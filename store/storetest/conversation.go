package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func conversationTests() tests {
	return tests{
		"newest first":                      conversationsNewest,
		"a late reply stands where it came": lateReply,
		"a missing one is not found":        conversationMissing,
	}
}

func conversationsNewest(t *testing.T, f *fixture) {
	started := f.clock.now()
	f.open(t, "old", "msg_1", schemas.TurnRunning)
	f.clock.advance(time.Second)
	f.open(t, "new", "msg_2", schemas.TurnRunning)
	f.clock.advance(time.Second)
	f.think(t, "msg_1", 1, store.StepOutcome{Text: "reply"})
	f.end(t, "msg_1")
	f.open(t, "old", "msg_3", schemas.TurnRunning)
	list, err := f.Conversations(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, store.List[schemas.Conversation]{Total: 2, Items: []schemas.Conversation{
		{ID: "new", StartedAt: at(started.Add(time.Second)), MessageCount: 1},
		{ID: "old", StartedAt: at(started), MessageCount: 3},
	}}, list)
}

func lateReply(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.think(t, "msg_1", 1, store.StepOutcome{Text: "reply 1"})
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	f.end(t, "msg_1")
	f.think(t, "msg_2", 1, store.StepOutcome{Text: "reply 2"})
	f.end(t, "msg_2")
	messages, err := f.Messages(f.ctx, north, "s")
	require.NoError(t, err)
	var texts []string
	for _, m := range messages {
		texts = append(texts, m.Content)
	}
	require.Equal(t, []string{"message of msg_1", "message of msg_2", "reply 1", "reply 2"}, texts)
}

func conversationMissing(t *testing.T, f *fixture) {
	_, err := f.Messages(f.ctx, north, "none")
	requireCode(t, schemas.NotFound, err)
	list, err := f.Conversations(f.ctx, north, store.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, store.List[schemas.Conversation]{Items: []schemas.Conversation{}}, list)
}
