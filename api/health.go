package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// checkTimeout bounds each check of /readyz.
const checkTimeout = 2 * time.Second

// livez says that the process answers.
func (s *Server) livez(c *gin.Context) error {
	c.JSON(http.StatusOK, gin.H{"status": "ok"})
	return nil
}

// readyz says whether everything that a request needs answers.
func (s *Server) readyz(c *gin.Context) error {
	ctx, cancel := context.WithTimeout(c.Request.Context(), checkTimeout)
	defer cancel()
	status, code := "ok", http.StatusOK
	results := map[string]string{}
	for name, check := range s.Checks {
		results[name] = "ok"
		if err := check(ctx); err != nil {
			s.Log.Warn("not ready", "check", name, "error", err)
			results[name], status, code = "failed", "unavailable", http.StatusServiceUnavailable
		}
	}
	c.JSON(code, gin.H{"status": status, "checks": results})
	return nil
}
