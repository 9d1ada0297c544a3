package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"runa/crawl"
	"runa/schemas"
	"runa/search"
	"runa/store"
)

const (
	// pageTries is how often a page that fails for now is fetched in a run.
	pageTries = 4
	// pageRetry is the pause after the first failure; it doubles.
	pageRetry = 5 * time.Second
	// slotPatience is how long a batch waits for a host; a host that is booked
	// for longer gets its pages back.
	slotPatience = 20 * time.Second
)

// batch is one FetchBatch at work.
type batch struct {
	*Activities
	in     FetchBatchInput
	source schemas.Source
	scope  crawl.Scope
	robots crawl.Robots
	// unreachable is why nothing can be asked of the host, if so.
	unreachable error
	host        string
	delay       time.Duration
	deadline    time.Time
}

func (a *Activities) newBatch(ctx context.Context, in FetchBatchInput) (*batch, error) {
	source, err := a.config.Store.Source(ctx, in.Product, in.Source)
	if err != nil {
		return nil, err
	}
	scope, err := crawl.NewScope(source.URL)
	if err != nil {
		return nil, err
	}
	host := hostOf(source.URL)
	status, body, err := a.config.Store.Robots(ctx, host)
	if err != nil {
		return nil, err
	}
	var away error
	if status == 0 { // the host was not reached, perhaps it is now
		status, body, away = a.config.Fetcher.FetchRobots(ctx, source.URL)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	robots := crawl.ParseRobots(status, body)
	return &batch{
		Activities: a, in: in, source: source, scope: scope, robots: robots, unreachable: away, host: host,
		delay:    max(time.Duration(source.Crawl.Delay())*time.Millisecond, robots.CrawlDelay()),
		deadline: time.Now().Add(batchTime),
	}, nil
}

func (b *batch) fetchAll(ctx context.Context, leases []store.Lease) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchParallel)
	for _, lease := range leases {
		group.Go(func() error { return b.fetchOne(ctx, lease) })
	}
	return group.Wait()
}

