// Package activitiestest gives tests the activities over real storage in a
// folder of their own, with a model and an engine that the test writes. It
// runs no workflow.
package activitiestest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/activities"
	analyticssqlite "runa/analytics/sqlite"
	"runa/crawl"
	"runa/llm"
	"runa/outbound"
	"runa/schemas"
	"runa/seal"
	searchsqlite "runa/search/sqlite"
	"runa/store"
	"runa/tool"
)

// Product is the product that every bench has.
const Product = "prod_a"

// Bench is what the activities of a test work with.
type Bench struct {
	*activities.Activities
	// Config is what they were made with.
	activities.Config
	// Folder holds the files of the stores.
	Folder string
}

// New makes a bench; change alters the configuration before the activities
// are made with it.
func New(tb testing.TB, change func(*activities.Config)) *Bench {
	tb.Helper()
	b := &Bench{Folder: tb.TempDir()}
	policy, err := outbound.NewPolicy([]string{"127.0.0.0/8"})
	require.NoError(tb, err)
	fetcher, err := crawl.New(crawl.Config{Client: policy.Client(outbound.ClientConfig{KeepAlive: true})})
	require.NoError(tb, err)
	b.Config = activities.Config{
		Model: &Model{}, Engine: &Engine{}, Fetcher: fetcher, Log: slog.New(slog.DiscardHandler),
		Tools: tool.New(tool.Config{Client: policy.Client(outbound.ClientConfig{})}),
	}
	b.open(tb)
	_, err = b.Store.CreateProduct(tb.Context(), Product, "A product")
	require.NoError(tb, err)
	if change != nil {
		change(&b.Config)
	}
	b.Activities = activities.New(b.Config)
	return b
}

// open opens the stores and closes them when the test ends.
func (b *Bench) open(tb testing.TB) {
	tb.Helper()
	sealer, err := seal.Load(filepath.Join(b.Folder, "keyset.json"), "")
	require.NoError(tb, err)
	b.Store, err = store.Open(tb.Context(), store.Config{Path: b.Records(), Migrate: true, Sealer: sealer})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, b.Store.Close()) })
	index, err := searchsqlite.Open(tb.Context(), searchsqlite.Config{Path: filepath.Join(b.Folder, "search.db")})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, index.Close()) })
	figures, err := analyticssqlite.Open(tb.Context(), analyticssqlite.Config{Dir: filepath.Join(b.Folder, "analytics")})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, figures.Close()) })
	b.Index, b.Rebuilder, b.Analytics = index, index, figures
}

// Records is the file of the store.
func (b *Bench) Records() string { return filepath.Join(b.Folder, "runa.db") }

// Draft is the input of a turn whose message is in the store.
func (b *Bench) Draft(tb testing.TB, session, turn, message string) schemas.TurnInput {
	tb.Helper()
	draft, err := b.Store.PutDraft(tb.Context(), Product, message)
	require.NoError(tb, err)
	return schemas.TurnInput{Product: Product, Turn: turn, Session: session, Draft: draft, BodyHash: schemas.BodyHash(session, message)}
}

// Opened opens a turn and returns its key.
func (b *Bench) Opened(tb testing.TB, session, turn, message string) activities.TurnKey {
	tb.Helper()
	opened, err := b.Store.OpenTurn(tb.Context(), b.Draft(tb, session, turn, message))
	require.NoError(tb, err)
	require.Nil(tb, opened.Refusal)
	return activities.TurnKey{Product: Product, Turn: turn}
}

// Tool registers a tool and returns its id.
func (b *Bench) Tool(tb testing.TB, spec schemas.ToolSpec) string {
	tb.Helper()
	spec.Normalize()
	require.NoError(tb, spec.Validate())
	made, err := b.Store.CreateTool(tb.Context(), Product, spec, store.Idempotency{})
	require.NoError(tb, err)
	return made.ID
}

// Source registers a site and returns the key of its first run.
func (b *Bench) Source(tb testing.TB, site string, options schemas.CrawlOptions) activities.SourceKey {
	tb.Helper()
	address, err := crawl.Canonical(site)
	require.NoError(tb, err)
	source, run, err := b.Store.CreateSource(tb.Context(), Product,
		schemas.SourceSpec{Type: schemas.SourceURL, URL: address, Name: "site", Crawl: options}, store.Idempotency{})
	require.NoError(tb, err)
	return activities.SourceKey{Product: Product, Source: source.ID, Run: run}
}

// Model is an llm.Model that a test writes. A Generate that it did not write
// panics.
type Model struct {
	GenerateFunc func(ctx context.Context, req *llm.Request) (*llm.Response, error)
}

var _ llm.Model = (*Model)(nil)

// Name implements llm.Model.
func (*Model) Name() string { return "scripted" }

// Generate implements llm.Model.
func (m *Model) Generate(ctx context.Context, req *llm.Request, _ func(string)) (*llm.Response, error) {
	return m.GenerateFunc(ctx, req)
}

// Engine is an activities.Engine that a test writes. A method that it did not
// write panics.
type Engine struct {
	TurnOpenFunc    func(ctx context.Context, product, turn string) (bool, error)
	OfferPlaceFunc  func(ctx context.Context, product, turn string) error
	StartCrawlFunc  func(ctx context.Context, product, source string, run int64) error
	StopCrawlFunc   func(ctx context.Context, product, source string) (bool, error)
	StartPurgeFunc  func(ctx context.Context, product, source string) error
	StartExportFunc func(ctx context.Context) error
}

var _ activities.Engine = (*Engine)(nil)

// TurnOpen implements activities.Engine.
func (e *Engine) TurnOpen(ctx context.Context, product, turn string) (bool, error) {
	return e.TurnOpenFunc(ctx, product, turn)
}

// OfferPlace implements activities.Engine.
func (e *Engine) OfferPlace(ctx context.Context, product, turn string) error {
	return e.OfferPlaceFunc(ctx, product, turn)
}

// StartCrawl implements activities.Engine.
func (e *Engine) StartCrawl(ctx context.Context, product, source string, run int64) error {
	return e.StartCrawlFunc(ctx, product, source, run)
}

// StopCrawl implements activities.Engine.
func (e *Engine) StopCrawl(ctx context.Context, product, source string) (bool, error) {
	return e.StopCrawlFunc(ctx, product, source)
}

// StartPurge implements activities.Engine.
func (e *Engine) StartPurge(ctx context.Context, product, source string) error {
	return e.StartPurgeFunc(ctx, product, source)
}

// StartExport implements activities.Engine.
func (e *Engine) StartExport(ctx context.Context) error { return e.StartExportFunc(ctx) }
