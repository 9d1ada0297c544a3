package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds each check of /readyz.
const checkTimeout = 2 * time.Second

// Check is one thing that /readyz asks.
type Check struct {
	Ask func(context.Context) error
	// Spared says that the process serves without it, if less well: its failure
	// is shown and takes the process out of no balancer.
	Spared bool
}

// livez says that the process answers.
func (s *Server) livez(c *gin.Context) error {
	c.JSON(http.StatusOK, gin.H{"status": "ok"})
	return nil
}

// readyz says whether everything that a request cannot do without answers.
func (s *Server) readyz(c *gin.Context) error {
	code, body := ready(c.Request.Context(), s.Checks, s.Log)
	c.JSON(code, body)
	return nil
}

// readiness is what /readyz answers.
type readiness struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

// ready makes all checks at once: one that does not answer must not use up the
// time of the others.
func ready(ctx context.Context, checks map[string]Check, log *slog.Logger) (int, readiness) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	answer := readiness{Status: "ok", Checks: map[string]string{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for name, check := range checks {
		all.Go(func() {
			err := check.Ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			answer.Checks[name] = "ok"
			if err != nil {
				log.Warn("not ready", "check", name, "error", err)
				answer.fail(name, check)
			}
		})
	}
	all.Wait()
	if answer.Status == "unavailable" {
		return http.StatusServiceUnavailable, answer
	}
	return http.StatusOK, answer
}

func (r *readiness) fail(name string, check Check) {
	r.Checks[name] = "failed"
	if !check.Spared {
		r.Status = "unavailable"
	} else if r.Status == "ok" {
		r.Status = "degraded"
	}
}

// ProbeServer answers /livez, /readyz and /metrics of a process without an
// API.
func ProbeServer(checks map[string]Check, metrics *prometheus.Registry, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, gin.H{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		code, body := ready(r.Context(), checks, log)
		writeJSON(w, code, body)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: readTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // whoever asked is gone
}
