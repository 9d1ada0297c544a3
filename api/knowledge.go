package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"runa/crawl"
	"runa/schemas"
)

// createSource registers a site and starts its crawl. The row is what counts:
// a crawl that cannot be started now is started by the sweep.
func (s *Server) createSource(c *gin.Context) error {
	var spec schemas.SourceSpec
	if err := s.bind(c, &spec); err != nil {
		return err
	}
	key, err := idempotency(c, spec)
	if err != nil {
		return err
	}
	if spec.URL, err = crawl.Canonical(spec.URL); err != nil {
		return schemas.Invalid("url", "url must be an http or https URL")
	}
	if spec.Name == "" {
		spec.Name = spec.URL
	}
	source, run, err := s.Store.CreateSource(c.Request.Context(), productOf(c), spec, key)
	if err != nil {
		return err
	}
	s.Fail("source created")
	if source.Status == schemas.SourceIndexing {
		if err := s.Engine.StartCrawl(c.Request.Context(), productOf(c), source.ID, run); err != nil {
			s.Log.Warn("the crawl will be started later", "source", source.ID, "error", err)
		}
	}
	c.JSON(http.StatusOK, struct {
		ID        string               `json:"id"`
		Status    schemas.SourceStatus `json:"status"`
		Name      string               `json:"name"`
		CreatedAt schemas.Time         `json:"createdAt"`
	}{source.ID, source.Status, source.Name, source.CreatedAt})
	return nil
}

// sourceLine is a source in the list.
type sourceLine struct {
	ID     string               `json:"id"`
	Name   string               `json:"name"`
	Type   string               `json:"type"`
	Status schemas.SourceStatus `json:"status"`
}

func (s *Server) listSources(c *gin.Context) error {
	options, err := s.listOptions(c)
	if err != nil {
		return err
	}
	list, err := s.Store.Sources(c.Request.Context(), productOf(c), options)
	if err != nil {
		return err
	}
	lines := make([]sourceLine, len(list.Items))
	for i, source := range list.Items {
		lines[i] = sourceLine{source.ID, source.Name, source.Type, source.Status}
	}
	c.JSON(http.StatusOK, struct {
		Sources    []sourceLine `json:"sources"`
		Total      int          `json:"total"`
		NextCursor string       `json:"nextCursor,omitempty"`
	}{lines, list.Total, list.Next})
	return nil
}

func (s *Server) getSource(c *gin.Context) error {
	source, err := s.Store.Source(c.Request.Context(), productOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, source)
	return nil
}

// deleteSource hides a source before it answers; the purge, which ends its
// crawl first, goes on by itself.
func (s *Server) deleteSource(c *gin.Context) error {
	id := c.Param("id")
	if err := s.Store.DeleteSource(c.Request.Context(), productOf(c), id); err != nil {
		return err
	}
	if err := s.Engine.StartPurge(c.Request.Context(), productOf(c), id); err != nil {
		s.Log.Warn("the purge will be started later", "source", id, "error", err)
	}
	c.JSON(http.StatusOK, deleted{true, id})
	return nil
}

// deleted is the answer to every DELETE.
type deleted struct {
	Deleted bool   `json:"deleted"`
	ID      string `json:"id"`
}

func (s *Server) listPages(c *gin.Context) error {
	options, err := s.listOptions(c)
	if err != nil {
		return err
	}
	state := schemas.PageState(c.Query("state"))
	list, err := s.Store.Pages(c.Request.Context(), productOf(c), c.Param("id"), state, options)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Pages      []schemas.Page `json:"pages"`
		Total      int            `json:"total"`
		NextCursor string         `json:"nextCursor,omitempty"`
	}{list.Items, list.Total, list.Next})
	return nil
}

func (s *Server) searchKnowledge(c *gin.Context) error {
	var req schemas.SearchRequest
	if err := s.bind(c, &req); err != nil {
		return err
	}
	hits, err := s.Searcher.Search(c.Request.Context(), productOf(c), req)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Hits []schemas.Hit `json:"hits"`
	}{hits})
	return nil
}
