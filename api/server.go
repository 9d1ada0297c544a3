// Package api is Runa's HTTP face: the route table, authentication, limits and
// the shapes of answers. It starts workflows through a small interface and
// waits on rows; it does no work of its own.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"runa/analytics"
	"runa/schemas"
	"runa/store"
	"runa/telemetry"
)

// Engine is what the API asks of the durable engine.
type Engine interface {
	// StartTurn starts the workflow of a turn; see workflows.Client.
	StartTurn(ctx context.Context, in schemas.TurnInput) (started bool, err error)
	// TurnOpen reports whether the turn's workflow exists and has not ended.
	TurnOpen(ctx context.Context, product, turn string) (bool, error)
	// StartCrawl starts the crawl of a source unless it runs.
	StartCrawl(ctx context.Context, product, source string, run int64) error
	// StartPurge starts the purge of a deleted source, which ends its crawl.
	StartPurge(ctx context.Context, product, source string) error
	// StartReindex starts the rebuild of the index unless one runs.
	StartReindex(ctx context.Context) error
	// CancelReindex ends the rebuild that runs, if one does.
	CancelReindex(ctx context.Context) error
	// Reindex tells of the newest rebuild.
	Reindex(ctx context.Context) (schemas.Reindex, error)
}

// Searcher finds knowledge as the agent sees it.
type Searcher interface {
	Search(ctx context.Context, product string, req schemas.SearchRequest) ([]schemas.Hit, error)
}

// ToolTester calls a tool once, without a turn.
type ToolTester interface {
	TestTool(ctx context.Context, product, id string, arguments json.RawMessage) (schemas.ToolCall, error)
}

// Config is what the API works with. All but the rates, Metrics, Traces and
// Fail is required.
type Config struct {
	Store     *store.Store
	Engine    Engine
	Searcher  Searcher
	Tester    ToolTester
	Analytics analytics.Store
	Log       *slog.Logger
	// Checks are what /readyz asks, by name.
	Checks map[string]Check
	// RatePerSecond and RateBurst limit the requests of a key. Default 100 and
	// 200.
	RatePerSecond float64
	RateBurst     int
	// MaxOpenTurns is from how many open turns on a product beyond its share
	// is refused new ones. Default 10,000.
	MaxOpenTurns int
	// Decode decrypts the payloads of histories for Temporal's own tools.
	Decode func([]schemas.Payload) ([]schemas.Payload, error)
	// AllowedOrigins are the origins whose pages may call the API from a
	// browser, such as https://app.example.com. Default none.
	AllowedOrigins []string
	// Metrics takes the API's metrics and is what /metrics shows; nil is a
	// registry of its own.
	Metrics *prometheus.Registry
	// Traces takes the spans of requests; nil takes none.
	Traces trace.TracerProvider
	// Fail is called at each named point where a test may end the process; nil
	// does nothing.
	Fail func(point string)
}

// Server answers the API's requests.
type Server struct {
	Config
	router  *gin.Engine
	spec    *spec
	watch   *watcher
	limits  *limiter
	open    *capacity
	metrics *metrics
}

// New makes a server. Close ends its watching.
func New(cfg Config) (*Server, error) {
	spec, err := loadSpec()
	if err != nil {
		return nil, err
	}
	if cfg.RatePerSecond == 0 {
		cfg.RatePerSecond, cfg.RateBurst = 100, 200
	}
	if cfg.Metrics == nil {
		cfg.Metrics = telemetry.NewRegistry("unknown")
	}
	if cfg.Fail == nil {
		cfg.Fail = func(string) {}
	}
	if cfg.MaxOpenTurns == 0 {
		cfg.MaxOpenTurns = 10_000
	}
	s := &Server{
		Config: cfg, open: newCapacity(cfg.MaxOpenTurns, cfg.Store.OpenTurns), spec: spec, watch: newWatcher(cfg.Store.TurnStates, cfg.Log),
		limits: newLimiter(cfg.RatePerSecond, cfg.RateBurst), metrics: newMetrics(cfg.Metrics, cfg.Store),
	}
	s.router = s.routes()
	return s, nil
}

// Handler is the whole API.
func (s *Server) Handler() http.Handler { return s.router }

// TurnChanged says that a turn changed in this process, so that who waits for
// it need not wait for the next look.
func (s *Server) TurnChanged(turn string) { s.watch.changed(turn) }

// Close lets no caller wait any longer: they are told where to look later.
func (s *Server) Close() { s.watch.close() }

// routes is the whole API at a glance. schemas/openapi.yaml says it in full.
func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.Use(s.observe, s.crossOrigin)
	r.NoRoute(s.handle(func(*gin.Context) error { return schemas.Errorf(schemas.NotFound, "there is no such endpoint") }))
	r.NoMethod(s.handle(func(*gin.Context) error {
		return schemas.Errorf(schemas.MethodNotAllowed, "this endpoint does not take this method")
	}))

	r.GET("/livez", s.handle(s.livez))
	r.GET("/readyz", s.handle(s.readyz))
	r.GET("/metrics", gin.WrapH(s.metrics.handler()))
	r.GET("/openapi.yaml", s.handle(s.openapi))

	product := r.Group("/v1", bound, s.handle(s.requireProduct))
	product.POST("/chat", s.handle(s.chat))
	product.GET("/turns/:id", s.handle(s.getTurn))
	product.GET("/conversations", s.handle(s.listConversations))
	product.GET("/conversations/:id", s.handle(s.getConversation))
	product.POST("/knowledge", s.handle(s.createSource))
	product.GET("/knowledge", s.handle(s.listSources))
	product.POST("/knowledge/search", s.handle(s.searchKnowledge))
	product.GET("/knowledge/:id", s.handle(s.getSource))
	product.DELETE("/knowledge/:id", s.handle(s.deleteSource))
	product.GET("/knowledge/:id/pages", s.handle(s.listPages))
	product.POST("/tools", s.handle(s.createTool))
	product.GET("/tools", s.handle(s.listTools))
	product.GET("/tools/:id", s.handle(s.getTool))
	product.PATCH("/tools/:id", s.handle(s.updateTool))
	product.DELETE("/tools/:id", s.handle(s.deleteTool))
	product.POST("/tools/:id/test", s.handle(s.testTool))
	product.GET("/analytics", s.handle(s.getAnalytics))

	operator := r.Group("/v1", bound, s.handle(s.requireOperator))
	operator.POST("/products", s.handle(s.createProduct))
	operator.GET("/products", s.handle(s.listProducts))
	operator.GET("/products/:id", s.handle(s.getProduct))
	operator.PATCH("/products/:id", s.handle(s.updateProduct))
	operator.DELETE("/products/:id", s.handle(s.deleteProduct))
	operator.POST("/keys", s.handle(s.createKey))
	operator.GET("/keys", s.handle(s.listKeys))
	operator.GET("/keys/:id", s.handle(s.getKey))
	operator.PATCH("/keys/:id", s.handle(s.updateKey))
	operator.DELETE("/keys/:id", s.handle(s.revokeKey))
	operator.POST("/reindex", s.handle(s.startReindex))
	operator.GET("/reindex", s.handle(s.getReindex))
	operator.DELETE("/reindex", s.handle(s.cancelReindex))
	operator.POST("/codec/decode", s.handle(s.decodePayloads))
	return r
}

// Limits of a connection; a call to /v1/chat may be held for ten minutes.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = (schemas.MaxWaitSeconds + 30) * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// HTTPServer is the API as a server with its limits set.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler: s.router, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}
