// Package schemastest holds real answers of the API against openapi.yaml. It
// is for tests only: it is stricter than the document, because what the server
// sends must be documented to the last field, while a client has to live with
// fields that come later.
package schemastest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// codesExtension is the key of a response under which the document lists the
// error codes that the response may carry.
const codesExtension = "x-error-codes"

// Validator knows the document. It is safe for concurrent use.
type Validator struct {
	doc    *openapi3.T
	router routers.Router
}

// NewValidator loads and validates the document.
func NewValidator(t testing.TB) *Validator {
	t.Helper()
	doc := MustLoad(t)
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return &Validator{doc: doc, router: router}
}

// MustLoad returns the document, validated with its examples, with every
// object closed that does not say of itself that it is open.
func MustLoad(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(schemas.OpenAPI())
	require.NoError(t, err)
	require.NoError(t, doc.WalkSchemas(closeObject))
	require.NoError(t, doc.Validate(context.Background()))
	return doc
}

func closeObject(_ string, ref *openapi3.SchemaRef) error {
	s := ref.Value
	if s.Type.Is("object") && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		closed := false
		s.AdditionalProperties.Has = &closed
	}
	return nil
}

// CheckResponse fails the test if the answer to the method on the path is not
// as documented: an undocumented status, a missing header, another content
// type, a field that is missing, undocumented or of another type, an error code
// that does not belong to the status. Path may have a query. An answer on a
// path or method that is not documented must be the 404 or 405 error.
func (v *Validator) CheckResponse(t testing.TB, method, path string, status int, header http.Header, body []byte) {
	t.Helper()
	if err := v.check(method, path, status, header, body); err != nil {
		t.Fatalf("%s %s answered %d, which is not as documented: %v\nbody: %s", method, path, status, err, excerpt(body))
	}
}

func (v *Validator) check(method, path string, status int, header http.Header, body []byte) error {
	// The path is only matched: the answer is there already.
	req, err := http.NewRequestWithContext(context.Background(), method, path, http.NoBody)
	if err != nil {
		return err
	}
	route, params, err := v.find(req, status)
	if err != nil {
		return err
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 status,
		Header:                 header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", route.Path, readable(err))
	}
	return checkCode(route.Operation.Responses.Status(status).Value, body)
}

// find returns the route of a request. One that is not documented gets a route
// with the one response that the API gives to such requests.
func (v *Validator) find(req *http.Request, status int) (*routers.Route, map[string]string, error) {
	route, params, err := v.router.FindRoute(req)
	if err == nil {
		return route, params, nil
	}
	name := map[int]string{http.StatusNotFound: "NotFound", http.StatusMethodNotAllowed: "MethodNotAllowed"}[status]
	if name == "" {
		return nil, nil, fmt.Errorf("%w, so it must be 404 or 405", err)
	}
	responses := openapi3.NewResponses(openapi3.WithStatus(status, v.doc.Components.Responses[name]))
	return &routers.Route{
		Spec:      v.doc,
		Path:      req.URL.Path,
		Method:    req.Method,
		Operation: &openapi3.Operation{Responses: responses},
	}, nil, nil
}

func checkCode(response *openapi3.Response, body []byte) error {
	codes, ok := response.Extensions[codesExtension].([]any)
	if !ok {
		return nil
	}
	var answer struct {
		Error struct{ Code string } `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if !slices.Contains(codes, any(answer.Error.Code)) {
		return fmt.Errorf("code %q does not belong to this status, which has %v", answer.Error.Code, codes)
	}
	return nil
}

// readable reduces an error to its deviations, whose own text would repeat the
// schema and the value.
func readable(err error) error {
	var answer *openapi3filter.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	if answer.Err == nil {
		return errors.New(answer.Reason)
	}
	return fmt.Errorf("%s: %s", answer.Reason, strings.Join(deviations(answer.Err), "; "))
}

// deviations are the failed rules, each with the place it failed at.
func deviations(err error) []string {
	var (
		several openapi3.MultiError
		one     *openapi3.SchemaError
		lines   []string
	)
	switch {
	case errors.As(err, &several):
		for _, e := range several {
			lines = append(lines, deviations(e)...)
		}
		return lines
	case errors.As(err, &one):
		return []string{"/" + strings.Join(one.JSONPointer(), "/") + ": " + one.Reason}
	default:
		return []string{err.Error()}
	}
}

func excerpt(body []byte) []byte {
	const most = 2000
	return body[:min(len(body), most)]
}
