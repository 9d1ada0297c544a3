package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"runa/schemas"
	"runa/store"
)

const (
	// openWithin is how long a chat call waits for its turn to be taken in.
	openWithin = 10 * time.Second
	// openAgain is when a turn that is not there yet is started again: under
	// one key another call's start may have been refused meanwhile. The pause
	// doubles.
	openAgain = time.Second
)

// chat takes a message in as a turn and answers with it when it ends, or with
// where to look for it.
func (s *Server) chat(c *gin.Context) error {
	var req schemas.ChatRequest
	if err := s.bind(c, &req); err != nil {
		return err
	}
	product := productOf(c)
	if req.ProductID != "" && req.ProductID != product {
		return &schemas.Error{Code: schemas.ProductMismatch, Message: "the key belongs to another product", Param: "productId"}
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	s.Fail("chat received")
	turn, err := s.takeIn(c.Request.Context(), product, key, req)
	if err != nil {
		return err
	}
	s.Fail("chat accepted")
	return s.answer(c, product, turn, waitOf(c, req))
}

// takeIn returns the id of the turn that stands for the request, once its row
// is there. Under a key that was used before, it is the turn of that time.
func (s *Server) takeIn(ctx context.Context, product, key string, req schemas.ChatRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	in := schemas.TurnInput{Product: product, Turn: schemas.NewID(schemas.TurnPrefix), Session: req.SessionID, BodyHash: req.Hash()}
	if key != "" {
		in.Turn = schemas.TurnID(product, key)
		known, err := s.Store.Turn(ctx, product, in.Turn)
		if err == nil {
			return in.Turn, sameBody(known, in)
		}
		if schemas.CodeOf(err) != schemas.NotFound {
			return "", err
		}
	}
	if in.Session == "" {
		in.Session = schemas.NewID(schemas.SessionPrefix)
	}
	if err := s.open.take(ctx, product); err != nil && !s.begun(ctx, key, in) {
		return "", err
	}
	var err error
	if in.Draft, err = s.Store.PutDraft(ctx, product, req.Message); err != nil {
		return "", err
	}
	return in.Turn, s.start(ctx, in)
}

// begun reports whether an earlier request under the key has started the turn,
// whose row is yet to come: it must not be told that nothing was taken in.
func (s *Server) begun(ctx context.Context, key string, in schemas.TurnInput) bool {
	if key == "" {
		return false
	}
	open, err := s.Engine.TurnOpen(ctx, in.Product, in.Turn)
	return err == nil && open
}

func sameBody(known store.TurnRecord, in schemas.TurnInput) error {
	if known.BodyHash != in.BodyHash {
		return schemas.Errorf(schemas.IdempotencyMismatch, "this Idempotency-Key was used with another body")
	}
	return nil
}

// start starts the turn's workflow and returns when the turn's row is there, or
// with why it was refused. Starting again is safe: of one id one runs.
func (s *Server) start(ctx context.Context, in schemas.TurnInput) error {
	ref := store.TurnRef{Product: in.Product, Turn: in.Turn, Draft: in.Draft}
	for pause := openAgain; ctx.Err() == nil; pause *= 2 {
		if _, err := s.Engine.StartTurn(ctx, in); err != nil {
			return err
		}
		s.Fail("turn started")
		part, stop := context.WithTimeout(ctx, pause)
		state, err := s.watch.wait(part, ref, func(st store.TurnState) bool { return st.Status != "" || st.Refusal != nil })
		stop()
		switch {
		case errors.Is(err, errClosed):
			return notTaken()
		case err == nil && state.Refusal != nil:
			return state.Refusal
		case err == nil:
			return nil
		}
	}
	return notTaken()
}

func notTaken() error {
	return &schemas.Error{
		Code: schemas.Unavailable, RetryAfter: 2 * time.Second,
		Message: "the message could not be taken in yet; send it again with the same Idempotency-Key",
	}
}

// waitOf is how long the caller wants to be held.
func waitOf(c *gin.Context, req schemas.ChatRequest) time.Duration {
	for _, preference := range strings.Split(c.GetHeader("Prefer"), ",") {
		if strings.EqualFold(strings.TrimSpace(preference), "respond-async") {
			return 0
		}
	}
	if req.Wait != nil {
		return time.Duration(*req.Wait) * time.Second
	}
	return schemas.DefaultWait * time.Second
}

// answer holds the caller until the turn ends or waits for somebody, at most
// for a while, and shows the turn.
func (s *Server) answer(c *gin.Context, product, turn string, wait time.Duration) error {
	if wait > 0 {
		ctx, cancel := context.WithTimeout(callerOf(c), wait)
		defer cancel()
		_, err := s.watch.wait(ctx, store.TurnRef{Product: product, Turn: turn}, func(st store.TurnState) bool {
			return st.Status.Final() || st.Status == schemas.TurnWaiting
		})
		if gone := callerOf(c).Err(); err != nil && gone != nil {
			return gone // the caller is gone; the turn goes on
		}
	}
	ctx, cancel := context.WithTimeout(callerOf(c), answerWithin)
	defer cancel()
	record, err := s.Store.Turn(ctx, product, turn)
	if err != nil {
		return err
	}
	return s.show(c, record)
}

// show answers with a turn by where it stands.
func (s *Server) show(c *gin.Context, record store.TurnRecord) error {
	switch record.Status {
	case schemas.TurnCompleted, schemas.TurnCanceled:
		c.JSON(http.StatusOK, record.View(false))
	case schemas.TurnFailed:
		failure := *record.Error
		failure.TurnID = record.ID
		return &failure
	default:
		c.Header("Location", "/v1/turns/"+record.ID)
		c.JSON(http.StatusAccepted, record.View(false))
	}
	return nil
}

func (s *Server) getTurn(c *gin.Context) error {
	record, err := s.Store.Turn(c.Request.Context(), productOf(c), c.Param("id"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, record.View(true))
	return nil
}
