package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"runa/schemas"
	"runa/store"
)

const requestIDKey = "runa.requestId"

// givenID is a request id that a caller may choose.
var givenID = regexp.MustCompile(`^[A-Za-z0-9_.:/+=-]{1,128}$`)

// requestID names the request in its answer and in the log.
func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }

// observe names, counts and times each request, and survives its panic.
func (s *Server) observe(c *gin.Context) {
	id := c.GetHeader("X-Request-Id")
	if !givenID.MatchString(id) {
		id = schemas.NewID(schemas.RequestPrefix)
	}
	c.Set(requestIDKey, id)
	c.Header("X-Request-Id", id)
	c.Header("X-Content-Type-Options", "nosniff")
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			s.fail(c, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
		s.metrics.request(c, time.Since(began))
	}()
	c.Next()
}

// metrics are the API's own; see docs/operations.md.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(registry *prometheus.Registry, st *store.Store) *metrics {
	m := &metrics{registry: registry, requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "runa_http_request_seconds", Help: "Time to answer a request, by route and status.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 600},
	}, []string{"method", "route", "status"})}
	outbox := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "runa_outbox_events", Help: "Events that the analytics store has not taken yet.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := st.OutboxDepth(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	})
	registry.MustRegister(m.requests, outbox, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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
