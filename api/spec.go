package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"runa/schemas"
)

// spec holds requests against schemas/openapi.yaml.
type spec struct {
	document *openapi3.T
	options  *openapi3filter.Options
}

func loadSpec() (*spec, error) {
	document, err := openapi3.NewLoader().LoadFromData(schemas.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return &spec{document: document, options: &openapi3filter.Options{
		SkipSettingDefaults: true, // a body is read as it was sent
		AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc,
	}}, nil
}

var ginParam = regexp.MustCompile(`:(\w+)`)

// check refuses a request that the document does not allow. The route is
// known already; the document is not searched for it.
func (s *spec) check(c *gin.Context, body []byte) error {
	path := ginParam.ReplaceAllString(c.FullPath(), "{$1}")
	item := s.document.Paths.Value(path)
	if item == nil || item.GetOperation(c.Request.Method) == nil {
		return fmt.Errorf("openapi.yaml lacks %s %s", c.Request.Method, path)
	}
	params := map[string]string{}
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	req := c.Request.Clone(c.Request.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	err := openapi3filter.ValidateRequest(req.Context(), &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, Options: s.options,
		Route: &routers.Route{Spec: s.document, Path: path, PathItem: item, Method: req.Method, Operation: item.GetOperation(req.Method)},
	})
	return specError(err)
}

// specError says in the API's words what the document does not allow.
func specError(err error) error {
	if err == nil {
		return nil
	}
	var parameter *openapi3filter.RequestError
	param, reason := "", "the request does not fit openapi.yaml"
	if errors.As(err, &parameter) && parameter.Parameter != nil {
		param = parameter.Parameter.Name
	}
	var schema *openapi3.SchemaError
	if errors.As(err, &schema) {
		if path := schema.JSONPointer(); len(path) > 0 && param == "" {
			param = strings.Join(path, ".")
		}
		reason = schema.Reason
		if field := unknownField(schema); field != "" {
			return unknownFieldError(field)
		}
	}
	if param != "" {
		reason = param + ": " + reason
	}
	return &schemas.Error{Code: schemas.InvalidRequest, Message: reason, Param: param}
}

// unknownField is the field that a schema does not have, if that is the error.
// Decoding has refused most of them, but reads "Name" as name.
func unknownField(err *openapi3.SchemaError) string {
	field, is := strings.CutSuffix(err.Reason, " is unsupported")
	field, quoted := strings.CutPrefix(field, "property ")
	if name, err := strconv.Unquote(field); is && quoted && err == nil {
		return name
	}
	return ""
}

func (s *Server) openapi(c *gin.Context) error {
	c.Data(http.StatusOK, "application/yaml", schemas.OpenAPI())
	return nil
}
