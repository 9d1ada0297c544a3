package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"runa/schemas"
)

func (s *Server) listConversations(c *gin.Context) error {
	options, err := s.listOptions(c)
	if err != nil {
		return err
	}
	list, err := s.Store.Conversations(c.Request.Context(), productOf(c), options)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Conversations []schemas.Conversation `json:"conversations"`
		Total         int                    `json:"total"`
		NextCursor    string                 `json:"nextCursor,omitempty"`
	}{list.Items, list.Total, list.Next})
	return nil
}

func (s *Server) getConversation(c *gin.Context) error {
	messages, err := s.Store.Messages(c.Request.Context(), productOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		ID       string            `json:"id"`
		Messages []schemas.Message `json:"messages"`
	}{c.Param("id"), messages})
	return nil
}
