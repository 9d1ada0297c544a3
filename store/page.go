package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"runa/schemas"
)

// NewPage is a URL that a crawl came upon.
type NewPage struct {
	URL     string
	PathKey string // the URL without its query
	Depth   int
	// Reason is set for a page that will not be fetched.
	Reason schemas.PageReason
}

// FrontierLimits bound what a crawl takes in.
type FrontierLimits struct {
	Pages    int // pages to be fetched
	Variants int // of the query of one path
}

// DocumentID is the id of a page's document: a function of source and URL.
func DocumentID(source, url string) string {
	sum := sha256.Sum256([]byte(source + "\n" + url))
	return "doc_" + hex.EncodeToString(sum[:16])
}

// AddPages puts pages into the frontier of a live source's run; known ones
// stay as they are. Pages that will not be fetched, those beyond the limit
// among them, are kept with their reason, up to as many again as the limit
// allows.
func (s *Store) AddPages(ctx context.Context, product, source string, run int64, pages []NewPage, limits FrontierLimits) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.mustCrawl(ctx, product, source, run); err != nil {
			return err
		}
		return t.addPages(ctx, product, source, run, pages, limits)
	})
}

// mustCrawl is Gone when the source was deleted or another run has begun.
func (t *tx) mustCrawl(ctx context.Context, product, source string, run int64) error {
	var current int64
	err := t.row(ctx, `SELECT run FROM sources WHERE product = ? AND id = ? AND deleted_at IS NULL`+t.dialect.lockRow("sources"),
		product, source).Scan(&current)
	if errors.Is(err, sql.ErrNoRows) || err == nil && current != run {
		return schemas.Errorf(schemas.Gone, "run %d of source %q is over", run, source)
	}
	return err
}

func (t *tx) addPages(ctx context.Context, product, source string, run int64, pages []NewPage, limits FrontierLimits) error {
	if len(pages) == 0 {
		return nil
	}
	var takenIn, leftOut int
	err := t.row(ctx, `SELECT taken_in, left_out FROM sources WHERE product = ? AND id = ?`, product, source).Scan(&takenIn, &leftOut)
	if err != nil {
		return err
	}
	for _, p := range pages {
		if p.Reason == "" && takenIn >= limits.Pages {
			p.Reason = schemas.ReasonLimit
		}
		count := &takenIn
		if p.Reason != "" {
			count = &leftOut
		}
		if *count >= limits.Pages {
			continue
		}
		added, err := t.addPage(ctx, product, source, run, p, limits.Variants)
		if err != nil {
			return err
		}
		*count += added
	}
	_, err = t.exec(ctx, `UPDATE sources SET taken_in = ?, left_out = ? WHERE product = ? AND id = ?`, takenIn, leftOut, product, source)
	return err
}

func (t *tx) addPage(ctx context.Context, product, source string, run int64, p NewPage, variants int) (added int, err error) {
	if p.Reason == "" && p.PathKey != p.URL {
		var same int
		err := t.row(ctx, `SELECT count(*) FROM pages WHERE product = ? AND source = ? AND path_key = ?`,
			product, source, p.PathKey).Scan(&same)
		if err != nil {
			return 0, err
		}
		if same >= variants {
			return 0, nil // a page of the same path has said what it is; the URLs may be endless
		}
	}
	state := schemas.PagePending
	if p.Reason != "" {
		state = schemas.PageSkipped
	}
	n, err := t.exec(ctx, `INSERT INTO pages (product, source, url, id, path_key, run, depth, state, reason, detail, title,
			etag, last_modified, hash, version, chunks, leases, tries, not_before, lease_owner, lease_token, lease_until)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', '', '', 0, 0, 0, 0, 0, '', '', 0)
		ON CONFLICT (product, source, url) DO NOTHING`,
		product, source, p.URL, DocumentID(source, p.URL), p.PathKey, run, p.Depth, string(state), string(p.Reason))
	return int(n), err
}

// Lease is the right to fetch a page until a time.
type Lease struct {
	URL, ID, ETag, LastModified, Hash, Token string
	Depth                                    int
	// Tries is how many fetches of this run came to nothing for now.
	Tries int
	// Version numbers what this fetch will index.
	Version int64
	// Current is the version that answers now; 0 is none.
	Current int64
}

