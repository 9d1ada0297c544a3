package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"runa/schemas"
)

type keySpec struct {
	ProductID string `json:"productId"`
	Name      string `json:"name"`
}

// Validate refuses what could not be listed.
func (k *keySpec) Validate() error {
	if k.ProductID == "" {
		return schemas.Invalid("productId", "productId must name the product that the key opens")
	}
	return schemas.ValidateKeyName(k.Name)
}

// createKey answers with the only copy of a key.
func (s *Server) createKey(c *gin.Context) error {
	var spec keySpec
	if err := s.bind(c, &spec); err != nil {
		return err
	}
	key, secret, err := s.Store.CreateKey(c.Request.Context(), spec.ProductID, spec.Name)
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, struct {
		ID        string       `json:"id"`
		Key       string       `json:"key"`
		ProductID string       `json:"productId"`
		Name      string       `json:"name"`
		Hint      string       `json:"hint"`
		CreatedAt schemas.Time `json:"createdAt"`
	}{key.ID, secret, key.ProductID, key.Name, key.Hint, key.CreatedAt})
	return nil
}

func (s *Server) listKeys(c *gin.Context) error {
	options, err := s.listOptions(c)
	if err != nil {
		return err
	}
	list, err := s.Store.Keys(c.Request.Context(), c.Query("productId"), options)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Keys       []schemas.Key `json:"keys"`
		Total      int           `json:"total"`
		NextCursor string        `json:"nextCursor,omitempty"`
	}{list.Items, list.Total, list.Next})
	return nil
}

func (s *Server) getKey(c *gin.Context) error {
	key, err := s.Store.Key(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, key)
	return nil
}

func (s *Server) updateKey(c *gin.Context) error {
	var req rename
	if err := s.bind(c, &req); err != nil {
		return err
	}
	if err := s.Store.RenameKey(c.Request.Context(), c.Param("id"), req.Name); err != nil {
		return err
	}
	return s.getKey(c)
}

func (s *Server) revokeKey(c *gin.Context) error {
	if err := s.Store.RevokeKey(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	c.JSON(http.StatusOK, deleted{true, c.Param("id")})
	return nil
}
