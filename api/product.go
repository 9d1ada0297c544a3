package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"runa/schemas"
)

type productSpec struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Validate refuses what could not be listed.
func (p *productSpec) Validate() error {
	if p.ID != "" {
		if err := schemas.ValidateProductID(p.ID); err != nil {
			return err
		}
	}
	return schemas.ValidateProductName(p.Name)
}

func (s *Server) createProduct(c *gin.Context) error {
	var spec productSpec
	if err := s.bind(c, &spec); err != nil {
		return err
	}
	if spec.ID == "" {
		spec.ID = schemas.NewID(schemas.ProductPrefix)
	}
	p, err := s.Store.CreateProduct(c.Request.Context(), spec.ID, spec.Name)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, p)
	return nil
}

func (s *Server) listProducts(c *gin.Context) error {
	options, err := s.listOptions(c)
	if err != nil {
		return err
	}
	list, err := s.Store.Products(c.Request.Context(), options)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, struct {
		Products   []schemas.Product `json:"products"`
		Total      int               `json:"total"`
		NextCursor string            `json:"nextCursor,omitempty"`
	}{list.Items, list.Total, list.Next})
	return nil
}

func (s *Server) getProduct(c *gin.Context) error {
	p, err := s.Store.Product(c.Request.Context(), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, p)
	return nil
}

type rename struct {
	Name string `json:"name"`
}

// Validate refuses a name that could not be listed.
func (r *rename) Validate() error { return schemas.ValidateProductName(r.Name) }

func (s *Server) updateProduct(c *gin.Context) error {
	var req rename
	if err := s.bind(c, &req); err != nil {
		return err
	}
	if err := s.Store.RenameProduct(c.Request.Context(), c.Param("id"), req.Name); err != nil {
		return err
	}
	return s.getProduct(c)
}

func (s *Server) deleteProduct(c *gin.Context) error {
	if err := s.Store.DeleteProduct(c.Request.Context(), c.Param("id")); err != nil {
		return err
	}
	c.JSON(http.StatusOK, deleted{true, c.Param("id")})
	return nil
}
