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
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"runa/activities"
	"runa/analytics"
	"runa/api"
	"runa/cmd/runa/demo"
	"runa/crawl"
	"runa/embedded"
	"runa/llm/extractive"
	"runa/outbound"
	"runa/seal"
	"runa/store"
	"runa/telemetry"
	"runa/telemetry/provider"
	"runa/tool"
	"runa/worker"
	"runa/workflows"
)

// Program is a process of Runa in one of its roles; what its role does not
// need is nil.
type Program struct {
	cfg       Config
	role      role
	log       *slog.Logger
	out       io.Writer
	telemetry *provider.Telemetry
	store     *store.Store
	sealer    *seal.Sealer
	index     index
	figures   analytics.Store
	// engine is the embedded one.
	engine   *embedded.Server
	temporal client.Client
	starter  *workflows.Client
	policy   *outbound.Policy
	tools    *tool.Caller
	api      *api.Server
	listener net.Listener
	http     *http.Server
	demo     *demoSite
	// closers undo what was opened, the last first.
	closers []func() error
}

// steps are what a role opens, in order: storage, then the engine, then who
// lets callers in, then who works for them.
func (p *Program) steps() []func(context.Context) error {
	switch p.role {
	case roleAPI:
		return []func(context.Context) error{p.shared, p.openTelemetry, p.listen, p.openStorage, p.firstKeys, p.openEngine, p.openOutbound, p.openAPI, p.openHTTP, p.openDemo}
	case roleWorker:
		return []func(context.Context) error{p.shared, p.openTelemetry, p.listen, p.openStorage, p.openEngine, p.openOutbound, p.openWorker, p.openProbes}
	default:
		return []func(context.Context) error{
			p.lockData, p.openTelemetry, p.listen, p.openStorage, p.firstKeys, p.openEngine, p.openOutbound, p.openAPI, p.openWorker, p.openHTTP, p.openDemo,
		}
	}
}

