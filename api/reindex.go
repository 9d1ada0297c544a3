package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// startReindex starts to fill the index anew, or finds that it is being done.
func (s *Server) startReindex(c *gin.Context) error {
	if err := s.Engine.StartReindex(c.Request.Context()); err != nil {
		return err
	}
	return s.getReindex(c)
}

func (s *Server) getReindex(c *gin.Context) error {
	view, err := s.Engine.Reindex(c.Request.Context())
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, view)
	return nil
}

// cancelReindex gives the rebuild up; the index goes on with what it had.
func (s *Server) cancelReindex(c *gin.Context) error {
	if err := s.Engine.CancelReindex(c.Request.Context()); err != nil {
		return err
	}
	return s.getReindex(c)
}
