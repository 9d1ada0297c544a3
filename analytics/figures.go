package analytics

import (
	"cmp"
	"math"
	"slices"
	"time"

	"runa/schemas"
)

const (
	// MaxGap is the most that the pause between two messages adds to the
	// length of a session: a user who comes back after a week did not sit
	// there for a week.
	MaxGap = 30 * time.Minute
	// MaxTopIntents bounds Figures.TopIntents.
	MaxTopIntents = 10
)

// Totals are the whole numbers that a backend counts. Figures are made of them
// here and nowhere else, so that backends agree to the last digit.
type Totals struct {
	Conversations int
	Messages      int
	// Held is the sum over conversations of the time from the first to the
	// last message, each gap counted as at most MaxGap.
	Held time.Duration
	// Intents are the counts by intent, in any order; Share is ignored.
	Intents []schemas.IntentShare
}

// Figures rounds, orders and names the totals.
func (t Totals) Figures(asOf time.Time) schemas.Figures {
	intents := t.shares()
	top := make([]string, 0, MaxTopIntents)
	for _, intent := range intents[:min(len(intents), MaxTopIntents)] {
		top = append(top, intent.Name)
	}
	return schemas.Figures{
		Conversations:              t.Conversations,
		MessagesTotal:              t.Messages,
		AvgSessionLength:           ratio(t.Held.Milliseconds(), time.Minute.Milliseconds()*int64(t.Conversations), 1),
		TopIntents:                 top,
		AvgMessagesPerConversation: ratio(int64(t.Messages), int64(t.Conversations), 2),
		Intents:                    intents,
		AsOf:                       schemas.Time(asOf),
	}
}

// shares returns the intents, the most frequent first and equals by name.
func (t Totals) shares() []schemas.IntentShare {
	var total int64
	for _, intent := range t.Intents {
		total += int64(intent.Count)
	}
	shares := make([]schemas.IntentShare, 0, len(t.Intents))
	for _, intent := range t.Intents {
		intent.Share = ratio(int64(intent.Count), total, 4)
		shares = append(shares, intent)
	}
	slices.SortFunc(shares, func(a, b schemas.IntentShare) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return shares
}

// ratio is a/b with the given number of decimals, halves away from zero; it is
// 0 when there is nothing to divide by.
func ratio(a, b int64, decimals int) float64 {
	if b == 0 {
		return 0
	}
	scale := math.Pow10(decimals)
	return math.Round(float64(a)*scale/float64(b)) / scale
}

// Millis returns the period as the range low <= Event.At < high. Bounds finer
// than a millisecond are rounded up, which changes no answer because events
// stand on whole milliseconds.
func (p Period) Millis() (low, high int64) {
	low, high = math.MinInt64, math.MaxInt64
	if !p.From.IsZero() {
		low = ceilMillis(p.From)
	}
	if !p.To.IsZero() {
		high = ceilMillis(p.To)
	}
	return low, high
}

func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}