// openProgram builds a process. What fails leaves nothing open.
func openProgram(ctx context.Context, cfg Config, as role, out, logTo io.Writer) (*Program, error) {
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: cfg.LogLevel}))
	p := &Program{cfg: cfg, role: as, log: log, out: out}
	for _, name := range cfg.Unknown {
		log.Warn("this variable is not a setting and is ignored", "name", name)
	}
	for _, step := range p.steps() {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// onClose adds to what Close undoes.
func (p *Program) onClose(undo func() error) { p.closers = append(p.closers, undo) }

func (p *Program) shared(context.Context) error { return requireShared(p.cfg) }

func (p *Program) lockData(context.Context) error {
	unlock, err := lockDataDir(p.cfg.DataDir)
	if err != nil {
		return err
	}
	p.onClose(unlock)
	return nil
}

// openTelemetry is the first to open and the last to close: all the others make
// spans.
func (p *Program) openTelemetry(ctx context.Context) (err error) {
	cfg := provider.Config{Version: build(), Log: p.log}
	if p.cfg.Tracing {
		cfg.Tracing = &provider.Tracing{Service: map[role]string{roleAPI: "runa-api", roleWorker: "runa-worker"}[p.role]}
	}
	if p.telemetry, err = provider.New(ctx, cfg); err != nil {
		return err
	}
	p.onClose(func() error { return p.telemetry.Close(context.WithoutCancel(ctx)) })
	return nil
}

// listen takes the address before anything slow, so that a port in use is said
// at once.
func (p *Program) listen(context.Context) error {
	variable, address := "RUNA_LISTEN", p.cfg.Listen
	if p.role == roleWorker {
		variable, address = "RUNA_HEALTH_LISTEN", p.cfg.HealthListen
	}
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	p.listener = listener
	p.onClose(func() error { return ignoreClosed(listener.Close()) })
	return nil
}

// openStorage opens what is kept. serve brings schemas up to date; the other
// roles wait for "runa migrate".
func (p *Program) openStorage(ctx context.Context) error {
	var err error
	if p.store, p.sealer, err = openStore(ctx, p.cfg, p.role, p.log); err != nil {
		return err
	}
	p.onClose(p.store.Close)
	if p.index, err = openIndex(ctx, p.cfg, p.role, p.log); err != nil {
		return err
	}
	p.onClose(p.index.Close)
	if p.figures, err = openFigures(ctx, p.cfg, p.role, p.log); err != nil {
		return err
	}
	p.onClose(p.figures.Close)
	return nil
}

// firstKeys makes the default product and its keys, once.
func (p *Program) firstKeys(ctx context.Context) error {
	made, err := p.store.Bootstrap(ctx, p.cfg.APIKey, p.cfg.OperatorKey)
	if err != nil {
		return err
	}
	showKeys(p.out, made)
	return nil
}

// openEngine connects to the durable engine, and starts it if it is ours.
func (p *Program) openEngine(ctx context.Context) error {
	temporal := p.cfg.Temporal
	if temporal.Address == "" {
		engine, err := embedded.Start(ctx, embedded.Config{
			Dir: p.cfg.DataDir, Namespace: temporal.Namespace, Retention: p.cfg.History, Logger: p.log,
		})
		if err != nil {
			return err
		}
		p.engine = engine
		p.onClose(func() error { engine.Stop(); return nil })
		temporal = TemporalConfig{Address: engine.Address(), Namespace: temporal.Namespace}
	}
	var err error
	if p.temporal, err = dialEngine(ctx, temporal, p.sealer, p.telemetry, p.log); err != nil {
		return fmt.Errorf("connect to the durable engine: %w", err)
	}
	p.onClose(func() error { p.temporal.Close(); return nil })
	p.starter = &workflows.Client{Temporal: p.temporal, Remote: p.engine == nil}
	if p.engine != nil {
		return nil // it has made the namespace
	}
	return openNamespace(ctx, p.temporal, p.cfg, p.role&migrates != 0, p.log)
}

// openOutbound makes the clients for addresses that users give.
func (p *Program) openOutbound(context.Context) error {
	var err error
	if p.policy, err = p.outboundPolicy(); err != nil {
		return err
	}
	p.tools = tool.New(tool.Config{Client: p.policy.Client(outbound.ClientConfig{})})
	return nil
}

func (p *Program) openAPI(context.Context) (err error) {
	p.api, err = api.New(api.Config{
		Store: p.store, Engine: p.starter, Analytics: p.figures, Log: p.log, Metrics: p.telemetry.Registry, Traces: p.telemetry.Traces, Fail: failpoint(p.cfg.Failpoint),
		Searcher:      &activities.Retriever{Store: p.store, Index: p.index},
		Tester:        &activities.ToolTester{Store: p.store, Tools: p.tools},
		Checks:        p.checks(),
		RatePerSecond: p.cfg.RateLimit, RateBurst: int(2*p.cfg.RateLimit) + 1, MaxOpenTurns: p.cfg.MaxOpenTurns,
		Decode: p.sealer.OpenPayloads, AllowedOrigins: p.cfg.AllowedOrigins,
	})
	return err
}

// openWorker starts the worker. An API in the same process hears at once of
// what changes.
func (p *Program) openWorker(ctx context.Context) error {
	fetcher, err := crawl.New(crawl.Config{Client: p.policy.Client(outbound.ClientConfig{KeepAlive: true})})
	if err != nil {
		return err
	}
	cfg := activities.Config{
		Store: p.store, Index: p.index, Rebuilder: p.index, Analytics: p.figures, Model: extractive.New(), Tools: p.tools, Fetcher: fetcher,
		Engine: p.starter, Log: p.log, Fail: failpoint(p.cfg.Failpoint), Observer: p.telemetry.Observer,
	}
	if p.api != nil {
		cfg.Changed = p.api.TurnChanged
	}
	if p.api == nil {
		p.telemetry.Registry.MustRegister(telemetry.NewPools(p.store.Pools))
	}
	w, err := worker.Start(p.temporal, activities.New(cfg), worker.Config{
		Queues: p.cfg.Queues, TurnSlots: p.cfg.TurnSlots, CrawlSlots: p.cfg.CrawlSlots, Build: build(),
	})
	if err != nil {
		return err
	}
	p.onClose(func() error { w.Stop(); return nil })
	// The engine may have gone away since it was connected to, as when all of an
	// installation is restarted.
	_, err = await(ctx, p.log, "the durable engine", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, p.starter.StartHousekeeping(ctx)
	}, p.engine == nil)
	return err
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

// checks are what this process needs, and what it can do without: a chat is
// answered without knowledge, and events wait for the analytics.
func (p *Program) checks() map[string]api.Check {
	return map[string]api.Check{
		"records": {Ask: p.store.Ping}, "engine": {Ask: p.starter.Ping},
		"search": {Ask: p.index.Ping, Spared: true}, "analytics": {Ask: p.figures.Ping, Spared: true},
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

// openProbes makes the server of a worker's probes, if one is wanted.
func (p *Program) openProbes(context.Context) error {
	if p.listener == nil {
		return nil
	}
	p.http = api.ProbeServer(p.checks(), p.telemetry.Registry, p.log)
	p.onClose(p.http.Close)
	return nil
}

// Run works until the context ends, the engine fails, or the server does.
func (p *Program) Run(ctx context.Context) error {
	served := make(chan error, 1)
	if p.http != nil {
		go func() { served <- p.http.Serve(p.listener) }()
	}
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
	case err := <-p.engineFailed():
		return fmt.Errorf("durable engine: %w", err)
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	}
}

// engineFailed tells of the end of an engine that is ours.
func (p *Program) engineFailed() <-chan error {
	if p.engine == nil {
		return nil
	}
	return p.engine.Failed()
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
	switch p.role {
	case roleAPI:
		fmt.Fprintf(p.out, "Runa is ready at %s (API only)\n", p.url())
	case roleWorker:
		fmt.Fprintf(p.out, "Runa is ready (worker of %s, model %s)\n", strings.Join(p.cfg.Queues, " and "), p.cfg.Model)
	default:
		fmt.Fprintf(p.out, "Runa is ready at %s (data in %s, model %s)\n", p.url(), p.cfg.DataDir, p.cfg.Model)
	}
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