// takeable selects what LeasePages may hand out. The pending pages come in the
// order of their index and stop at the limit, however long the frontier is (the
// + keeps SQLite from the index by time, after which it would sort them all);
// the source's row is locked, so no one else is choosing.
const takeable = `SELECT id FROM (
		SELECT id, depth, url, lease_owner FROM pages
		WHERE product = ? AND source = ? AND state = 'leased' AND (lease_until <= ? OR lease_owner = ?)
	UNION ALL
		SELECT id, depth, url, '' FROM (SELECT id, depth, url FROM pages
			WHERE product = ? AND source = ? AND state = 'pending' AND +not_before <= ?
			ORDER BY depth, url LIMIT ?) AS due
	) AS takeable ORDER BY CASE WHEN lease_owner = ? THEN 0 ELSE 1 END, depth, url LIMIT ?`

// LeasePages hands out at most n pages of a run that are due, shallow ones
// first. An owner that asks again gets its own pages back first, so a repeated
// batch goes on where it stopped.
func (s *Store) LeasePages(ctx context.Context, product, source string, run int64, owner string, n int, until time.Time) ([]Lease, error) {
	token := schemas.RandomBase62(20)
	err := s.update(ctx, func(t *tx) error {
		if err := t.mustCrawl(ctx, product, source, run); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE pages SET state = 'leased', run = ?, leases = leases + 1,
				lease_owner = ?, lease_token = ?, lease_until = ?
			WHERE product = ? AND source = ? AND id IN (`+takeable+`)`,
			run, owner, token, schemas.Millis(until), product, source,
			product, source, t.now, owner, product, source, t.now, n, owner, n)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `UPDATE sources SET touched_at = ? WHERE product = ? AND id = ?`, t.now, product, source)
		return err
	})
	if err != nil {
		return nil, err
	}
	rows, err := s.reader().query(ctx, `SELECT url, id, etag, last_modified, hash, lease_token, depth, tries, leases, version
		FROM pages WHERE product = ? AND source = ? AND state = 'leased' AND lease_token = ?
		ORDER BY depth, url`, product, source, token)
	return collect(rows, err, func(rows *sql.Rows) (l Lease, err error) {
		return l, rows.Scan(&l.URL, &l.ID, &l.ETag, &l.LastModified, &l.Hash, &l.Token, &l.Depth, &l.Tries, &l.Version, &l.Current)
	})
}

// Frontier is what is left of a run.
type Frontier struct {
	Pending, Leased int
	// Next is when the first of them can be fetched.
	Next time.Time
}

// Frontier says what is left to fetch.
func (s *Store) Frontier(ctx context.Context, product, source string) (Frontier, error) {
	var f Frontier
	var next int64
	err := s.view(ctx, func(t *tx) error {
		var due, ends sql.NullInt64
		err := t.row(ctx, `SELECT count(*), MIN(not_before) FROM pages
			WHERE product = ? AND source = ? AND state = 'pending'`, product, source).Scan(&f.Pending, &due)
		if err != nil {
			return err
		}
		err = t.row(ctx, `SELECT count(*), MIN(lease_until) FROM pages
			WHERE product = ? AND source = ? AND state = 'leased'`, product, source).Scan(&f.Leased, &ends)
		next = due.Int64
		if !due.Valid || ends.Valid && ends.Int64 < next {
			next = ends.Int64
		}
		return err
	})
	f.Next = schemas.FromMillis(next)
	return f, err
}

// PageResult is what came of a fetch.
type PageResult struct {
	Lease
	State  schemas.PageState
	Reason schemas.PageReason
	Detail string
	// For an indexed page.
	Title, NewETag, NewLastModified, NewHash, Markdown string
	Chunks                                             int
	// Links go into the frontier.
	Links []NewPage
	// RetryAt makes the page pending again until then, if it is set.
	RetryAt time.Time
}

// RecordPage writes what came of a fetch, with the links that it found, if the
// lease is still the page's; taken says whether it was. An indexed page whose
// text another page of the source has becomes a duplicate: duplicate is true
// and nothing of it answers.
func (s *Store) RecordPage(ctx context.Context, product, source string, run int64, r PageResult, limits FrontierLimits) (taken, duplicate bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		taken, duplicate = false, false
		if err := t.mustCrawl(ctx, product, source, run); err != nil {
			return err
		}
		if r.State == schemas.PageIndexed {
			if duplicate, err = t.hasTwin(ctx, product, source, r.ID, r.NewHash); err != nil {
				return err
			}
		}
		result := r
		if duplicate {
			result.State, result.Reason, result.Markdown, result.Chunks = schemas.PageSkipped, schemas.ReasonDuplicate, "", 0
		}
		if taken, err = t.savePage(ctx, product, source, result, s.now()); err != nil || !taken {
			return err
		}
		return t.addPages(ctx, product, source, run, r.Links, limits)
	})
	return taken, duplicate, err
}

// hasTwin reports whether another page that answers has the same text.
func (t *tx) hasTwin(ctx context.Context, product, source, id, hash string) (bool, error) {
	var n int
	err := t.row(ctx, `SELECT count(*) FROM pages WHERE product = ? AND source = ? AND hash = ? AND id <> ? AND version > 0`,
		product, source, hash, id).Scan(&n)
	return n > 0, err
}

// HasTwin reports whether another page of the source that answers has this
// text: then it need not be indexed.
func (s *Store) HasTwin(ctx context.Context, product, source, id, hash string) (twin bool, err error) {
	err = s.view(ctx, func(t *tx) (err error) {
		twin, err = t.hasTwin(ctx, product, source, id, hash)
		return err
	})
	return twin, err
}

func (t *tx) savePage(ctx context.Context, product, source string, r PageResult, now int64) (taken bool, err error) {
	// Who waits for the leases of a moment to end counts on no record after it.
	where := ` WHERE product = ? AND source = ? AND id = ? AND state = 'leased' AND lease_token = ? AND lease_until > ?`
	var n int64
	switch {
	case !r.RetryAt.IsZero():
		failed := 0
		if r.Reason != "" {
			failed = 1 // else the page was only put off
		}
		n, err = t.exec(ctx, `UPDATE pages SET state = 'pending', tries = tries + ?, reason = ?, detail = ?, not_before = ?, lease_token = '', lease_owner = ''`+where,
			failed, string(r.Reason), r.Detail, schemas.Millis(r.RetryAt), product, source, r.ID, r.Token, now)
		return n == 1, err
	case r.Reason == schemas.ReasonUnchanged:
		n, err = t.exec(ctx, `UPDATE pages SET state = 'indexed', reason = ?, detail = '', fetched_at = ?, lease_token = '', lease_owner = ''`+where,
			string(r.Reason), t.now, product, source, r.ID, r.Token, now)
	default:
		version := r.Version
		if r.State != schemas.PageIndexed {
			version = 0
		}
		n, err = t.exec(ctx, `UPDATE pages SET state = ?, reason = ?, detail = ?, title = ?, etag = ?, last_modified = ?, hash = ?,
				version = ?, chunks = ?, fetched_at = ?, lease_token = '', lease_owner = ''`+where,
			string(r.State), string(r.Reason), r.Detail, r.Title, r.NewETag, r.NewLastModified, r.NewHash,
			version, r.Chunks, t.now, product, source, r.ID, r.Token, now)
	}
	if err != nil || n == 0 {
		return false, err
	}
	if err := t.saveText(ctx, product, source, r); err != nil {
		return false, err
	}
	return true, t.emit(ctx, schemas.Event{
		Product: product, Kind: schemas.EventPage, Subject: source, Outcome: string(r.Reason), Size: int64(r.Chunks),
	})
}

// saveText keeps an indexed page's text, from which the index can be rebuilt.
func (t *tx) saveText(ctx context.Context, product, source string, r PageResult) error {
	var err error
	switch {
	case r.Reason == schemas.ReasonUnchanged:
	case r.State == schemas.PageIndexed:
		_, err = t.exec(ctx, `INSERT INTO blobs (product, owner, id, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (product, owner, id) DO UPDATE SET data = excluded.data`, product, source, r.ID, []byte(r.Markdown))
	default:
		_, err = t.exec(ctx, `DELETE FROM blobs WHERE product = ? AND owner = ? AND id = ?`, product, source, r.ID)
	}
	return err
}

// DocumentRef names a version of a document.
type DocumentRef struct {
	Source, Document string
	Version          int64
}

// Live reports for each version of a document whether it is the one that
// answers: its source is not deleted and no newer text took its place.
func (s *Store) Live(ctx context.Context, product string, refs []DocumentRef) ([]bool, error) {
	answers := map[DocumentRef]bool{}
	for chunk := range slices.Chunk(refs, maxPairs) {
		documents := make([]pair, len(chunk))
		for i, ref := range chunk {
			documents[i] = pair{ref.Source, ref.Document}
		}
		values, args := rowValues(documents)
		rows, err := s.reader().query(ctx, `WITH wanted (source, id) AS (VALUES `+values+`)
			SELECT p.source, p.id, p.version FROM wanted w
			JOIN pages p ON p.product = ? AND p.source = w.source AND p.id = w.id
			JOIN sources s ON s.product = p.product AND s.id = p.source
			WHERE p.version > 0 AND s.deleted_at IS NULL`, append(args, product)...)
		found, err := collect(rows, err, func(rows *sql.Rows) (ref DocumentRef, err error) {
			err = rows.Scan(&ref.Source, &ref.Document, &ref.Version)
			return ref, err
		})
		if err != nil {
			return nil, err
		}
		for _, ref := range found {
			answers[ref] = true
		}
	}
	live := make([]bool, len(refs))
	for i, ref := range refs {
		live[i] = answers[ref]
	}
	return live, nil
}

// Pages lists the pages of a source, by URL; state "" lists all.
func (s *Store) Pages(ctx context.Context, product, source string, state schemas.PageState, o ListOptions) (List[schemas.Page], error) {
	after, err := parseCursor(o.Cursor, first)
	if err != nil {
		return List[schemas.Page]{}, err
	}
	var list List[schemas.Page]
	err = s.view(ctx, func(t *tx) error {
		if _, err := t.readSource(ctx, product, source); err != nil {
			return err
		}
		rows, err := t.query(ctx, `SELECT url, title, state, reason, detail, depth, chunks, fetched_at FROM pages
			WHERE product = ? AND source = ? AND (? = '' OR state = ?) AND url > ? ORDER BY url LIMIT ?`,
			product, source, string(state), string(state), after.id, o.limit()+1)
		items, err := collect(rows, err, scanPage)
		if err != nil {
			return err
		}
		var total int
		err = t.row(ctx, `SELECT count(*) FROM pages WHERE product = ? AND source = ? AND (? = '' OR state = ?)`,
			product, source, string(state), string(state)).Scan(&total)
		list = page(items, o.limit(), total, func(p schemas.Page) place { return place{0, p.URL} })
		return err
	})
	return list, err
}

func scanPage(rows *sql.Rows) (schemas.Page, error) {
	var p schemas.Page
	var fetched sql.NullInt64
	err := rows.Scan(&p.URL, &p.Title, &p.State, &p.Reason, &p.Detail, &p.Depth, &p.Chunks, &fetched)
	p.FetchedAt = nullTime(fetched)
	return p, err
}

func (t *tx) countPages(ctx context.Context, product, source string) (schemas.PageCounts, error) {
	var counts schemas.PageCounts
	rows, err := t.query(ctx, `SELECT state, count(*) FROM pages WHERE product = ? AND source = ? GROUP BY state`, product, source)
	_, err = collect(rows, err, func(rows *sql.Rows) (struct{}, error) {
		var state schemas.PageState
		var n int
		err := rows.Scan(&state, &n)
		counts.Total += n
		switch state {
		case schemas.PagePending, schemas.PageLeased:
			counts.Pending += n
		case schemas.PageIndexed:
			counts.Indexed = n
		case schemas.PageSkipped:
			counts.Skipped = n
		case schemas.PageFailed:
			counts.Failed = n
		}
		return struct{}{}, err
	})
	return counts, err
}

// IndexedChunks counts the chunks that a source's pages have in the index by
// the records.
func (s *Store) IndexedChunks(ctx context.Context, product, source string) (n int, err error) {
	err = s.reader().row(ctx, `SELECT CAST(COALESCE(SUM(chunks), 0) AS BIGINT) FROM pages WHERE product = ? AND source = ? AND version > 0`,
		product, source).Scan(&n)
	return n, err
}

// Documents lists the version that answers of each document of a source, 0 for
// those that do not: what the index should hold.
func (s *Store) Documents(ctx context.Context, product, source string) ([]DocumentRef, error) {
	rows, err := s.reader().query(ctx, `SELECT source, id, version FROM pages
		WHERE product = ? AND source = ? AND leases > 0 ORDER BY id`, product, source)
	return collect(rows, err, func(rows *sql.Rows) (d DocumentRef, err error) {
		return d, rows.Scan(&d.Source, &d.Document, &d.Version)
	})
}
