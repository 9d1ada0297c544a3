package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"runa/search"
)

// weights are those of the columns source, title, heading and text.
var weights = fmt.Sprintf("0, %d, %d, %d", search.TitleWeight, search.HeadingWeight, search.TextWeight)

// candidate is a chunk's number and its score.
type candidate struct {
	num   int64
	score float64
}

// Search implements search.Index.
func (x *Index) Search(ctx context.Context, productName string, q search.Query) ([]search.Match, error) {
	matches := []search.Match{}
	question := search.ParseQuestion(q.Text)
	if len(q.Sources) == 0 || len(question.Words) == 0 && q.Vector == nil || q.Limit < 1 {
		return matches, ctx.Err()
	}
	if err := q.Vector.Validate(); err != nil {
		return nil, wrap("search", err)
	}
	err := x.view(ctx, func(tx *sql.Tx) error {
		p, found, err := findProduct(ctx, tx, productName)
		if err != nil || !found {
			return err
		}
		filter, found, err := sourceFilter(ctx, tx, p, q.Sources)
		if err != nil || !found {
			return err
		}
		matches, err = x.rank(ctx, tx, p, question, filter, q.Limit)
		if err != nil || q.Vector == nil {
			return err
		}
		dense, err := nearest(ctx, tx, p, q.Vector, filter, max(search.MinCandidates, 2*q.Limit))
		matches = search.Fuse(matches, dense)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search/sqlite: search: %w", err)
	}
	return search.Best(matches, q.Limit), nil
}

// sourceFilter returns the numbers of the sources to look in, nil when these
// are all that the product has, and false when there is none.
func sourceFilter(ctx context.Context, tx *sql.Tx, p product, names []string) ([]int64, bool, error) {
	have, err := productSources(ctx, tx, p)
	if err != nil {
		return nil, false, err
	}
	var nums []int64
	for _, name := range names {
		if num, ok := have[name]; ok {
			nums = append(nums, num)
		}
	}
	slices.Sort(nums)
	nums = slices.Compact(nums)
	if len(nums) == len(have) {
		return nil, len(nums) > 0, nil
	}
	return nums, len(nums) > 0, nil
}

// rank returns the best chunks: by single words, then rescored.
func (x *Index) rank(ctx context.Context, tx *sql.Tx, p product, question search.Question, filter []int64, limit int) ([]search.Match, error) {
	if len(question.Words) == 0 {
		return nil, nil
	}
	kept, pruned, err := x.prune(ctx, tx, p, question.Words)
	if err != nil {
		return nil, err
	}
	best, err := candidates(ctx, tx, p, match(kept, filter), limit)
	if err != nil {
		return nil, err
	}
	matches, err := load(ctx, tx, p, best)
	if err != nil {
		return nil, err
	}
	search.Rescore(matches, question, pruned)
	return matches, nil
}

// candidates returns the best chunks by BM25, at least limit if there are so
// many. When the last ones tie with the limit-th, it looks further, so that
// ties can be ordered by chunk id.
func candidates(ctx context.Context, tx *sql.Tx, p product, expr string, limit int) ([]candidate, error) {
	for want := max(search.MinCandidates, 2*limit); ; want *= 4 {
		list, err := queryScores(ctx, tx, fmt.Sprintf(`
			SELECT rowid, -bm25(%[1]s, %[2]s) AS score FROM %[1]s
			WHERE %[1]s MATCH ? ORDER BY score DESC LIMIT ?`, p.table(), weights), expr, want)
		if err != nil {
			return nil, err
		}
		if len(list) < want || list[want-1].score < list[limit-1].score {
			return list, nil
		}
	}
}

func queryScores(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]candidate, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []candidate
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.num, &c.score); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// load reads the chunks of the candidates.
func load(ctx context.Context, tx *sql.Tx, p product, best []candidate) ([]search.Match, error) {
	matches := make([]search.Match, 0, len(best))
	for _, c := range best {
		m := search.Match{Score: c.score}
		err := tx.QueryRowContext(ctx, `
			SELECT c.id, s.name, c.document, c.version, c.n, c.url, c.title, c.heading, c.text
			FROM chunks c JOIN sources s ON s.num = c.source
			WHERE c.num = ? AND c.product = ?`, c.num, p).
			Scan(&m.ID, &m.SourceID, &m.DocumentID, &m.Version, &m.N, &m.URL, &m.Title, &m.Heading, &m.Text)
		if err != nil {
			return nil, err
		}
		matches = append(matches, m)
	}
	return matches, nil
}
