// Package activities is what workflows do to the world: they read and write
// the records, ask the model, call tools, fetch pages and export events. Each
// says in its comment what a second run does. Retries are Temporal's; nothing
// here repeats a request by itself.
package activities

import (
	"context"
	"log/slog"

	"runa/analytics"
	"runa/crawl"
	"runa/llm"
	"runa/search"
	"runa/store"
	"runa/telemetry"
	"runa/tool"
)

// Config is what the activities work with. All but Changed, Fail and Observer
// is required.
type Config struct {
	Store *store.Store
	Index search.Index
	// Rebuilder is the index as one that can be filled anew.
	Rebuilder search.Rebuilder
	Analytics analytics.Store
	Model     llm.Model
	Tools     *tool.Caller
	Fetcher   *crawl.Fetcher
	Engine    Engine
	Log       *slog.Logger
	// Changed is told that a turn changed, so that a caller who waits in this
	// process need not wait for its next look. It is a hint; nil is no one.
	Changed func(turn string)
	// Fail is called at each named point where a test may end the process; nil
	// does nothing.
	Fail func(point string)
	// Observer is told what is done, for metrics and traces; nil is no one.
	Observer *telemetry.Observer
}

// Engine is what activities ask of the durable engine.
type Engine interface {
	// TurnOpen reports whether the turn's workflow exists and has not ended.
	TurnOpen(ctx context.Context, product, turn string) (bool, error)
	// OfferPlace tells a queued turn to look whether its place has come; a
	// workflow that is gone is not an error.
	OfferPlace(ctx context.Context, product, turn string) error
	// StartCrawl starts the crawl of a source unless it runs.
	StartCrawl(ctx context.Context, product, source string, run int64) error
	// StopCrawl cancels a source's crawl and reports whether it has ended.
	StopCrawl(ctx context.Context, product, source string) (ended bool, err error)
	// StartPurge starts the purge of a source unless it runs.
	StartPurge(ctx context.Context, product, source string) error
	// StartExport starts the export of events unless it runs.
	StartExport(ctx context.Context) error
}

// Activities are the activities of all workflows.
type Activities struct {
	config    Config
	retriever *Retriever
}

// New makes the activities.
func New(cfg Config) *Activities {
	if cfg.Changed == nil {
		cfg.Changed = func(string) {}
	}
	if cfg.Fail == nil {
		cfg.Fail = func(string) {}
	}
	if cfg.Observer == nil {
		cfg.Observer = telemetry.NewObserver(telemetry.ObserverConfig{})
	}
	return &Activities{config: cfg, retriever: &Retriever{Store: cfg.Store, Index: cfg.Index}}
}
