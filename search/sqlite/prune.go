package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
)

const (
	// pruneFrom is the number of chunks from which frequent words cost more
	// time than they are worth: below it all postings are read in some
	// milliseconds.
	pruneFrom = 20_000
	// pruneShare is the share of the chunks above which a word is frequent.
	// On Cranfield, pruned from the first chunk, it costs .0006 of nDCG@10.
	pruneShare = 0.1
	// pruneKeep is how many words stay, the rarest, however frequent they are.
	pruneKeep = 2
)

// prune splits the words of a question to a large index into those that are
// searched and those that are not, with what one find of these is worth. FTS5
// reads and scores every posting of every word, and the words that many chunks
// have decide the least; rescore adds them to the best.
func (x *Index) prune(ctx context.Context, tx *sql.Tx, p product, words []string) (kept []string, pruned map[string]float64, err error) {
	if len(words) <= pruneKeep {
		return words, nil, nil
	}
	var chunks float64
	err = tx.QueryRowContext(ctx, `SELECT chunks FROM products WHERE num = ?`, p).Scan(&chunks)
	if err != nil || chunks < x.pruneFrom {
		return words, nil, err
	}
	list, err := countWords(ctx, tx, p, words)
	if err != nil {
		return nil, nil, err
	}
	pruned = map[string]float64{}
	for i, c := range list {
		if i < pruneKeep || c.chunks <= pruneShare*chunks {
			kept = append(kept, c.word)
			continue
		}
		pruned[c.word] = max(0, math.Log((chunks-c.chunks+0.5)/(c.chunks+0.5)))
	}
	return kept, pruned, nil
}

// counted is a word and how many chunks have it.
type counted struct {
	word   string
	chunks float64
}

// countWords counts the words and returns them, the rarest first.
func countWords(ctx context.Context, tx *sql.Tx, p product, words []string) ([]counted, error) {
	list := make([]counted, len(words))
	for i, w := range words {
		list[i].word = w
		err := tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT doc FROM %s WHERE term = ?`, p.vocab()), w).Scan(&list[i].chunks)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b counted) int { return cmp.Compare(a.chunks, b.chunks) })
	return list, nil
}
