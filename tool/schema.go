package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"runa/schemas"
)

// Limits of schemas and arguments.
const (
	MaxArguments = 64 << 10 // bytes
	maxDepth     = 32       // of nested objects and arrays
	maxExtras    = 50       // of the items of "params"
)

// extras is the argument by which a model adds parameters that a tool without
// a schema does not name.
const extras = "params"

// schemaURL is where a tool's schema is said to be: nowhere, so that a relative
// $ref leads nowhere too.
const schemaURL = "runa:///parameters"

// Schema is the JSON Schema of the tool's arguments, as the model is told it:
// the owner's, or, if there is none, required strings for the {placeholders}
// of the endpoint and optional "params".
func Schema(t schemas.Tool) json.RawMessage {
	if hasParameters(t.Parameters) {
		return t.Parameters
	}
	required := schemas.Placeholders(t.Endpoint)
	properties := map[string]any{extras: extrasSchema()}
	for _, name := range required {
		properties[name] = map[string]any{"type": "string", "minLength": 1}
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		panic(err) // strings and maps of them always marshal
	}
	return raw
}

func extrasSchema() map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{
		"type":        "array",
		"description": "Further parameters of the request, if the description names any.",
		"maxItems":    maxExtras,
		"items": map[string]any{
			"type":                 "object",
			"properties":           map[string]any{"name": map[string]any{"type": "string", "minLength": 1}, "value": text},
			"required":             []string{"name", "value"},
			"additionalProperties": false,
		},
	}
}

func hasParameters(parameters json.RawMessage) bool {
	p := bytes.TrimSpace(parameters)
	return len(p) > 0 && !bytes.Equal(p, []byte("null"))
}

// takesExtras tells whether "params" of the arguments are parameters themselves.
func takesExtras(t schemas.Tool) bool {
	return !hasParameters(t.Parameters) && !slices.Contains(schemas.Placeholders(t.Endpoint), extras)
}

// Validate refuses, with a *schemas.Error, parameters that are not a schema of
// an object, that refer to anything outside themselves, that could take very
// long to check, or that lack a {placeholder} of the endpoint. No parameters
// are valid.
func Validate(parameters json.RawMessage, endpoint string) error {
	if !hasParameters(parameters) {
		return nil
	}
	if len(parameters) > schemas.MaxToolParameters {
		return invalidParameters("must be at most %d bytes", schemas.MaxToolParameters)
	}
	doc, err := decode(parameters)
	if err != nil {
		return invalidParameters("%s", err)
	}
	root, ok := doc.(map[string]any)
	if !ok || root["type"] != "object" {
		return invalidParameters(`must be a JSON Schema with "type": "object"`)
	}
	compiled, err := compile(doc)
	if err != nil {
		return invalidParameters("%s", err)
	}
	if tooCostly(compiled) {
		return invalidParameters("combines too many schemas: a check of arguments could take too long")
	}
	return checkPlaceholders(root, endpoint)
}

func checkPlaceholders(root map[string]any, endpoint string) error {
	properties, _ := root["properties"].(map[string]any)
	for _, name := range schemas.Placeholders(endpoint) {
		if _, ok := properties[name]; !ok {
			return invalidParameters("must have a property %q: the endpoint holds {%s}", name, name)
		}
	}
	return nil
}

func invalidParameters(format string, args ...any) error {
	return schemas.Invalid("parameters", "parameters %s", fmt.Sprintf(format, args...))
}

// offline refuses to load what a schema refers to; the drafts themselves come
// with the library.
type offline struct{}

// Load implements jsonschema.URLLoader.
func (offline) Load(string) (any, error) {
	return nil, errors.New("references to other documents are not followed")
}

func compile(doc any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(offline{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("are not a JSON Schema: %w", err)
	}
	s, err := c.Compile(schemaURL)
	if err == nil {
		return s, nil
	}
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return nil, fmt.Errorf("must not refer to another document: %s", shorten(load.URL, 200))
	}
	var meta *jsonschema.SchemaValidationError // does not unwrap
	var invalid *jsonschema.ValidationError
	if errors.As(err, &meta) && errors.As(meta.Err, &invalid) {
		return nil, fmt.Errorf("are not a valid JSON Schema: %s", explain(invalid))
	}
	return nil, fmt.Errorf("are not a valid JSON Schema: %s", shorten(strings.ReplaceAll(err.Error(), schemaURL, ""), 300))
}

// decode reads one JSON value, keeping numbers as they are written, and
// refuses what is costly to handle.
func decode(raw json.RawMessage) (any, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("must be JSON")
	}
	if err := checkSize(v, maxDepth); err != nil {
		return nil, err
	}
	return v, nil
}

func checkSize(v any, depth int) error {
	if depth < 0 {
		return fmt.Errorf("must not be nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case json.Number:
		return checkNumber(v.String())
	case []any:
		for _, item := range v {
			if err := checkSize(item, depth-1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range v {
			if err := checkSize(item, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkNumber refuses numbers whose exact value fills memory: schemas are
// checked in exact arithmetic, and 1e999999999 has a billion digits.
func checkNumber(text string) error {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if len(mantissa) > 100 || len(strings.TrimLeft(exponent, "+-0")) > 3 {
		return errors.New("must not hold numbers of more than 100 digits or of exponents beyond 999")
	}
	return nil
}

// shorten cuts text to at most n bytes, at the boundary of a character.
func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
