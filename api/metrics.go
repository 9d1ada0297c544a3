package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"runa/store"
	"runa/telemetry"
)

// metrics are the API's own; see docs/operations.md.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(registry *prometheus.Registry, st *store.Store) *metrics {
	m := &metrics{registry: registry, requests: telemetry.HTTPSeconds.NewHistogram()}
	registry.MustRegister(m.requests, backlog{st}, telemetry.NewPools(st.Pools))
	telemetry.ShowProcess(registry)
	return m
}

var knownMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

func (m *metrics) request(c *gin.Context, took time.Duration) {
	route := c.FullPath()
	if route == "" {
		route = "unknown"
	}
	method := c.Request.Method
	if !slices.Contains(knownMethods, method) {
		method = "other" // a caller may make up any number of them
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(c.Writer.Status())).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// backlog reads at each scrape what the records say is not done yet. It is the
// same from every process with an API, so a dashboard takes the greatest.
type backlog struct {
	store *store.Store
}

// scrapeTimeout bounds what a scrape asks of the records.
const scrapeTimeout = time.Second

// Describe implements prometheus.Collector.
func (b backlog) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range []telemetry.Metric{telemetry.StoreUp, telemetry.OutboxEvents, telemetry.OutboxOldest, telemetry.TurnsOpen} {
		descs <- m.Desc()
	}
}

// Collect implements prometheus.Collector.
func (b backlog) Collect(values chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	read, err := b.read(ctx)
	if err != nil {
		values <- telemetry.StoreUp.Value(0)
		return
	}
	values <- telemetry.StoreUp.Value(1)
	for _, value := range read {
		values <- value
	}
}

func (b backlog) read(ctx context.Context) ([]prometheus.Metric, error) {
	events, err := b.store.OutboxDepth(ctx)
	if err != nil {
		return nil, err
	}
	oldest, err := b.store.OldestEvent(ctx)
	if err != nil {
		return nil, err
	}
	open, err := b.store.OpenByStatus(ctx)
	if err != nil {
		return nil, err
	}
	age := time.Duration(0)
	if !oldest.IsZero() {
		age = max(0, time.Since(oldest)) // clocks differ between processes
	}
	values := []prometheus.Metric{telemetry.OutboxEvents.Value(float64(events)), telemetry.OutboxOldest.Value(age.Seconds())}
	for status, n := range open {
		values = append(values, telemetry.TurnsOpen.Value(float64(n), string(status)))
	}
	return values, nil
}
