package activities

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"runa/crawl"
	"runa/schemas"
	"runa/store"
)

// SourceKey names a run of a source.
type SourceKey struct {
	Product string `json:"product"`
	Source  string `json:"source"`
	Run     int64  `json:"run"`
}

const (
	// robotsBudget is how long a crawl waits for a robots.txt that its host
	// cannot give before it fails; until then nothing of the host is fetched.
	robotsBudget = 10 * time.Minute
	robotsPause  = 20 * time.Second
)

// Discover reads robots.txt and puts the seeds of a run into the frontier.
// Run again, it adds what is missing.
func (a *Activities) Discover(ctx context.Context, in SourceKey) error {
	defer heartbeat(ctx)()
	err := a.discover(ctx, in)
	if stop := interrupted(ctx); err != nil && stop != nil {
		return stop
	}
	return engineError(err)
}

func (a *Activities) discover(ctx context.Context, in SourceKey) error {
	source, err := a.config.Store.Source(ctx, in.Product, in.Source)
	if err != nil {
		return err
	}
	robots, err := a.readRobots(ctx, source.URL)
	if err != nil {
		return err
	}
	seeds := []string{source.URL}
	if !robots.Unavailable() {
		if seeds, err = a.config.Fetcher.Discover(ctx, source.URL, robots, source.Crawl.Pages()); err != nil {
			return err
		}
	}
	pages := make([]store.NewPage, len(seeds))
	for i, seed := range seeds {
		pages[i] = store.NewPage{URL: seed, PathKey: crawl.PathKey(seed)}
	}
	return a.config.Store.AddPages(ctx, in.Product, in.Source, in.Run, pages, limitsOf(source))
}

// readRobots asks the host for robots.txt until it answers or the budget is
// spent, and keeps the answer for the batches. An answer of "unavailable" that
// stays is kept too: nothing may be fetched then.
func (a *Activities) readRobots(ctx context.Context, site string) (crawl.Robots, error) {
	for began := time.Now(); ; {
		status, body, err := a.config.Fetcher.FetchRobots(ctx, site)
		if ctx.Err() != nil {
			return crawl.Robots{}, ctx.Err()
		}
		robots := crawl.ParseRobots(status, body)
		refused := err != nil && status == 0 // no host there, or one that may not be reached
		if !robots.Unavailable() || refused || time.Since(began) > robotsBudget {
			return robots, a.config.Store.SaveRobots(ctx, hostOf(site), status, body)
		}
		a.config.Log.Info("robots.txt is not available, waiting", "host", hostOf(site), "status", status)
		if err := sleep(ctx, robotsPause); err != nil {
			return crawl.Robots{}, err
		}
	}
}

// FetchBatchInput names a batch of a run.
type FetchBatchInput struct {
	SourceKey
	Batch int64 `json:"batch"`
}

// FetchBatchResult says how the run goes on.
type FetchBatchResult struct {
	// Done is set when no page is left to fetch.
	Done bool `json:"done"`
	// Wait is how long nothing can be fetched.
	Wait time.Duration `json:"wait"`
}

const (
	// batchPages is small, so that a crawl of any size shares its slots and a
	// cut costs little.
	batchPages = 10
	// batchTime bounds a batch's work.
	batchTime = time.Minute
	// leaseTime outlasts the batch, so that no other one fetches its pages.
	leaseTime = batchTime + 30*time.Second
	// batchParallel is the number of requests of a batch at a time.
	batchParallel = 2
)

// FetchBatch fetches, indexes and records some pages of a run. A second run of
// the same batch takes its own pages again; a page that was indexed and not
// recorded is indexed anew under the next version.
func (a *Activities) FetchBatch(ctx context.Context, in FetchBatchInput) (FetchBatchResult, error) {
	defer heartbeat(ctx)()
	result, err := a.fetchBatch(ctx, in)
	if stop := interrupted(ctx); err != nil && stop != nil {
		return FetchBatchResult{}, stop
	}
	return result, engineError(err)
}

