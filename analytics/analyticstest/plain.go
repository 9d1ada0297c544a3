package analyticstest

import (
	"cmp"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"runa/analytics"
	"runa/schemas"
)

// figuresEqualPlainCount writes random events in two batches, one of them
// twice, and compares random periods with a count in plain Go.
func figuresEqualPlainCount(t *testing.T, s analytics.Store) {
	rapid.Check(t, func(t *rapid.T) {
		product := newProduct()
		events := rapid.SliceOfN(eventOf(product), 0, 30).Draw(t, "events")
		n := rapid.IntRange(0, len(events)).Draw(t, "in the first batch")
		first, second := newBatch(events[:n]...), newBatch(events[n:]...)
		for _, batch := range []analytics.Batch{first, second, first} {
			require.NoError(t, s.Write(t.Context(), batch))
		}
		for range 3 {
			period := analytics.Period{From: bound(t, "from"), To: bound(t, "to")}
			require.Equal(t, plainFigures(events, period), figures(t, s, product, period))
		}
	})
}

// someTime falls on few distinct moments, so that gaps of exactly 30 minutes,
// equal times and events on a bound are common.
var someTime = rapid.Custom(func(t *rapid.T) time.Time {
	const half = 30 * time.Minute
	steps := rapid.IntRange(0, 6).Draw(t, "half hours")
	offset := rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, -time.Millisecond, 7 * time.Second, 3 * time.Minute}).Draw(t, "offset")
	return day.Add(time.Duration(steps)*half + offset)
})

func bound(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" unbounded") {
		return time.Time{}
	}
	return someTime.Draw(t, label)
}

func eventOf(product string) *rapid.Generator[schemas.Event] {
	return rapid.Custom(func(t *rapid.T) schemas.Event {
		return schemas.Event{
			ID:           schemas.NewID("ev_"),
			Product:      product,
			Kind:         rapid.SampledFrom([]schemas.EventKind{schemas.EventMessage, schemas.EventMessage, schemas.EventTurn, schemas.EventPage}).Draw(t, "kind"),
			At:           schemas.Millis(someTime.Draw(t, "at")),
			Conversation: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "conversation"),
			Intent:       rapid.SampledFrom([]string{"", "pricing", "export_data", "other"}).Draw(t, "intent"),
			Answered:     rapid.Bool().Draw(t, "answered"),
		}
	})
}

// plainFigures is what Figures should be, counted in the plainest way and
// rounded by exact fractions.
func plainFigures(events []schemas.Event, period analytics.Period) schemas.Figures {
	times := make(map[string][]int64)
	counts := make(map[string]int)
	turns := 0
	f := zeros()
	for _, e := range events {
		at := schemas.FromMillis(e.At)
		if !period.From.IsZero() && at.Before(period.From) || !period.To.IsZero() && !at.Before(period.To) {
			continue
		}
		switch {
		case e.Kind == schemas.EventMessage:
			times[e.Conversation] = append(times[e.Conversation], e.At)
			f.MessagesTotal++
		case e.Kind == schemas.EventTurn && e.Intent != "":
			counts[e.Intent]++
			turns++
		}
	}
	f.Conversations = len(times)
	f.AvgSessionLength = fraction(plainHeld(times), 60_000*int64(len(times)), 1)
	f.AvgMessagesPerConversation = fraction(int64(f.MessagesTotal), int64(len(times)), 2)
	for name, count := range counts {
		f.Intents = append(f.Intents, schemas.IntentShare{Name: name, Count: count, Share: fraction(int64(count), int64(turns), 4)})
	}
	slices.SortFunc(f.Intents, func(a, b schemas.IntentShare) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Name, b.Name))
	})
	for _, intent := range f.Intents {
		f.TopIntents = append(f.TopIntents, intent.Name)
	}
	return f
}

// plainHeld sums the gaps within conversations, in milliseconds.
func plainHeld(times map[string][]int64) (held int64) {
	for _, at := range times {
		slices.Sort(at)
		for i := 1; i < len(at); i++ {
			held += min(at[i]-at[i-1], 30*60_000)
		}
	}
	return held
}

// fraction is a/b rounded to decimals, halves away from zero.
func fraction(a, b int64, decimals int) float64 {
	if b == 0 {
		return 0
	}
	rounded, _ := new(big.Rat).SetString(big.NewRat(a, b).FloatString(decimals))
	value, _ := rounded.Float64()
	return value
}
