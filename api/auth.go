package api

import (
	"strings"

	"github.com/gin-gonic/gin"

	"runa/schemas"
	"runa/store"
)

const principalKey = "runa.principal"

// productOf is the product of the key that a request came with. Every read and
// write of a handler is of this product.
func productOf(c *gin.Context) string { return c.MustGet(principalKey).(store.Principal).Product }

// requireProduct lets product keys in.
func (s *Server) requireProduct(c *gin.Context) error {
	p, err := s.authenticate(c)
	if err != nil {
		return err
	}
	if p.Product == "" {
		return schemas.Errorf(schemas.Forbidden, "an operator's key opens /v1/products and /v1/keys only; use a product's key")
	}
	return nil
}

// requireOperator lets the operator's key in.
func (s *Server) requireOperator(c *gin.Context) error {
	p, err := s.authenticate(c)
	if err != nil {
		return err
	}
	if p.Product != "" {
		return schemas.Errorf(schemas.Forbidden, "this needs the operator's key")
	}
	return nil
}

func (s *Server) authenticate(c *gin.Context) (store.Principal, error) {
	scheme, key, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		c.Header("WWW-Authenticate", "Bearer")
		return store.Principal{}, schemas.Errorf(schemas.Unauthenticated, "send the API key as Authorization: Bearer KEY")
	}
	p, err := s.Store.Authenticate(c.Request.Context(), key)
	if schemas.CodeOf(err) == schemas.Unauthenticated {
		c.Header("WWW-Authenticate", "Bearer")
		if limited := s.limits.take("failed from " + c.RemoteIP()); limited != nil {
			return p, limited
		}
	}
	if err != nil {
		return p, err
	}
	c.Set(principalKey, p)
	return p, s.limits.take(p.Key)
}
