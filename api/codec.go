package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"runa/schemas"
)

// decodePayloads is a codec server: Temporal's tools send it the payloads of a
// history to be shown in plain.
func (s *Server) decodePayloads(c *gin.Context) error {
	var sealed schemas.Payloads
	if err := s.bind(c, &sealed); err != nil {
		return err
	}
	plain, err := s.Decode(sealed.Payloads)
	if err != nil {
		s.Log.Info("payloads could not be decoded", "requestId", requestID(c), "error", err)
		return schemas.Errorf(schemas.InvalidRequest, "these payloads are not of this installation")
	}
	c.JSON(http.StatusOK, schemas.Payloads{Payloads: plain})
	return nil
}
