package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"runa/analytics"
	"runa/schemas"
)

func (s *Server) getAnalytics(c *gin.Context) error {
	var period analytics.Period
	for name, bound := range map[string]*time.Time{"from": &period.From, "to": &period.To} {
		text := c.Query(name)
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return schemas.Invalid(name, "%s must be a time such as 2026-03-01T00:00:00Z", name)
		}
		*bound = at
	}
	if !period.From.IsZero() && !period.To.IsZero() && !period.From.Before(period.To) {
		return schemas.Invalid("to", "to must be after from")
	}
	if err := s.spec.check(c, nil); err != nil {
		return err
	}
	figures, err := s.Analytics.Figures(c.Request.Context(), productOf(c), period)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, figures)
	return nil
}
