package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"

	"runa/activities"
	analyticssqlite "runa/analytics/sqlite"
	"runa/api"
	"runa/cmd/runa/demo"
	"runa/crawl"
	"runa/embedded"
	"runa/llm/extractive"
	"runa/outbound"
	"runa/seal"
	searchsqlite "runa/search/sqlite"
	"runa/store"
	"runa/tool"
	"runa/worker"
	"runa/workflows"
)

// namespace of the workflows.
const namespace = "runa"

// Program is the whole of Runa in one process.
type Program struct {
	cfg      Config
	log      *slog.Logger
	out      io.Writer
	listener net.Listener
	store    *store.Store
	sealer   *seal.Sealer
	index    *searchsqlite.Index
	figures  *analyticssqlite.Store
	engine   *embedded.Server
	temporal client.Client
	worker   *worker.Worker
	api      *api.Server
	http     *http.Server
	demo     *demoSite
	// closers undo what was opened, the last first.
	closers []func() error
}

// openProgram builds the program: storage, then the engine, then who works for
// it, then who lets callers in. What fails leaves nothing open.
func openProgram(ctx context.Context, cfg Config, out, logTo io.Writer) (*Program, error) {
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: cfg.LogLevel}))
	p := &Program{cfg: cfg, log: log, out: out}
	for _, name := range cfg.Unknown {
		log.Warn("this variable is not a setting and is ignored", "name", name)
	}
	for _, open := range []func(context.Context) error{
		p.openDataDir, p.listen, p.openStorage, p.openEngine, p.openWork, p.openHTTP, p.openDemo,
	} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// onClose adds to what Close undoes.
func (p *Program) onClose(undo func() error) { p.closers = append(p.closers, undo) }

func (p *Program) openDataDir(context.Context) error {
	unlock, err := lockDataDir(p.cfg.DataDir)
	if err != nil {
		return err
	}
	p.onClose(unlock)
	return nil
}

// listen takes the address before anything slow, so that a port in use is said
// at once.
func (p *Program) listen(context.Context) error {
	listener, err := net.Listen("tcp", p.cfg.Listen)
	if err != nil {
		return fmt.Errorf("RUNA_LISTEN: %w", err)
	}
	p.listener = listener
	p.onClose(func() error { return ignoreClosed(listener.Close()) })
	return nil
}

func (p *Program) openStorage(ctx context.Context) error {
	var err error
	if p.store, p.sealer, err = openStore(ctx, p.cfg, p.log); err != nil {
		return err
	}
	p.onClose(p.store.Close)
	made, err := p.store.Bootstrap(ctx, p.cfg.APIKey, p.cfg.OperatorKey)
	if err != nil {
		return err
	}
	showKeys(p.out, made)
	p.index, err = searchsqlite.Open(ctx, searchsqlite.Config{Path: filepath.Join(p.cfg.DataDir, "search.db"), Logger: p.log})
	if err != nil {
		return err
	}
	p.onClose(p.index.Close)
	p.figures, err = analyticssqlite.Open(ctx, analyticssqlite.Config{Dir: filepath.Join(p.cfg.DataDir, "analytics"), Logger: p.log})
	if err != nil {
		return err
	}
	p.onClose(p.figures.Close)
	return nil
}

// openStore opens the keyset and the records under it, which commands do beside
// a running server.
func openStore(ctx context.Context, cfg Config, log *slog.Logger) (*store.Store, *seal.Sealer, error) {
	sealer, err := openSealer(cfg)
	if err != nil {
		return nil, nil, err
	}
	st, err := store.Open(ctx, store.Config{Path: filepath.Join(cfg.DataDir, "runa.db"), Sealer: sealer, Log: log})
	return st, sealer, err
}

