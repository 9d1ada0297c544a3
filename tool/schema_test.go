package tool_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/tool"
)

const orderSchema = `{
	"type": "object",
	"properties": {
		"user": {"type": "string", "minLength": 2},
		"count": {"type": "integer", "minimum": 1, "maximum": 10},
		"items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}},
		"status": {"enum": ["open", "closed"]}
	},
	"required": ["user"],
	"additionalProperties": false
}`

func TestSchemaIsTheOwners(t *testing.T) {
	t.Parallel()
	got := tool.Schema(schemas.Tool{Parameters: json.RawMessage(orderSchema)})
	require.Equal(t, orderSchema, string(got)) //nolint:testifylint // to the letter: the model sees what the owner wrote
}

func TestSchemaOfPlaceholders(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"", "null", " "} {
		got := tool.Schema(schemas.Tool{Endpoint: "https://x.test/{org}/users/{id}?v={org}", Parameters: json.RawMessage(parameters)})
		require.JSONEq(t, `{"type":"object","required":["org","id"],"additionalProperties":false,"properties":{
			"org":{"type":"string","minLength":1},"id":{"type":"string","minLength":1},
			"params":{"type":"array","maxItems":50,"description":"Further parameters of the request, if the description names any.",
				"items":{"type":"object","required":["name","value"],"additionalProperties":false,
					"properties":{"name":{"type":"string","minLength":1},"value":{"type":"string"}}}}}}`, string(got))
		require.NoError(t, tool.Validate(got, ""))
	}
	require.NotContains(t, string(tool.Schema(schemas.Tool{Endpoint: "https://x.test/{params}"})), "maxItems")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"type":"object","properties":{"a":`, 40) + `{}` + strings.Repeat(`}}`, 40)
	for _, c := range []struct{ name, parameters, want string }{
		{"none", ``, ""},
		{"null", `null`, ""},
		{"order", orderSchema, ""},
		{"draft 7", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"string"}}}`, ""},
		{"2020-12", `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"id":{}}}`, ""},
		{"own definitions", `{"type":"object","properties":{"id":{"$ref":"#/$defs/id"}},"$defs":{"id":{"type":"string"}}}`, ""},
		{"recursive", `{"type":"object","properties":{"id":{},"l":{"$ref":"#"},"r":{"$ref":"#"}}}`, ""},
		{"no JSON", `{`, "must be JSON"},
		{"two values", `{} {}`, "must be JSON"},
		{"a list", `[]`, `with "type": "object"`},
		{"true", `true`, `with "type": "object"`},
		{"a string", `{"type":"string"}`, `with "type": "object"`},
		{"no type", `{"properties":{}}`, `with "type": "object"`},
		{"wrong type", `{"type":"object","properties":{"a":{"type":"strin"}}}`, "not a valid JSON Schema: properties.a.type"},
		{"wrong keyword", `{"type":"object","required":"a"}`, "not a valid JSON Schema: required"},
		{"wrong pattern", `{"type":"object","properties":{"a":{"pattern":"(?<=x)"}}}`, "not a valid JSON Schema"},
		{"remote", `{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1:1/s.json"}}}`, "must not refer to another document: http://127.0.0.1:1/s.json"},
		{"file", `{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`, "must not refer to another document"},
		{"relative", `{"type":"object","properties":{"a":{"$ref":"other.json"}}}`, "must not refer to another document"},
		{"remote draft", `{"$schema":"http://127.0.0.1:1/draft","type":"object"}`, "must not refer to another document"},
		{"dangling", `{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}}}`, "not a valid JSON Schema"},
		{"deep", deep, "nested deeper than 32"},
		{"long number", `{"type":"object","maxProperties":` + strings.Repeat("9", 101) + `}`, "100 digits"},
		{"huge number", `{"type":"object","properties":{"id":{"maximum":1e999999999}}}`, "exponents"},
		{"large", `{"type":"object","description":"` + strings.Repeat("x", schemas.MaxToolParameters) + `"}`, "at most 65536 bytes"},
		{"no placeholder", `{"type":"object","properties":{"ID":{}}}`, `property "id"`},
		{"branching", branching(20), "too many schemas"},
	} {
		err := tool.Validate(json.RawMessage(c.parameters), "https://x.test/users/{id}")
		if c.name == "order" {
			err = tool.Validate(json.RawMessage(c.parameters), "https://x.test/users/{user}")
		}
		if c.want == "" {
			require.NoError(t, err, c.name)
			continue
		}
		e := schemas.AsError(err)
		require.NotNil(t, e, c.name)
		require.Equal(t, schemas.InvalidRequest, e.Code, c.name)
		require.Equal(t, "parameters", e.Param, c.name)
		require.Contains(t, e.Message, c.want, c.name)
		require.Less(t, len(e.Message), 800, c.name)
	}
}

