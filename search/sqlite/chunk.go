package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"runa/schemas"
	"runa/search"
)

// deleteBatch is how many chunks one transaction deletes: a source of 200,000
// does not keep the writer from others for long.
const deleteBatch = 1000

// Put implements search.Index. All chunks are written in one transaction.
func (x *Index) Put(ctx context.Context, productName string, chunks []search.Entry) error {
	if len(chunks) == 0 {
		return ctx.Err()
	}
	if err := search.ValidateEntries(chunks); err != nil {
		return wrap("put", err)
	}
	err := x.update(ctx, func(tx *sql.Tx) error {
		p, err := ensureProduct(ctx, tx, productName)
		if err != nil {
			return err
		}
		newest, err := newestRebuild(ctx, tx)
		if err != nil {
			return err
		}
		for i := range chunks {
			if err := putChunk(ctx, tx, p, newest.generation, &chunks[i]); err != nil {
				return fmt.Errorf("chunk %s: %w", chunks[i].ID, err)
			}
		}
		return nil
	})
	return wrap("put", err)
}

// putChunk writes a chunk unless it is there already as it is: an index that
// is filled again by a repeated activity does no work.
func putChunk(ctx context.Context, tx *sql.Tx, p product, generation int64, c *search.Entry) error {
	have, err := storedChunk(ctx, tx, p, c.ID)
	if err != nil {
		return err
	}
	if have.generation == generation && have.Chunk == c.Chunk {
		same, err := sameVector(ctx, tx, have.num, c.Vector)
		if err != nil || same {
			return err
		}
	}
	return replaceChunk(ctx, tx, p, generation, have.num, c)
}

// replaceChunk writes a chunk in the place of the one of that number; 0 is
// none.
func replaceChunk(ctx context.Context, tx *sql.Tx, p product, generation, num int64, c *search.Entry) error {
	source, err := ensureSource(ctx, tx, p, c.SourceID)
	if err != nil {
		return err
	}
	if num != 0 {
		if err := deleteChunk(ctx, tx, p, num); err != nil {
			return err
		}
	}
	err = tx.QueryRowContext(ctx, `
		INSERT INTO chunks (product, source, version, n, id, document, url, title, heading, text, generation)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num`,
		p, source, c.Version, c.N, c.ID, c.DocumentID, c.URL, c.Title, c.Heading, c.Text, generation).Scan(&num)
	if err != nil {
		return err
	}
	if c.Vector != nil {
		if err := putVector(ctx, tx, p, source, num, c.Vector); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`
		INSERT INTO %s (rowid, source, title, heading, text) VALUES (?, ?, ?, ?, ?)`, p.table()),
		num, sourceWord(source), indexText(c.Title), indexText(c.Heading), indexText(c.Text))
	return err
}

// stored is a chunk as it is in the file; its num is 0 when it is not.
type stored struct {
	schemas.Chunk
	num, generation int64
}

func storedChunk(ctx context.Context, tx *sql.Tx, p product, id string) (have stored, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT c.num, c.generation, c.id, s.name, c.document, c.version, c.n, c.url, c.title, c.heading, c.text
		FROM chunks c JOIN sources s ON s.num = c.source
		WHERE c.product = ? AND c.id = ?`, p, id).
		Scan(&have.num, &have.generation, &have.ID, &have.SourceID, &have.DocumentID, &have.Version, &have.N,
			&have.URL, &have.Title, &have.Heading, &have.Text)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return have, err
}

// indexText prepares a field for the full-text table: words joined by spaces,
// so that FTS5 sees nothing but letters and digits.
func indexText(s string) string { return strings.Join(search.Words(s), " ") }

func deleteChunk(ctx context.Context, tx *sql.Tx, p product, num int64) error {
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %s WHERE rowid = ?`, p.table()), num); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM chunks WHERE num = ? AND product = ?`, num, p)
	return err
}

// Delete implements search.Index. It works in batches; one that fails leaves
// the rest for the call to be repeated.
func (x *Index) Delete(ctx context.Context, productName string, which search.Selection) error {
	for {
		var n int
		err := x.update(ctx, func(tx *sql.Tx) error {
			var err error
			n, err = deleteSome(ctx, tx, productName, which)
			return err
		})
		if err != nil {
			return fmt.Errorf("search/sqlite: delete: %w", err)
		}
		if n < deleteBatch {
			return nil
		}
	}
}

func deleteSome(ctx context.Context, tx *sql.Tx, productName string, which search.Selection) (int, error) {
	p, found, err := findProduct(ctx, tx, productName)
	if err != nil || !found {
		return 0, err
	}
	nums, err := selectChunks(ctx, tx, p, which)
	if err != nil {
		return 0, err
	}
	for _, num := range nums {
		if err := deleteChunk(ctx, tx, p, num); err != nil {
			return 0, err
		}
	}
	_, err = tx.ExecContext(ctx, `
		DELETE FROM sources WHERE product = ? AND name = ?
		AND NOT EXISTS (SELECT 1 FROM chunks WHERE chunks.product = sources.product AND chunks.source = sources.num)`,
		p, which.Source)
	return len(nums), err
}

// selectChunks returns at most deleteBatch numbers of chunks that match.
func selectChunks(ctx context.Context, tx *sql.Tx, p product, which search.Selection) ([]int64, error) {
	where, args := matching(p, which)
	rows, err := tx.QueryContext(ctx, `SELECT c.num`+where+` LIMIT ?`, append(args, deleteBatch)...) //nolint:gosec // where is one of two constants
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var nums []int64
	for rows.Next() {
		var num int64
		if err := rows.Scan(&num); err != nil {
			return nil, err
		}
		nums = append(nums, num)
	}
	return nums, rows.Err()
}

// Count implements search.Index.
func (x *Index) Count(ctx context.Context, productName string, which search.Selection) (int, error) {
	var n int
	err := x.view(ctx, func(tx *sql.Tx) error {
		p, found, err := findProduct(ctx, tx, productName)
		if err != nil || !found {
			return err
		}
		where, args := matching(p, which)
		return tx.QueryRowContext(ctx, `SELECT count(*)`+where, args...).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("search/sqlite: count: %w", err)
	}
	return n, nil
}

// matching is the end of a statement over the chunks c of a selection.
func matching(p product, which search.Selection) (where string, args []any) {
	where = ` FROM chunks c JOIN sources s ON s.num = c.source
		WHERE c.product = ? AND s.product = c.product AND s.name = ?`
	args = []any{p, which.Source}
	if which.Document != "" {
		where += ` AND c.document = ?`
		args = append(args, which.Document)
	}
	if which.Version != 0 {
		where += ` AND c.version = ?`
		args = append(args, which.Version)
	}
	if which.KeepVersion != 0 {
		where += ` AND c.version <> ?`
		args = append(args, which.KeepVersion)
	}
	return where, args
}
