package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

const (
	// pruneFrom is the number of chunks from which frequent words cost more
	// time than they are worth: below it every posting is read in a few
	// milliseconds.
	pruneFrom = 20_000_000
	// pruneShare is the share of the chunks above which a word is frequent.
	pruneShare = 0.1
	// pruneKeep is how many words stay, the rarest, however frequent they are.
	pruneKeep = 2
)

// prune leaves the most frequent words out of a question to a large index:
// FTS5 reads and scores every posting of every word, and the words that most
// chunks have decide the least.
func prune(ctx context.Context, tx *sql.Tx, p product, words []string) ([]string, error) {
	if len(words) <= pruneKeep {
		return words, nil
	}
	var chunks int
	err := tx.QueryRowContext(ctx, `SELECT chunks FROM products WHERE num = ?`, p).Scan(&chunks)
	if err != nil || chunks < pruneFrom {
		return words, err
	}
	return pruneTo(ctx, tx, p, words, int(pruneShare*float64(chunks)))
}

// pruneTo keeps the words that at most limit chunks have, and the pruneKeep
// rarest in any case.
func pruneTo(ctx context.Context, tx *sql.Tx, p product, words []string, limit int) ([]string, error) {
	type counted struct {
		word string
		docs int
	}
	list := make([]counted, len(words))
	for i, w := range words {
		list[i].word = w
		//nolint:gosec // the table's name is made of a number of ours
		err := tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT doc FROM %s WHERE term = ?`, p.vocab()), w).Scan(&list[i].docs)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b counted) int { return a.docs - b.docs })
	var kept []string
	for i, c := range list {
		if i < pruneKeep || c.docs <= limit {
			kept = append(kept, c.word)
		}
	}
	return kept, nil
}