// branching asks for 2^n checks of one value.
func branching(n int) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i+1, i+1))
	}
	return fmt.Sprintf(`{"type":"object","properties":{"id":{"$ref":"#/$defs/d0"}},"$defs":{%s,"d%d":{}}}`, strings.Join(defs, ","), n)
}

func TestRecursionThatBranchesIsRefused(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, s := range []string{
		`{"type":"object","properties":{"x":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}`,
		`{"type":"object","patternProperties":{"x":{"$ref":"#"},"y":{"$ref":"#"}}}`,
		`{"type":"object","properties":{"x":{"items":{"anyOf":[{"$ref":"#"},{"$ref":"#/properties/x"},{"$ref":"#"}]}}}}`,
		`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","additionalProperties":{"$ref":"#"},"dependencies":{"x":{"not":{"$ref":"#"}}},"properties":{"y":{"items":[{"$ref":"#"}],"if":{"$ref":"#"}}}}`,
	} {
		require.ErrorContains(t, tool.Validate(json.RawMessage(s), ""), "too many schemas", s)
	}
	require.Less(t, time.Since(start), 2*time.Second)
}

func TestCheckArguments(t *testing.T) {
	t.Parallel()
	order := schemas.Tool{Endpoint: "https://x.test/users/{user}/orders?v=1", Method: "GET", Parameters: json.RawMessage(orderSchema)}
	bare := schemas.Tool{Endpoint: "https://x.test/users/{id}?tenant=7", Method: "GET"}
	free := schemas.Tool{Endpoint: "https://x.test/users/{id}", Method: "POST", Parameters: json.RawMessage(`{"type":"object","properties":{"id":{}}}`)}
	for _, c := range []struct {
		tool       schemas.Tool
		args, want string
	}{
		{order, `{"user":"ab","count":3,"items":[{"sku":"s"}],"status":"open"}`, ""},
		{order, `{}`, "user: is required"},
		{order, ``, "user: is required"},
		{order, `null`, "user: is required"},
		{order, `{"user":"ab","cuont":1}`, "cuont: is not a parameter"},
		{order, `{"user":"ab","count":"1"}`, "count: got string, want integer"},
		{order, `{"user":"ab","count":11}`, "count: maximum: got 11, want 10"},
		{order, `{"user":"a"}`, "user: minLength: got 1, want 2"},
		{order, `{"user":"ab","items":[{"sku":"s"},{}]}`, "items[1].sku: is required"},
		{order, `{"user":"ab","items":[{"sku":1}]}`, "items[0].sku: got number, want string"},
		{order, `{"user":"ab","status":"done"}`, "status: value must be one of 'open', 'closed'"},
		{order, `{"a":1,"b":1,"c":1}`, "a: is not a parameter; b: is not a parameter; c: is not a parameter; and 1 more"},
		{order, `[]`, "the arguments must be a JSON object"},
		{order, `{`, "the arguments must be JSON"},
		{order, `{"user":"..","count":1}`, "user: must not hold . or .. as a part of the path"},
		{bare, `{"id":"7"}`, ""},
		{bare, `{"id":"7","params":[{"name":"q","value":""}]}`, ""},
		{bare, `{"id":7}`, "id: got number, want string"},
		{bare, `{"id":""}`, "id: minLength: got 0, want 1"},
		{bare, `{"id":"7","q":"x"}`, "q: is not a parameter"},
		{bare, `{"id":"7","params":[{"name":"q"}]}`, "params[0].value: is required"},
		{bare, `{"id":"7","params":[{"name":"tenant","value":"8"}]}`, "tenant: is fixed by the endpoint"},
		{free, `{"id":true}`, ""},
		{free, `{"id":1.50}`, ""},
		{free, `{}`, "id: must be a string, number or boolean: it is part of the address"},
		{free, `{"id":["7"]}`, "id: must be a string, number or boolean: it is part of the address"},
		{free, `{"id":""}`, "id: must not be empty"},
		{free, `{"id":"7","n":1e999999999}`, "the arguments must not hold numbers of more than 100 digits or of exponents beyond 999"},
		{free, `{"id":"7","deep":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "the arguments must not be nested deeper than 32"},
		{free, `{"id":"` + strings.Repeat("x", tool.MaxArguments) + `"}`, "the arguments must be at most 65536 bytes"},
	} {
		err := tool.CheckArguments(c.tool, json.RawMessage(c.args))
		if c.want == "" {
			require.NoError(t, err, c.args)
			continue
		}
		e := schemas.AsError(err)
		require.NotNil(t, e, c.args)
		require.Equal(t, "arguments", e.Param)
		require.Equal(t, c.want, e.Message)
	}
}