// fetchOne takes a page from its lease to its record.
func (b *batch) fetchOne(ctx context.Context, lease store.Lease) error {
	if crawl.Trap(lease.URL) {
		return b.record(ctx, store.PageResult{Lease: lease, State: schemas.PageSkipped, Reason: schemas.ReasonTrap})
	}
	if b.unreachable != nil {
		return b.record(ctx, unreachable(lease, b.unreachable))
	}
	if !b.robots.Unavailable() && !b.robots.Allowed(lease.URL) {
		return b.record(ctx, store.PageResult{Lease: lease, State: schemas.PageSkipped, Reason: schemas.ReasonRobots})
	}
	ready, err := b.awaitSlot(ctx, lease)
	if err != nil || !ready {
		return err
	}
	fetched := b.config.Fetcher.Fetch(ctx, crawl.Target{
		URL: lease.URL, Scope: b.scope, Robots: b.robots, Validators: validators(lease),
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return b.take(ctx, lease, fetched)
}

// unreachable is the result of a page whose host cannot be asked, in the words
// of the failure: that robots.txt is not known is only what follows from it.
func unreachable(lease store.Lease, err error) store.PageResult {
	result := store.PageResult{Lease: lease, State: schemas.PageFailed}
	if result.Reason, result.Detail = crawl.Failure(err); result.Reason == schemas.ReasonBlocked {
		result.State = schemas.PageSkipped
	}
	return result
}

// validators are sent only when the page answers now: an unchanged page must
// have a text to keep.
func validators(lease store.Lease) crawl.Validators {
	if lease.Current == 0 {
		return crawl.Validators{}
	}
	return crawl.Validators{ETag: lease.ETag, LastModified: lease.LastModified}
}

// awaitSlot waits for the host's next free moment. A host that is booked
// beyond the batch's end gets the page put off; ready is false then.
func (b *batch) awaitSlot(ctx context.Context, lease store.Lease) (ready bool, err error) {
	patience := min(slotPatience, time.Until(b.deadline))
	at, taken, err := b.config.Store.TakeSlot(ctx, b.host, b.delay, max(0, patience))
	if err != nil {
		return false, err
	}
	if !taken {
		return false, b.record(ctx, store.PageResult{Lease: lease, RetryAt: at})
	}
	return true, sleep(ctx, time.Until(at))
}

// take decides what a fetched page is to the source.
func (b *batch) take(ctx context.Context, lease store.Lease, p crawl.Page) error {
	result := store.PageResult{Lease: lease, State: schemas.PageSkipped, Reason: p.Reason, Detail: p.Detail, Title: p.Title}
	if p.RetryAfter > 0 {
		if err := b.config.Store.HoldHost(ctx, b.host, time.Now().Add(p.RetryAfter)); err != nil {
			return err
		}
	}
	if p.Transient && lease.Tries+1 < pageTries {
		result.RetryAt = time.Now().Add(max(p.RetryAfter, pageRetry<<lease.Tries))
		return b.record(ctx, result)
	}
	result.Links = b.links(lease, p)
	switch {
	case p.Reason == schemas.ReasonStatus || p.Reason == schemas.ReasonNetwork:
		result.State = schemas.PageFailed
	case p.Reason == schemas.ReasonUnchanged:
		result.State = schemas.PageIndexed
	case p.Reason != schemas.ReasonIndexed:
	case p.FinalURL != lease.URL:
		return b.elsewhere(ctx, result, p.FinalURL, "redirects to ")
	case p.CanonicalURL != "" && p.CanonicalURL != lease.URL && b.scope.Contains(p.CanonicalURL):
		return b.elsewhere(ctx, result, p.CanonicalURL, "is the same page as ")
	default:
		return b.index(ctx, result, p)
	}
	return b.record(ctx, result)
}

// elsewhere records a page whose text has another URL, which is fetched in its
// own right.
func (b *batch) elsewhere(ctx context.Context, result store.PageResult, target, verb string) error {
	result.Reason, result.Detail = schemas.ReasonDuplicate, verb+target
	result.Links = append([]store.NewPage{{URL: target, PathKey: crawl.PathKey(target), Depth: result.Depth}}, result.Links...)
	return b.record(ctx, result)
}

// links are what a page adds to the frontier: nothing of other sites, and
// nothing deeper than the crawl may go.
func (b *batch) links(lease store.Lease, p crawl.Page) []store.NewPage {
	var links []store.NewPage
	for _, link := range p.Links {
		if !b.scope.Contains(link) {
			continue
		}
		page := store.NewPage{URL: link, PathKey: crawl.PathKey(link), Depth: lease.Depth + 1}
		if page.Depth > b.source.Crawl.Depth() {
			page.Reason = schemas.ReasonLimit
		}
		links = append(links, page)
	}
	return links
}

// index writes a page's passages, then records the version that they are of,
// then removes those of the version before: at each moment the records name a
// version that is whole.
func (b *batch) index(ctx context.Context, result store.PageResult, p crawl.Page) error {
	twin, err := b.config.Store.HasTwin(ctx, b.in.Product, b.in.Source, result.ID, p.Hash)
	if err != nil {
		return err
	}
	if twin {
		result.Reason = schemas.ReasonDuplicate
		return b.record(ctx, result)
	}
	version := store.DocumentRef{Source: b.in.Source, Document: result.ID, Version: result.Version}
	chunks := passages(version, result.URL, p.Title, p.Markdown)
	// The lease outlasts this deadline, so a purge that waits for the lease
	// finds all that was written.
	bounded, cancel := context.WithDeadline(ctx, b.deadline)
	defer cancel()
	if err := b.config.Index.Put(bounded, b.in.Product, chunks); err != nil {
		return fmt.Errorf("index page: %w", err)
	}
	b.config.Fail("page indexed")
	result.State, result.Reason, result.Chunks, result.Markdown = schemas.PageIndexed, schemas.ReasonIndexed, len(chunks), p.Markdown
	result.NewETag, result.NewLastModified, result.NewHash = p.ETag, p.LastModified, p.Hash
	return b.record(ctx, result)
}

// passages are the chunks of a version of a page; the same text gives the same.
func passages(of store.DocumentRef, url, title, markdown string) []search.Entry {
	sections := crawl.Split(crawl.Document{Title: title, URL: url, Markdown: markdown})
	chunks := make([]search.Entry, len(sections))
	for n, s := range sections {
		chunks[n].Chunk = schemas.Chunk{
			ID: chunkID(of, n), SourceID: of.Source, DocumentID: of.Document, Version: of.Version, N: n,
			URL: s.URL, Title: title, Heading: s.Heading, Text: s.Text,
		}
	}
	return chunks
}

func chunkID(of store.DocumentRef, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%d", of.Source, of.Document, of.Version, n))
	return hex.EncodeToString(sum[:16])
}

// record writes what a page came to and removes what must not answer any more.
// A lease that was lost belongs to another batch, which writes its own.
func (b *batch) record(ctx context.Context, result store.PageResult) error {
	taken, duplicate, err := b.config.Store.RecordPage(ctx, b.in.Product, b.in.Source, b.in.Run, result, limitsOf(b.source))
	if err != nil || !taken || !result.RetryAt.IsZero() {
		return err
	}
	b.config.Observer.Page(string(settled(result.Reason, duplicate)))
	if result.Reason == schemas.ReasonUnchanged {
		return nil
	}
	b.config.Fail("page recorded")
	keep := result.Version
	if duplicate || result.State != schemas.PageIndexed {
		keep = 0
	}
	if result.Version == 1 && keep == 1 {
		return nil // the first fetch of a page has nothing before it
	}
	return b.config.Index.Delete(ctx, b.in.Product, selection(b.in.Source, result.ID, keep))
}

func selection(source, document string, keep int64) search.Selection {
	return search.Selection{Source: source, Document: document, KeepVersion: keep}
}
