package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"runa/analytics"
	"runa/schemas"
)

// Write implements analytics.Store. A batch is one insert with the batch's id
// as deduplication token, and one block, which the server splits by month. It
// marks and commits each of these parts for itself: a batch that was cut
// half way is completed by its repetition, and until then a reader may see some
// months of it.
//
// A plain table has one gap: a server that is killed between its note of a part
// and the part's appearance, two neighbouring steps, loses that part, and a
// repetition does not bring it back. Replicated tables have none.
//
// The server forgets tokens beyond the last 10,000 parts of batches. No batch
// comes back that late: only the open batch of the outbox is ever repeated, the
// next is opened when this one is acknowledged, and a request that was lost on
// the way ends with its deadline.
func (s *Store) Write(ctx context.Context, batch analytics.Batch) error {
	if batch.ID == "" {
		return errors.New("analytics: a batch needs an id")
	}
	if len(batch.Events) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.insert(inserting(ctx, batch.ID), inOrder(batch.Events)); err != nil {
		return fmt.Errorf("analytics: write batch %s: %w", batch.ID, plain(err))
	}
	return nil
}

func (s *Store) insert(ctx context.Context, events []schemas.Event) error {
	rows, err := s.conn.PrepareBatch(ctx, `
		INSERT INTO events (
			id, product, kind, at, conversation, turn, subject, outcome, intent, model,
			answered, degraded, duration_ms, model_calls, input_tokens, output_tokens, size
		)`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // after Send it does nothing
	for _, e := range events {
		err := rows.Append(
			e.ID, e.Product, string(e.Kind), time.UnixMilli(e.At), e.Conversation, e.Turn, e.Subject, e.Outcome, e.Intent, e.Model,
			e.Answered, e.Degraded, e.DurationMs, e.ModelCalls, e.InputTokens, e.OutputTokens, e.Size)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
	}
	return rows.Send()
}

// inserting sets what makes an insert count once. All of it is said, because
// defaults differ between versions of the server.
func inserting(ctx context.Context, token string) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplicate":                                 1,
		"insert_deduplication_token":                         token,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		// The answer comes when the rows are stored, and the server mixes no
		// other insert into their block.
		"async_insert": 0,
		// A batch of very old events would be refused for ever.
		"max_partitions_per_insert_block": 0,
	}))
}

// inOrder makes the server split a repeated batch as it did before: some
// versions number the parts in the order in which their rows come.
func inOrder(events []schemas.Event) []schemas.Event {
	return slices.SortedFunc(slices.Values(events), func(a, b schemas.Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
	})
}
