// Package analyticstest is the contract of analytics.Store as tests. Every
// backend runs it; it is not for testing what a single backend adds.
package analyticstest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/analytics"
	"runa/schemas"
)

// Run holds a backend against the contract. open returns a store that is
// closed by its maker when the test ends; stores may share what is below them,
// as every test makes up products and batches of its own. What a cut leaves is
// for each backend's own tests: one has files, another a network.
func Run(t *testing.T, open func(t *testing.T) analytics.Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s analytics.Store)
	}{
		{"no event is zeros", noEvents},
		{"figures are as documented", documentedFigures},
		{"gaps are capped", gapsAreCapped},
		{"intents are ordered", intentsAreOrdered},
		{"top intents are ten", topIntentsAreTen},
		{"other kinds do not count", otherKinds},
		{"batch counts once", batchCountsOnce},
		{"batch of several products", batchOfSeveralProducts},
		{"batch without events", batchWithoutEvents},
		{"large batch", largeBatch},
		{"batch repeated after others", repeatedLate},
		{"one batch of many writers", oneBatchManyWriters},
		{"write after a canceled write", writeAfterCancel},
		{"period is half open", periodIsHalfOpen},
		{"products are apart", productsAreApart},
		{"product ids are only names", hostileProducts},
		{"concurrent use", concurrentUse},
		{"figures equal a plain count", figuresEqualPlainCount},
		{"closed store refuses", closedStore},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

// day is when the events of these tests begin.
var day = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func newProduct() string { return schemas.NewID(schemas.ProductPrefix) }

func newBatch(events ...schemas.Event) analytics.Batch {
	return analytics.Batch{ID: schemas.NewID("batch_"), Events: events}
}

// message is an event of a message, some time after day.
func message(product, conversation string, after time.Duration) schemas.Event {
	return schemas.Event{
		ID: schemas.NewID("ev_"), Product: product, Kind: schemas.EventMessage,
		At: schemas.Millis(day.Add(after)), Conversation: conversation,
		Subject: string(schemas.RoleUser), Size: 12,
	}
}

// turn is an event of a turn that ended, some time after day.
func turn(product, intent string, after time.Duration) schemas.Event {
	return schemas.Event{
		ID: schemas.NewID("ev_"), Product: product, Kind: schemas.EventTurn,
		At: schemas.Millis(day.Add(after)), Conversation: "sess_1", Turn: schemas.NewID(schemas.TurnPrefix),
		Outcome: string(schemas.TurnCompleted), Intent: intent, Model: "extractive",
		Answered: true, DurationMs: 40, ModelCalls: 1, InputTokens: 200, OutputTokens: 30,
	}
}

func write(t require.TestingT, s analytics.Store, events ...schemas.Event) {
	require.NoError(t, s.Write(context.Background(), newBatch(events...)))
}

// figures returns the figures without AsOf, which must be set.
func figures(t require.TestingT, s analytics.Store, product string, period analytics.Period) schemas.Figures {
	f, err := s.Figures(context.Background(), product, period)
	require.NoError(t, err)
	require.False(t, time.Time(f.AsOf).IsZero(), "AsOf is set")
	require.NotNil(t, f.Intents)
	require.NotNil(t, f.TopIntents)
	f.AsOf = schemas.Time{}
	return f
}

// always is the period without bounds.
var always = analytics.Period{}

func zeros() schemas.Figures {
	return schemas.Figures{TopIntents: []string{}, Intents: []schemas.IntentShare{}}
}
