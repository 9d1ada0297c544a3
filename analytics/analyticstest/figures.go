package analyticstest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/analytics"
	"runa/schemas"
)

func noEvents(t *testing.T, s analytics.Store) {
	require.NoError(t, s.Ping(context.Background()))
	require.Equal(t, zeros(), figures(t, s, newProduct(), always))

	product := newProduct()
	write(t, s, message(product, "a", 0), turn(product, "pricing", 0))
	later := analytics.Period{From: day.Add(time.Hour)}
	require.Equal(t, zeros(), figures(t, s, product, later), "events, but none in the period")
}

func documentedFigures(t *testing.T, s analytics.Store) {
	p := newProduct()
	write(t, s,
		message(p, "a", 0), message(p, "a", 4*time.Minute), message(p, "a", 5*time.Minute),
		message(p, "b", time.Hour), message(p, "b", time.Hour+90*time.Second),
		message(p, "c", 2*time.Hour),
		turn(p, "pricing", 0), turn(p, "export_data", time.Hour), turn(p, "pricing", 2*time.Hour),
	)
	require.Equal(t, schemas.Figures{
		Conversations:              3,
		MessagesTotal:              6,
		AvgSessionLength:           2.2, // (5 + 1.5 + 0) / 3
		TopIntents:                 []string{"pricing", "export_data"},
		AvgMessagesPerConversation: 2,
		Intents: []schemas.IntentShare{
			{Name: "pricing", Count: 2, Share: 0.6667},
			{Name: "export_data", Count: 1, Share: 0.3333},
		},
	}, figures(t, s, p, always))
}

func gapsAreCapped(t *testing.T, s analytics.Store) {
	for _, test := range []struct {
		name string
		gap  time.Duration
		want float64
	}{
		{"below", 29*time.Minute + 57*time.Second, 30.0}, // 29.95, half away from zero
		{"just below", 29*time.Minute + 54*time.Second, 29.9},
		{"equal", 30 * time.Minute, 30},
		{"just above", 30*time.Minute + time.Millisecond, 30},
		{"a week", 7 * 24 * time.Hour, 30},
	} {
		p := newProduct()
		// The events arrive out of order, as late batches do.
		write(t, s, message(p, "a", test.gap))
		write(t, s, message(p, "a", 0))
		require.InDelta(t, test.want, figures(t, s, p, always).AvgSessionLength, 1e-9, test.name)
	}
	p := newProduct()
	write(t, s, message(p, "a", 0), message(p, "a", 10*time.Minute), message(p, "a", 10*time.Hour), message(p, "a", 10*time.Hour+time.Minute))
	require.InDelta(t, 41, figures(t, s, p, always).AvgSessionLength, 1e-9, "each gap is capped, not the session")
}

func intentsAreOrdered(t *testing.T, s analytics.Store) {
	p := newProduct()
	for _, intent := range []string{"b", "a", "c", "c", "c", "B", "ä", "", ""} {
		write(t, s, turn(p, intent, 0))
	}
	f := figures(t, s, p, always)
	require.Equal(t, []string{"c", "B", "a", "b", "ä"}, f.TopIntents, "count descending, then name ascending")
	require.Equal(t, schemas.IntentShare{Name: "c", Count: 3, Share: 0.4286}, f.Intents[0], "3 of 7 turns that have an intent")
}

func topIntentsAreTen(t *testing.T, s analytics.Store) {
	p := newProduct()
	var events []schemas.Event
	for i := range 12 {
		events = append(events, slices.Repeat([]schemas.Event{turn(p, fmt.Sprintf("intent_%02d", i), 0)}, i+1)...)
	}
	write(t, s, events...)
	f := figures(t, s, p, always)
	require.Len(t, f.Intents, 12)
	require.Len(t, f.TopIntents, 10)
	require.Equal(t, "intent_11", f.TopIntents[0])
	require.Equal(t, "intent_02", f.TopIntents[9])
}

func otherKinds(t *testing.T, s analytics.Store) {
	p := newProduct()
	var events []schemas.Event
	for _, kind := range []schemas.EventKind{schemas.EventToolCall, schemas.EventPage, schemas.EventCrawl} {
		e := turn(p, "pricing", 0)
		e.Kind = kind
		events = append(events, e)
	}
	m := message(p, "a", 0)
	m.Intent = "pricing"
	write(t, s, append(events, m)...)
	want := zeros()
	want.Conversations, want.MessagesTotal, want.AvgMessagesPerConversation = 1, 1, 1
	require.Equal(t, want, figures(t, s, p, always))
}

func periodIsHalfOpen(t *testing.T, s analytics.Store) {
	p := newProduct()
	write(t, s, message(p, "a", 0), message(p, "b", time.Minute), message(p, "c", 2*time.Minute))
	at := func(d time.Duration) time.Time { return day.Add(d) }
	for _, test := range []struct {
		name   string
		period analytics.Period
		want   int
	}{
		{"no bounds", always, 3},
		{"from is included", analytics.Period{From: at(time.Minute)}, 2},
		{"to is excluded", analytics.Period{To: at(time.Minute)}, 1},
		{"both", analytics.Period{From: at(0), To: at(2 * time.Minute)}, 2},
		{"empty", analytics.Period{From: at(time.Minute), To: at(time.Minute)}, 0},
		{"backwards", analytics.Period{From: at(2 * time.Minute), To: at(0)}, 0},
		{"from is finer than events", analytics.Period{From: at(time.Minute + 1)}, 1},
		{"to is finer than events", analytics.Period{To: at(time.Minute + 1)}, 2},
		{"any zone", analytics.Period{From: at(time.Minute).In(time.FixedZone("east", 5*3600))}, 2},
	} {
		require.Equal(t, test.want, figures(t, s, p, test.period).MessagesTotal, test.name)
	}
}

func productsAreApart(t *testing.T, s analytics.Store) {
	a, b := newProduct(), newProduct()
	write(t, s, message(a, "same", 0), turn(a, "pricing", 0))
	write(t, s, message(b, "same", 10*time.Minute), message(b, "same", 12*time.Minute))
	require.Equal(t, 1, figures(t, s, a, always).MessagesTotal)
	got := figures(t, s, b, always)
	require.Equal(t, 2, got.MessagesTotal)
	require.InDelta(t, 2, got.AvgSessionLength, 1e-9)
	require.Empty(t, got.Intents)
}

func hostileProducts(t *testing.T, s analytics.Store) {
	unique := schemas.NewID("")
	ids := []string{
		unique + "../../x", unique + "/x", unique + `\x`, unique + "%2e", unique + "?mode=memory", unique + "\x00",
		unique + "é", unique + "A", unique + "a", unique + "'; DROP TABLE events; --", unique + string(make([]byte, 5000)),
	}
	for i, id := range ids {
		for range i + 1 {
			write(t, s, message(id, "a", 0))
		}
	}
	for i, id := range ids {
		require.Equal(t, i+1, figures(t, s, id, always).MessagesTotal, "%.60q", id)
	}
}