func (a *Activities) fetchBatch(ctx context.Context, in FetchBatchInput) (FetchBatchResult, error) {
	b, err := a.newBatch(ctx, in)
	if err != nil {
		return FetchBatchResult{}, err
	}
	owner := fmt.Sprintf("%d/%d", in.Run, in.Batch)
	leases, err := a.config.Store.LeasePages(ctx, in.Product, in.Source, in.Run, owner, batchPages, b.deadline.Add(leaseTime-batchTime))
	if err != nil {
		return FetchBatchResult{}, err
	}
	if err := b.fetchAll(ctx, leases); err != nil {
		return FetchBatchResult{}, err
	}
	left, err := a.config.Store.Frontier(ctx, in.Product, in.Source)
	if err != nil {
		return FetchBatchResult{}, err
	}
	return FetchBatchResult{
		Done: left.Pending+left.Leased == 0,
		Wait: max(0, time.Until(left.Next)),
	}, nil
}

// FinishCrawlInput is how a run ends.
type FinishCrawlInput struct {
	SourceKey
	// Failure is why the run came to nothing; "" leaves it to the pages.
	Failure string `json:"failure,omitempty"`
}

// FinishCrawl tidies the index and says what the run came to: ready if any
// page answers, else failed with the reason of the source's own page. Run again, it
// changes nothing.
func (a *Activities) FinishCrawl(ctx context.Context, in FinishCrawlInput) error {
	defer heartbeat(ctx)()
	if err := a.tidyIndex(ctx, in.SourceKey); err != nil {
		return engineError(err)
	}
	source, err := a.config.Store.Source(ctx, in.Product, in.Source)
	if err != nil {
		return engineError(err)
	}
	status, reason := schemas.SourceReady, ""
	if source.Pages.Indexed == 0 {
		status, reason = schemas.SourceFailed, in.Failure
		if reason == "" {
			reason, err = a.failureOf(ctx, in.SourceKey, source)
		}
	}
	if err != nil {
		return engineError(err)
	}
	err = a.config.Store.FinishCrawl(ctx, in.Product, in.Source, in.Run, status, reason)
	a.config.Fail("crawl finished")
	if err != nil {
		return engineError(err)
	}
	a.config.Log.Info("crawl finished", "source", in.Source, "status", status, "indexed", source.Pages.Indexed, "reason", reason)
	return nil
}

// failureOf says why no page of a source was indexed, by its root page.
func (a *Activities) failureOf(ctx context.Context, in SourceKey, source schemas.Source) (string, error) {
	pages, err := a.config.Store.Pages(ctx, in.Product, in.Source, "", store.ListOptions{Limit: 100})
	if err != nil {
		return "", err
	}
	for _, p := range pages.Items {
		if p.URL == source.URL {
			return fmt.Sprintf("no page could be indexed; %s: %s %s", p.URL, p.Reason, p.Detail), nil
		}
	}
	return "no page could be indexed", nil
}

// tidyIndex removes what the records do not know: chunks of a fetch that was
// cut after indexing. It costs one count when there are none.
func (a *Activities) tidyIndex(ctx context.Context, in SourceKey) error {
	recorded, err := a.config.Store.IndexedChunks(ctx, in.Product, in.Source)
	if err != nil {
		return err
	}
	indexed, err := a.config.Index.Count(ctx, in.Product, selection(in.Source, "", 0))
	if err != nil || indexed == recorded {
		return err
	}
	documents, err := a.config.Store.Documents(ctx, in.Product, in.Source)
	if err != nil {
		return err
	}
	for _, d := range documents {
		if err := a.config.Index.Delete(ctx, in.Product, selection(in.Source, d.Document, d.Version)); err != nil {
			return err
		}
	}
	return nil
}

func limitsOf(source schemas.Source) store.FrontierLimits {
	return store.FrontierLimits{Pages: source.Crawl.Pages(), Variants: crawl.MaxVariants}
}

func hostOf(site string) string {
	u, err := url.Parse(site)
	if err != nil {
		return site
	}
	return u.Host
}
