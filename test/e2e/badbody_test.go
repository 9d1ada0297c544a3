package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// bodies tries bodies that are no JSON, too large, of another type, and then,
// field by field, all that the body's schema does not take.
func (e endpoint) bodies() {
	if e.operation.RequestBody == nil {
		return
	}
	for _, body := range []string{
		"", " ", "{", "}", "[]", "null", "7", `"text"`, "{}{}", "{}garbage", `{"a":}`, "{'a':1}", "\xff\xfe", "\x00",
		strings.Repeat("[", 20_000), strings.Repeat(`{"a":`, 20_000),
	} {
		e.refuseBody(body, schemas.InvalidRequest, "")
	}
	valid := e.request(e.object(e.mine.product))
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ";"} {
		valid.Header = map[string]string{"Content-Type": kind}
		e.refuse(e.t, http.StatusUnsupportedMediaType, schemas.UnsupportedMedia, valid)
	}
	large := e.request(e.object(e.mine.product))
	large.Body = `{"a":"` + strings.Repeat("a", 1<<20) + `"}`
	e.refuse(e.t, http.StatusRequestEntityTooLarge, schemas.TooLarge, large)

	schema := e.json().Schema.Value
	for _, name := range schema.Required {
		body := e.example()
		delete(body, name)
		e.refuseBody(body, schemas.InvalidRequest, name)
	}
	e.fields(schema, func(name string, value any) map[string]any {
		body := e.example()
		body[name] = value
		return body
	}, "")
}

// fields tries a field that is not documented, and each that is with values
// that it does not take. within puts a field into a body that is valid else.
func (e endpoint) fields(schema *openapi3.Schema, within func(string, any) map[string]any, above string) {
	for _, unknown := range []string{"nope", "Nope2", "__proto__"} {
		e.refuseBody(within(unknown, 1), schemas.UnknownField, "")
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		field := schema.Properties[name].Value
		e.refuseBody(within(strings.ToUpper(name), within(name, nil)[name]), schemas.UnknownField, "")
		for _, value := range wrongValues(field) {
			e.refuseBody(within(name, value), schemas.InvalidRequest, above+name)
		}
		if field.Type.Is("string") && !strings.HasSuffix(name, "Id") { // an id of nothing is answered as such
			e.refuseBody(within(name, "not every store\x00could keep it"), schemas.InvalidRequest, above+name)
		}
		if len(field.Properties) > 0 {
			e.fields(field, func(inner string, value any) map[string]any {
				return within(name, map[string]any{inner: value})
			}, above+name+".")
		}
	}
}

// refuseBody sends a body that must be refused; param is the field that the
// answer must name, or one within it.
func (e endpoint) refuseBody(body any, code schemas.Code, param string) {
	e.t.Helper()
	req := e.request(e.object(e.mine.product))
	req.Body = body
	failure, _ := e.refuse(e.t, http.StatusBadRequest, code, req)
	if param != "" {
		require.True(e.t, failure.Param == param || strings.HasPrefix(failure.Param, param+"."),
			"%s %s %.200v: the answer names %q, not %q", e.method, e.path, body, failure.Param, param)
	}
}

// wrongValues are values that a schema does not take: of every other type, and
// beyond each bound.
func wrongValues(s *openapi3.Schema) []any {
	values := wrongTypes(s)
	switch {
	case s.Type.Is("string"):
		values = append(values, wrongStrings(s)...)
	case s.Type.Is("integer"):
		values = append(values, 1.5, *s.Min-1, *s.Max+1, 1e30)
	case s.Type.Is("array"):
		for _, inner := range wrongTypes(s.Items.Value) {
			values = append(values, []any{inner})
		}
	case s.AdditionalProperties.Schema != nil:
		for _, inner := range wrongTypes(s.AdditionalProperties.Schema.Value) {
			values = append(values, map[string]any{"X-Name": inner})
		}
	}
	return values
}

func wrongTypes(s *openapi3.Schema) []any {
	all := map[string]any{"string": "text", "integer": 7, "boolean": true, "object": map[string]any{}, "array": []any{}}
	if s.Type.Is("number") {
		delete(all, "integer")
	}
	var wrong []any
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		if !s.Type.Is(kind) {
			wrong = append(wrong, all[kind])
		}
	}
	if !s.Nullable {
		wrong = append(wrong, nil)
	}
	return wrong
}

func wrongStrings(s *openapi3.Schema) (values []any) {
	if len(s.Enum) > 0 {
		values = append(values, "bogus", "")
	}
	if s.Pattern != "" {
		values = append(values, "?!", "\u00e4 b")
	}
	if s.MinLength > 0 {
		values = append(values, "")
	}
	if s.MaxLength != nil {
		values = append(values, strings.Repeat("a", int(*s.MaxLength)+1))
	}
	return values
}