// openSealer reads the keyset, or makes it for a data folder that is new: in
// an old one, a new keyset could open nothing.
func openSealer(cfg Config) (*seal.Sealer, error) {
	path := filepath.Join(cfg.DataDir, "keyset.json")
	if cfg.Keyset == "" && exists(filepath.Join(cfg.DataDir, "runa.db")) && !exists(path) {
		return nil, fmt.Errorf("RUNA_KEYSET: %s is missing and runa.db was made with it: restore it from a backup", path)
	}
	return seal.Load(path, cfg.Keyset)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (p *Program) openEngine(ctx context.Context) error {
	engine, err := embedded.Start(ctx, embedded.Config{
		Dir: p.cfg.DataDir, Namespace: namespace, Retention: p.cfg.History, Logger: p.log,
	})
	if err != nil {
		return err
	}
	p.engine = engine
	p.onClose(func() error { engine.Stop(); return nil })
	p.temporal, err = client.DialContext(ctx, client.Options{
		HostPort: engine.Address(), Namespace: namespace,
		DataConverter: p.sealer.DataConverter(), FailureConverter: p.sealer.FailureConverter(),
		Logger: temporallog.NewStructuredLogger(slog.New(quiet{p.log.Handler()})),
	})
	if err != nil {
		return fmt.Errorf("connect to the durable engine: %w", err)
	}
	p.onClose(func() error { p.temporal.Close(); return nil })
	return nil
}

// openWork starts the worker. The API is made with it, since the worker tells
// it what changed.
func (p *Program) openWork(ctx context.Context) error {
	policy, err := p.outboundPolicy()
	if err != nil {
		return err
	}
	fetcher, err := crawl.New(crawl.Config{Client: policy.Client(outbound.ClientConfig{KeepAlive: true})})
	if err != nil {
		return err
	}
	tools := tool.New(tool.Config{Client: policy.Client(outbound.ClientConfig{})})
	starter := &workflows.Client{Temporal: p.temporal}
	fail := failpoint(p.cfg.Failpoint)
	p.api, err = api.New(api.Config{
		Store: p.store, Engine: starter, Analytics: p.figures, Log: p.log, Fail: fail,
		Searcher:      &activities.Retriever{Store: p.store, Index: p.index},
		Tester:        &activities.ToolTester{Store: p.store, Tools: tools},
		Checks:        p.checks(),
		RatePerSecond: p.cfg.RateLimit, RateBurst: int(2*p.cfg.RateLimit) + 1,
	})
	if err != nil {
		return err
	}
	p.worker, err = worker.Start(p.temporal, activities.New(activities.Config{
		Store: p.store, Index: p.index, Analytics: p.figures, Model: extractive.New(), Tools: tools, Fetcher: fetcher,
		Engine: starter, Log: p.log, Changed: p.api.TurnChanged, Fail: fail,
	}), worker.Config{Build: build()})
	if err != nil {
		return err
	}
	p.onClose(func() error { p.worker.Stop(); return nil })
	return starter.StartHousekeeping(ctx)
}

// outboundPolicy allows what the operator allows, and the demo's own address.
func (p *Program) outboundPolicy() (*outbound.Policy, error) {
	allow := p.cfg.OutboundAllow
	if p.cfg.Demo {
		site, err := listenDemo(p.cfg.DemoListen)
		if err != nil {
			return nil, err
		}
		p.demo = site
		p.onClose(site.close)
		allow = append(allow[:len(allow):len(allow)], site.address())
	}
	return outbound.NewPolicy(allow)
}

func (p *Program) checks() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"records": p.store.Ping, "search": p.index.Ping, "analytics": p.figures.Ping, "engine": p.engine.Ping,
	}
}

// openHTTP makes the server that Run starts. Closing lets running requests end:
// who waits for a turn is told where to find it.
func (p *Program) openHTTP(context.Context) error {
	p.http = p.api.HTTPServer()
	p.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		p.api.Close()
		return p.http.Shutdown(ctx)
	})
	return nil
}

// openDemo serves the demo's site; Run registers it through the API.
func (p *Program) openDemo(context.Context) error {
	if p.demo != nil {
		p.demo.serve(demo.Handler())
	}
	return nil
}

// Run answers until the context ends, the engine fails, or the server does.
func (p *Program) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- p.http.Serve(p.listener) }()
	if p.demo != nil {
		go func() {
			if err := p.demo.register(ctx, p.store, p.url()); err != nil && ctx.Err() == nil {
				p.log.Error("the demo could not be registered", "error", err)
			}
		}()
	}
	select {
	case <-ctx.Done():
		p.log.Info("stopping: what was accepted is finished or goes on at the next start")
		return nil
	case err := <-p.engine.Failed():
		return fmt.Errorf("durable engine: %w", err)
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	}
}

// Close undoes what was opened, the last first.
func (p *Program) Close() error {
	var errs []error
	for len(p.closers) > 0 {
		last := p.closers[len(p.closers)-1]
		p.closers = p.closers[:len(p.closers)-1]
		errs = append(errs, last())
	}
	return errors.Join(errs...)
}

func (p *Program) url() string { return "http://" + p.listener.Addr().String() }

// showKeys prints the keys that a first start made, at once: they are kept as
// hashes only, and what comes after may fail.
func showKeys(out io.Writer, made store.FirstKeys) {
	if made.Product != "" {
		fmt.Fprintf(out, "API key of the product prod_default, shown this once:\n\n    %s\n\n", made.Product)
	}
	if made.Operator != "" {
		fmt.Fprintf(out, "Operator's key, shown this once:\n\n    %s\n\n", made.Operator)
	}
}

// announce tells the person at the terminal where Runa is.
func (p *Program) announce() {
	fmt.Fprintf(p.out, "Runa is ready at %s (data in %s, model %s)\n", p.url(), p.cfg.DataDir, p.cfg.Model)
	if p.demo != nil {
		fmt.Fprintf(p.out, "Demo: the help centre is at %s/help/\n", p.demo.url())
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

var errLocked = errors.New("another runa serve works in this data folder")

// makeDataDir makes the data folder, for its owner only.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("RUNA_DATA_DIR: %w", err)
	}
	return nil
}
