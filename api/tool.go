package api

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"runa/schemas"
	"runa/tool"
)

// toolSpec is a definition with its rules applied as the API reads it.
// It does not embed ToolSpec: errors of decoding would name that as a field.
type toolSpec schemas.ToolSpec

// Validate fills in the defaults and refuses what could not be called.
func (t *toolSpec) Validate() error { return validTool((*schemas.ToolSpec)(t)) }

func validTool(spec *schemas.ToolSpec) error {
	spec.Normalize()
	if err := spec.Validate(); err != nil {
		return err
	}
	return tool.Validate(spec.Parameters, spec.Endpoint)
}

func (s *Server) createTool(c *gin.Context) error {
	var spec toolSpec
	if err := s.bind(c, &spec); err != nil {
		return err
	}
	key, err := idempotency(c, schemas.ToolSpec(spec))
	if err != nil {
		return err
	}
	t, err := s.Store.CreateTool(c.Request.Context(), productOf(c), schemas.ToolSpec(spec), key)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Status string `json:"status"`
	}{t.ID, t.Name, t.Status})
	return nil
}

func (s *Server) listTools(c *gin.Context) error {
	options, err := s.listOptions(c)
	if err != nil {
		return err
	}
	list, err := s.Store.Tools(c.Request.Context(), productOf(c), options)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Tools      []schemas.Tool `json:"tools"`
		Total      int            `json:"total"`
		NextCursor string         `json:"nextCursor,omitempty"`
	}{list.Items, list.Total, list.Next})
	return nil
}

func (s *Server) getTool(c *gin.Context) error {
	t, err := s.Store.Tool(c.Request.Context(), productOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, t)
	return nil
}

func (s *Server) updateTool(c *gin.Context) error {
	var patch schemas.ToolPatch
	if err := s.bind(c, &patch); err != nil {
		return err
	}
	t, err := s.Store.UpdateTool(c.Request.Context(), productOf(c), c.Param("id"), patch, validTool)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, t)
	return nil
}

func (s *Server) deleteTool(c *gin.Context) error {
	if err := s.Store.DeleteTool(c.Request.Context(), productOf(c), c.Param("id")); err != nil {
		return err
	}
	c.JSON(http.StatusOK, deleted{true, c.Param("id")})
	return nil
}

func (s *Server) testTool(c *gin.Context) error {
	var req struct {
		Arguments json.RawMessage `json:"arguments"`
	}
	if err := s.bind(c, &req); err != nil {
		return err
	}
	if req.Arguments == nil {
		req.Arguments = json.RawMessage(`{}`)
	}
	call, err := s.Tester.TestTool(c.Request.Context(), productOf(c), c.Param("id"), req.Arguments)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Status     schemas.CallStatus `json:"status"`
		Result     json.RawMessage    `json:"result"`
		Error      *schemas.CallError `json:"error"`
		DurationMs int64              `json:"durationMs"`
	}{call.Status, call.Result, call.Error, call.DurationMs})
	return nil
}
