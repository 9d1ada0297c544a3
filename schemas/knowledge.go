package schemas

import (
	"net/url"
	"strconv"
	"strings"
)

// SourceStatus says whether a source answers questions yet.
type SourceStatus string

// The states of a source. A source that is deleted has none: it is gone for
// every caller from the moment of the answer.
const (
	SourceIndexing SourceStatus = "indexing"
	SourceReady    SourceStatus = "ready"
	SourceFailed   SourceStatus = "failed"
)

// SourceURL is the type of a source that is a web site below a URL.
const SourceURL = "url"

// Limits of a crawl.
const (
	DefaultMaxPages = 1000
	MaxMaxPages     = 100_000
	DefaultMaxDepth = 10
	MaxMaxDepth     = 100
	DefaultDelayMs  = 250
	MaxDelayMs      = 60_000
	MaxURLLength    = 2048
)

// CrawlOptions bound a crawl. A nil field is its default.
type CrawlOptions struct {
	MaxPages *int `json:"maxPages,omitempty"`
	MaxDepth *int `json:"maxDepth,omitempty"`
	// DelayMs is the pause between two requests to the site's host; the pause
	// that robots.txt asks for is honoured when it is longer.
	DelayMs *int `json:"delayMs,omitempty"`
}

// Pages is the number of pages at which the crawl stops.
func (o CrawlOptions) Pages() int { return or(o.MaxPages, DefaultMaxPages) }

// Depth is the number of links from the start that the crawl follows.
func (o CrawlOptions) Depth() int { return or(o.MaxDepth, DefaultMaxDepth) }

// Delay is the pause between two requests to a host, in milliseconds.
func (o CrawlOptions) Delay() int { return or(o.DelayMs, DefaultDelayMs) }

func or(v *int, fallback int) int {
	if v == nil {
		return fallback
	}
	return *v
}

func (o CrawlOptions) validate() error {
	for _, f := range []struct {
		name      string
		value     *int
		low, high int
	}{
		{"crawl.maxPages", o.MaxPages, 1, MaxMaxPages},
		{"crawl.maxDepth", o.MaxDepth, 0, MaxMaxDepth},
		{"crawl.delayMs", o.DelayMs, 0, MaxDelayMs},
	} {
		if f.value != nil && (*f.value < f.low || *f.value > f.high) {
			return Invalid(f.name, "%s must be %s to %s", f.name, strconv.Itoa(f.low), strconv.Itoa(f.high))
		}
	}
	return nil
}

// SourceSpec is the body of POST /v1/knowledge.
type SourceSpec struct {
	Type  string       `json:"type"`
	URL   string       `json:"url"`
	Name  string       `json:"name"`
	Crawl CrawlOptions `json:"crawl"`
}

// Validate refuses what cannot be crawled. Whether the address may be reached
// is decided when it is dialled.
func (s *SourceSpec) Validate() error {
	if s.Type != SourceURL {
		return Invalid("type", `type must be "url"`)
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || !validPort(u):
		return Invalid("url", "url must be an http or https URL")
	case u.User != nil:
		return Invalid("url", "url must not hold a user or password")
	case len(s.URL) > MaxURLLength:
		return Invalid("url", "url must be at most %d characters", MaxURLLength)
	case len(s.Name) > 200 || !validText(s.Name):
		return Invalid("name", "name must be at most 200 bytes of UTF-8")
	}
	return s.Crawl.validate()
}

// Source is a knowledge source as the API shows it.
type Source struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Type      string       `json:"type"`
	URL       string       `json:"url"`
	Status    SourceStatus `json:"status"`
	Reason    string       `json:"reason,omitempty"`
	Crawl     CrawlOptions `json:"crawl"`
	Pages     PageCounts   `json:"pages"`
	CreatedAt Time         `json:"createdAt"`
	// LastCrawledAt is when the last crawl ended; nil before the first end.
	LastCrawledAt *Time `json:"lastCrawledAt"`
}

// PageCounts is the progress of a crawl.
type PageCounts struct {
	Total   int `json:"total"`
	Pending int `json:"pending"`
	Indexed int `json:"indexed"`
	Skipped int `json:"skipped"`
	Failed  int `json:"failed"`
}

// PageState says what became of a page.
type PageState string

// The states of a page. Leased pages are being fetched.
const (
	PagePending PageState = "pending"
	PageLeased  PageState = "leased"
	PageIndexed PageState = "indexed"
	PageSkipped PageState = "skipped"
	PageFailed  PageState = "failed"
)

