package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"runa/analytics"
	"runa/schemas"
)

// The times that the column can hold, in milliseconds.
var (
	minAt = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	maxAt = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// Figures implements analytics.Store. Messages are counted in one query and
// intents in another; a batch that arrives between the two is in the second
// only.
func (s *Store) Figures(ctx context.Context, product string, period analytics.Period) (schemas.Figures, error) {
	asOf := s.now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	totals, err := s.totals(reading(ctx), product, period)
	if err != nil {
		return schemas.Figures{}, fmt.Errorf("analytics: figures of %s: %w", product, away(plain(err)))
	}
	return totals.Figures(asOf), nil
}

// reading lets the server stop a query whose caller has gone. The driver adds
// the context's deadline as max_execution_time.
func reading(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"cancel_http_readonly_queries_on_client_close": 1,
	}))
}

func (s *Store) totals(ctx context.Context, product string, period analytics.Period) (t analytics.Totals, err error) {
	if err := s.countMessages(ctx, product, period, &t); err != nil {
		return t, err
	}
	t.Intents, err = s.countIntents(ctx, product, period)
	return t, err
}

func (s *Store) countMessages(ctx context.Context, product string, period analytics.Period, t *analytics.Totals) error {
	var conversations, messages uint64
	var held int64
	low, high := bounds(period)
	// The first message of a conversation stands before itself: a gap of 0.
	err := s.conn.QueryRow(ctx, `
		SELECT uniqExact(conversation), count(), sum(least(ms - before, {maxGap:Int64}))
		FROM (
			SELECT
				conversation,
				toUnixTimestamp64Milli(at) AS ms,
				lagInFrame(ms, 1, ms) OVER (
					PARTITION BY conversation ORDER BY ms
					ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
				) AS before
			FROM events
			WHERE product = {product:String} AND kind = 'message'
				AND at >= fromUnixTimestamp64Milli({low:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
		)`,
		clickhouse.Named("product", product), low, high,
		clickhouse.Named("maxGap", analytics.MaxGap.Milliseconds()),
	).Scan(&conversations, &messages, &held)
	t.Conversations, t.Messages = int(conversations), int(messages)
	t.Held = time.Duration(held) * time.Millisecond
	return err
}

func (s *Store) countIntents(ctx context.Context, product string, period analytics.Period) ([]schemas.IntentShare, error) {
	low, high := bounds(period)
	rows, err := s.conn.Query(ctx, `
		SELECT intent, count()
		FROM events
		WHERE product = {product:String} AND kind = 'turn' AND intent <> ''
			AND at >= fromUnixTimestamp64Milli({low:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({high:Int64}, 'UTC')
		GROUP BY intent`,
		clickhouse.Named("product", product), low, high)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var intents []schemas.IntentShare
	for rows.Next() {
		var name string
		var count uint64
		if err := rows.Scan(&name, &count); err != nil {
			return nil, err
		}
		intents = append(intents, schemas.IntentShare{Name: name, Count: int(count)})
	}
	return intents, rows.Err()
}

// bounds are the period's, within what the column can hold.
func bounds(period analytics.Period) (low, high driver.NamedValue) {
	from, to := period.Millis()
	within := func(ms int64) int64 { return max(minAt, min(ms, maxAt)) }
	return clickhouse.Named("low", within(from)), clickhouse.Named("high", within(to))
}
