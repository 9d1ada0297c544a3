package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"runa/schemas"
)

// statuses maps each code to its HTTP status.
var statuses = map[schemas.Code]int{
	schemas.InvalidRequest:      http.StatusBadRequest,
	schemas.UnknownField:        http.StatusBadRequest,
	schemas.Unauthenticated:     http.StatusUnauthorized,
	schemas.Forbidden:           http.StatusForbidden,
	schemas.ProductMismatch:     http.StatusForbidden,
	schemas.NotFound:            http.StatusNotFound,
	schemas.MethodNotAllowed:    http.StatusMethodNotAllowed,
	schemas.Conflict:            http.StatusConflict,
	schemas.ConversationBusy:    http.StatusConflict,
	schemas.Gone:                http.StatusGone,
	schemas.TooLarge:            http.StatusRequestEntityTooLarge,
	schemas.UnsupportedMedia:    http.StatusUnsupportedMediaType,
	schemas.IdempotencyMismatch: http.StatusUnprocessableEntity,
	schemas.TurnLimit:           http.StatusUnprocessableEntity,
	schemas.RateLimited:         http.StatusTooManyRequests,
	schemas.ModelUnavailable:    http.StatusBadGateway,
	schemas.ModelRefused:        http.StatusBadGateway,
	schemas.Unavailable:         http.StatusServiceUnavailable,
	schemas.Interrupted:         http.StatusInternalServerError,
	schemas.Internal:            http.StatusInternalServerError,
}

type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Code      schemas.Code `json:"code"`
	Message   string       `json:"message"`
	Param     string       `json:"param,omitempty"`
	RequestID string       `json:"requestId"`
	TurnID    string       `json:"turnId,omitempty"`
	DocURL    string       `json:"docUrl,omitempty"`
}

// handle turns a handler's error into its answer, and logs what is ours.
func (s *Server) handle(do func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := do(c); err != nil {
			s.fail(c, err)
		}
	}
}

func (s *Server) fail(c *gin.Context, err error) {
	e := s.public(c, err)
	status := statuses[e.Code]
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		wait := max(time.Second, e.RetryAfter)
		c.Header("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	c.AbortWithStatusJSON(status, errorBody{errorDetail{
		Code: e.Code, Message: e.Message, Param: e.Param, RequestID: requestID(c), TurnID: e.TurnID,
	}})
}

// public is the error as the caller may see it. What is not meant for callers
// is logged under the request's id and said to be internal.
func (s *Server) public(c *gin.Context, err error) *schemas.Error {
	e := schemas.AsError(err)
	switch {
	case e != nil && e.Code != schemas.Internal && statuses[e.Code] != 0: // a row may hold the code of another version
		if e.Code == schemas.Unavailable {
			s.Log.Warn("request failed", "requestId", requestID(c), "route", c.FullPath(), "error", err)
		}
		return e
	case errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil:
		return schemas.Errorf(schemas.Unavailable, "the request was canceled")
	case errors.Is(err, context.DeadlineExceeded):
		s.Log.Warn("request failed", "requestId", requestID(c), "route", c.FullPath(), "error", err)
		return schemas.Errorf(schemas.Unavailable, "what this needs did not answer in time")
	}
	s.Log.Error("request failed", "requestId", requestID(c), "route", c.FullPath(), "error", err)
	internal := schemas.Errorf(schemas.Internal, "Internal error")
	if e != nil {
		internal.TurnID = e.TurnID
	}
	return internal
}
