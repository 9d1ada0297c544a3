package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"runa/schemas"
	"runa/store"
)

// maxBody bounds a request's body.
const maxBody = 1 << 20

// validator is a body that knows its rules.
type validator interface{ Validate() error }

// bind reads the body into dest and holds it against the rules of its type,
// whose messages are the better ones, then against openapi.yaml.
func (s *Server) bind(c *gin.Context, dest any) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	if err := decode(body, dest); err != nil {
		return err
	}
	if v, ok := dest.(validator); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	return s.spec.check(c, body)
}

func readBody(c *gin.Context) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, schemas.Errorf(schemas.UnsupportedMedia, "Content-Type must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, schemas.Errorf(schemas.TooLarge, "the body is larger than 1 MB")
	case err != nil:
		return nil, schemas.Errorf(schemas.InvalidRequest, "the body could not be read")
	}
	return body, nil
}

// decode reads one JSON value strictly: no unknown field, nothing behind it.
func decode(body []byte, dest any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(dest); err != nil {
		return decodeError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return schemas.Errorf(schemas.InvalidRequest, "the body must be one JSON object")
	}
	return nil
}

func decodeError(err error) error {
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		if wrongType.Field == "" {
			return schemas.Errorf(schemas.InvalidRequest, "the body must be a JSON object")
		}
		return schemas.Invalid(wrongType.Field, "%s must not be a %s", wrongType.Field, wrongType.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		field := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return unknownFieldError(field)
	}
	return schemas.Errorf(schemas.InvalidRequest, "the body is not valid JSON")
}

func unknownFieldError(field string) error {
	return &schemas.Error{Code: schemas.UnknownField, Message: "unknown field " + strconv.Quote(field), Param: field}
}

// maxLimit is the longest page of a list.
const maxLimit = 100

// listOptions reads limit and cursor.
func (s *Server) listOptions(c *gin.Context) (store.ListOptions, error) {
	q := struct {
		Limit  int    `form:"limit"`
		Cursor string `form:"cursor"`
	}{Limit: store.DefaultLimit}
	if err := c.ShouldBindQuery(&q); err != nil || q.Limit < 1 || q.Limit > maxLimit {
		return store.ListOptions{}, schemas.Invalid("limit", "limit must be 1 to %d", maxLimit)
	}
	return store.ListOptions{Limit: q.Limit, Cursor: q.Cursor}, s.spec.check(c, nil)
}

// idempotency reads the Idempotency-Key of a request with a body.
func idempotency(c *gin.Context, body any) (store.Idempotency, error) {
	key, err := idempotencyKey(c)
	if err != nil || key == "" {
		return store.Idempotency{}, err
	}
	text, err := json.Marshal(body)
	return store.Idempotency{Key: key, BodyHash: schemas.BodyHash(string(text))}, err
}

func idempotencyKey(c *gin.Context) (string, error) {
	keys, given := c.Request.Header["Idempotency-Key"]
	if !given {
		return "", nil
	}
	key := keys[0]
	if len(keys) != 1 || key == "" || len(key) > schemas.MaxKeyCharacters || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", schemas.Invalid("Idempotency-Key", "Idempotency-Key must be 1 to %d visible ASCII characters", schemas.MaxKeyCharacters)
	}
	return key, nil
}