// PageReason says why a page is in its state.
type PageReason string

// The reasons of pages.
const (
	ReasonIndexed   PageReason = "indexed"
	ReasonUnchanged PageReason = "unchanged"
	ReasonRobots    PageReason = "robots"    // robots.txt disallows it
	ReasonNoIndex   PageReason = "noindex"   // the page asks not to be indexed
	ReasonStatus    PageReason = "status"    // an HTTP status other than 200
	ReasonType      PageReason = "type"      // not a type that is read
	ReasonDuplicate PageReason = "duplicate" // the text or canonical URL of another page
	ReasonTooBig    PageReason = "too_big"
	ReasonBlocked   PageReason = "blocked" // the address is not allowed
	ReasonScope     PageReason = "scope"   // redirected out of the site
	ReasonTrap      PageReason = "trap"    // a URL that only a trap makes
	ReasonLimit     PageReason = "limit"   // maxPages or maxDepth was reached
	ReasonEmpty     PageReason = "empty"   // no text
	ReasonNetwork   PageReason = "network" // no answer, or a broken one
)

// Page is a page of a source as the API shows it.
type Page struct {
	URL    string     `json:"url"`
	Title  string     `json:"title"`
	State  PageState  `json:"state"`
	Reason PageReason `json:"reason,omitempty"`
	// Detail says more, such as the HTTP status.
	Detail    string `json:"detail,omitempty"`
	Depth     int    `json:"depth"`
	Chunks    int    `json:"chunks"`
	FetchedAt *Time  `json:"fetchedAt"`
}

// Chunk is a passage of a document: what is indexed and what is cited.
type Chunk struct {
	// ID is a function of source, document, version and position, so writing
	// a chunk again changes nothing.
	ID         string `json:"id"`
	SourceID   string `json:"sourceId"`
	DocumentID string `json:"documentId"`
	// Version of the document; a chunk of any other than the recorded version
	// is never an answer.
	Version int64  `json:"version"`
	N       int    `json:"n"`
	URL     string `json:"url"`
	Title   string `json:"title"`
	// Heading is the path of headings above the passage, joined by " > ".
	Heading string `json:"heading"`
	Text    string `json:"text"`
}

// Hit is a passage found for a query. Scores compare within one answer only.
type Hit struct {
	SourceID   string  `json:"sourceId"`
	DocumentID string  `json:"documentId"`
	URL        string  `json:"url"`
	Title      string  `json:"title"`
	Heading    string  `json:"heading"`
	Text       string  `json:"text"`
	Score      float64 `json:"score"`
}

// SearchRequest is the body of POST /v1/knowledge/search.
type SearchRequest struct {
	Query     string   `json:"query"`
	Limit     int      `json:"limit"`
	SourceIDs []string `json:"sourceIds"`
}

// Validate refuses an empty question and sets the default limit of 8.
func (r *SearchRequest) Validate() error {
	if r.Limit == 0 {
		r.Limit = 8
	}
	switch {
	case strings.TrimSpace(r.Query) == "" || len(r.Query) > 8<<10 || !validText(r.Query):
		return Invalid("query", "query must be 1 to 8192 bytes")
	case r.Limit < 1 || r.Limit > 50:
		return Invalid("limit", "limit must be 1 to 50")
	case len(r.SourceIDs) > 100:
		return Invalid("sourceIds", "at most 100 sourceIds")
	}
	return nil
}

// CrawlInput is what the workflow of a crawl is started with.
type CrawlInput struct {
	Product string `json:"product"`
	Source  string `json:"source"`
	// Run numbers the crawls of a source from 1.
	Run int64 `json:"run"`
	// Batch numbers the batches of a run, on through continue-as-new.
	Batch int64 `json:"batch"`
	// Discovered is set once the seeds are in the frontier.
	Discovered bool `json:"discovered"`
}

// CrawlWorkflowID names the workflow of a source's crawls: one at a time.
func CrawlWorkflowID(product, source string) string { return "crawl/" + product + "/" + source }

// PurgeInput is what the workflow that empties a deleted source starts with.
type PurgeInput struct {
	Product string `json:"product"`
	Source  string `json:"source"`
}

// PurgeWorkflowID names the workflow that empties a deleted source.
func PurgeWorkflowID(product, source string) string { return "purge/" + product + "/" + source }
