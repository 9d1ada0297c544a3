package schemas_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/schemas/schemastest"
)

// answers and bodies pair the Go types with the schemas that document them.
var (
	answers = map[string]any{
		"Turn":         schemas.Turn{},
		"ToolCall":     schemas.ToolCall{},
		"CallError":    schemas.CallError{},
		"Citation":     schemas.Citation{},
		"Usage":        schemas.Usage{},
		"Step":         schemas.Step{},
		"TurnError":    schemas.Error{},
		"Conversation": schemas.Conversation{},
		"Message":      schemas.Message{},
		"Source":       schemas.Source{},
		"PageCounts":   schemas.PageCounts{},
		"CrawlOptions": schemas.CrawlOptions{},
		"Page":         schemas.Page{},
		"Hit":          schemas.Hit{},
		"Tool":         schemas.Tool{},
		"Figures":      schemas.Figures{},
		"IntentShare":  schemas.IntentShare{},
		"Product":      schemas.Product{},
		"Key":          schemas.Key{},
	}
	bodies = map[string]any{
		"ChatRequest":   schemas.ChatRequest{},
		"SourceSpec":    schemas.SourceSpec{},
		"SearchRequest": schemas.SearchRequest{},
		"ToolSpec":      schemas.ToolSpec{},
		"ToolPatch":     schemas.ToolPatch{},
	}
)

func TestOpenAPIIsAPrivateCopy(t *testing.T) {
	t.Parallel()
	doc := schemas.OpenAPI()
	require.True(t, strings.HasPrefix(string(doc), "#"))
	doc[0] = 'x'
	require.Equal(t, byte('#'), schemas.OpenAPI()[0])
}

func TestSchemasHaveTheFieldsOfTheTypes(t *testing.T) {
	t.Parallel()
	doc := schemastest.MustLoad(t)
	for name, value := range answers {
		for _, f := range fieldsOf(t, doc, name, value) {
			require.NotEqual(t, f.omitted, slices.Contains(f.owner.Required, f.name), "%s.%s: required is the opposite of omitempty", name, f.name)
			requireKind(t, name+"."+f.name, f.schema, f.typ)
			if f.typ.Kind() == reflect.Pointer && !f.omitted {
				require.True(t, f.schema.Nullable, "%s.%s may be null", name, f.name)
			}
		}
	}
	for name, value := range bodies {
		for _, f := range fieldsOf(t, doc, name, value) {
			require.False(t, f.schema.Nullable, "%s.%s", name, f.name)
			requireKind(t, name+"."+f.name, f.schema, f.typ)
		}
	}
}

// field is a field of a Go type beside its documentation.
type field struct {
	name    string
	omitted bool
	typ     reflect.Type
	owner   *openapi3.Schema
	schema  *openapi3.Schema
}

// fieldsOf pairs the fields of a type with the properties of a schema, and
// fails when either has one that the other has not.
func fieldsOf(t *testing.T, doc *openapi3.T, name string, value any) []field {
	t.Helper()
	require.Contains(t, doc.Components.Schemas, name)
	owner := doc.Components.Schemas[name].Value
	typ := reflect.TypeOf(value)
	var fields []field
	for i := range typ.NumField() {
		tag, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if tag == "-" {
			continue
		}
		require.Contains(t, owner.Properties, tag, "%s has no property for %s", name, typ.Field(i).Name)
		fields = append(fields, field{
			name:    tag,
			omitted: options == "omitempty",
			typ:     typ.Field(i).Type,
			owner:   owner,
			schema:  owner.Properties[tag].Value,
		})
	}
	require.Len(t, owner.Properties, len(fields), "%s documents a field that the type has not", name)
	return fields
}

func requireKind(t *testing.T, at string, s *openapi3.Schema, typ reflect.Type) {
	t.Helper()
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[schemas.Time]():
		require.Equal(t, "date-time", s.Format, at)
	case typ == reflect.TypeFor[json.RawMessage]():
		require.True(t, s.Type.IsEmpty() || s.Type.Is("object"), at)
	default:
		want := map[reflect.Kind]string{
			reflect.String:  "string",
			reflect.Bool:    "boolean",
			reflect.Int:     "integer",
			reflect.Int64:   "integer",
			reflect.Float64: "number",
			reflect.Slice:   "array",
			reflect.Map:     "object",
			reflect.Struct:  "object",
		}[typ.Kind()]
		require.True(t, s.Type.Is(want), "%s must be %s", at, want)
	}
}

func TestEnumsAreTheConstants(t *testing.T) {
	t.Parallel()
	doc := schemastest.MustLoad(t)
	property := func(owner, name string) *openapi3.Schema {
		return doc.Components.Schemas[owner].Value.Properties[name].Value
	}
	for name, c := range map[string]struct {
		schema *openapi3.Schema
		later  []any // documented in the contract, not used yet
	}{
		"Code":         {schema: property("TurnError", "code")},
		"TurnStatus":   {schema: property("Turn", "status")},
		"CallStatus":   {schema: property("ToolCall", "status"), later: []any{"waiting", "denied"}},
		"StepKind":     {schema: property("Step", "kind")},
		"Role":         {schema: property("Message", "role")},
		"SourceStatus": {schema: property("Source", "status")},
		"PageState":    {schema: property("Page", "state")},
		"PageReason":   {schema: property("Page", "reason")},
		"Effect":       {schema: property("Tool", "effect")},
	} {
		require.ElementsMatch(t, append(constants(t, name), c.later...), c.schema.Enum, name)
	}
}

// constants reads the values of the package's constants of a string type.
func constants(t *testing.T, typeName string) []any {
	t.Helper()
	var values []any
	for _, file := range []string{"error.go", "turn.go", "conversation.go", "knowledge.go", "tool.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != typeName {
				return false
			}
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			values = append(values, value)
			return false
		})
	}
	require.NotEmpty(t, values, typeName)
	return values
}

func TestLimitsAreTheConstants(t *testing.T) {
	t.Parallel()
	doc := schemastest.MustLoad(t)
	property := func(owner, name string) *openapi3.Schema {
		return doc.Components.Schemas[owner].Value.Properties[name].Value
	}
	for name, c := range map[string]struct {
		schema   *openapi3.Schema
		most     int
		fallback any
	}{
		"wait":      {property("ChatRequest", "wait"), schemas.MaxWaitSeconds, schemas.DefaultWait},
		"maxPages":  {property("CrawlOptions", "maxPages"), schemas.MaxMaxPages, schemas.DefaultMaxPages},
		"maxDepth":  {property("CrawlOptions", "maxDepth"), schemas.MaxMaxDepth, schemas.DefaultMaxDepth},
		"delayMs":   {property("CrawlOptions", "delayMs"), schemas.MaxDelayMs, schemas.DefaultDelayMs},
		"timeoutMs": {property("ToolSpec", "timeoutMs"), schemas.MaxToolTimeoutMs, schemas.DefaultToolTimeoutMs},
	} {
		require.InDelta(t, c.most, *c.schema.Max, 0, name)
		require.EqualValues(t, c.fallback, c.schema.Default, name)
	}
	require.EqualValues(t, schemas.MaxURLLength, *property("SourceSpec", "url").MaxLength)
	require.EqualValues(t, schemas.MaxToolDescription, *property("ToolSpec", "description").MaxLength)
	require.EqualValues(t, schemas.MaxToolHeaders, *property("ToolSpec", "headers").MaxProps)
	require.EqualValues(t, schemas.MaxToolHeaderValue, *property("ToolSpec", "headers").AdditionalProperties.Schema.Value.MaxLength)
	require.EqualValues(t, schemas.MaxKeyCharacters, *doc.Components.Parameters["IdempotencyKey"].Value.Schema.Value.MaxLength)
}

// operations calls fn for each operation of the document.
func operations(doc *openapi3.T, fn func(id string, op *openapi3.Operation)) {
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			fn(method+" "+path, op)
		}
	}
}

func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	doc := schemastest.MustLoad(t)
	ids := map[string]string{}
	operations(doc, func(at string, op *openapi3.Operation) {
		require.NotEmpty(t, op.OperationID, at)
		require.NotContains(t, ids, op.OperationID, at)
		ids[op.OperationID] = at
		require.NotEmpty(t, op.Summary, at)
		require.Len(t, op.Tags, 1, at)
		require.NotNil(t, doc.Tags.Get(op.Tags[0]), at)
		for status, response := range op.Responses.Map() {
			require.NotEmpty(t, *response.Value.Description, "%s %s", at, status)
			require.True(t, response.Value.Headers["X-Request-Id"].Value.Required, "%s %s", at, status)
		}
		if op.RequestBody != nil {
			requireClosedBody(t, at, op)
		}
		if op.Security == nil || len(*op.Security) > 0 {
			for _, status := range []int{401, 403, 429, 500, 503} {
				require.NotNil(t, op.Responses.Status(status), "%s must document %d", at, status)
			}
		}
	})
	require.Len(t, ids, 35)
}

func requireClosedBody(t *testing.T, at string, op *openapi3.Operation) {
	t.Helper()
	body := op.RequestBody.Value.Content["application/json"]
	require.True(t, op.RequestBody.Value.Required, at)
	require.False(t, *body.Schema.Value.AdditionalProperties.Has, "%s: the body must be closed", at)
	require.True(t, body.Example != nil || len(body.Examples) > 0, "%s: the body needs an example", at)
	for _, status := range []int{400, 413, 415} {
		require.NotNil(t, op.Responses.Status(status), "%s must document %d", at, status)
	}
}

// TestEachCodeHasOneStatus keeps the codes of the responses, the table in the
// description of ErrorCode and the enum together.
func TestEachCodeHasOneStatus(t *testing.T) {
	t.Parallel()
	doc := schemastest.MustLoad(t)
	statuses := map[string]string{"method_not_allowed": "405", "gone": "410"} // of no operation
	operations(doc, func(at string, op *openapi3.Operation) {
		for status, response := range op.Responses.Map() {
			codes, _ := response.Value.Extensions["x-error-codes"].([]any)
			schema := response.Value.Content["application/json"]
			isError := schema != nil && strings.HasSuffix(schema.Schema.Ref, "/Error")
			require.Equal(t, isError, len(codes) > 0, "%s %s: x-error-codes belongs to errors", at, status)
			for _, code := range codes {
				known, ok := statuses[code.(string)]
				require.True(t, !ok || known == status, "%s %s: %s has the status %s", at, status, code, known)
				statuses[code.(string)] = status
			}
		}
	})
	table := doc.Components.Schemas["ErrorCode"].Value.Description
	for _, code := range constants(t, "Code") {
		require.Contains(t, table, "| `"+code.(string)+"` | "+statuses[code.(string)]+" |")
		delete(statuses, code.(string))
	}
	require.Empty(t, statuses, "codes that do not exist")
}

// TestValuesFitTheSchemas writes values with every field and with as few as
// possible, and holds the JSON against the closed schemas.
func TestValuesFitTheSchemas(t *testing.T) {
	t.Parallel()
	doc := schemastest.MustLoad(t)
	now := schemas.Time(time.Now())
	pages := 7
	call := schemas.ToolCall{
		ID: "call_1", Name: "get_revenue", Arguments: json.RawMessage(`{"period":"2026-02"}`),
		Status: schemas.CallFailed, Result: json.RawMessage(`[1,null]`),
		Error: &schemas.CallError{Code: "timeout", Message: "no answer", HTTPStatus: 504},
	}
	for name, values := range map[string][]any{
		"Turn": {
			schemas.Turn{Status: schemas.TurnQueued, ToolCalls: []schemas.ToolCall{}, Citations: []schemas.Citation{}},
			schemas.Turn{
				Status: schemas.TurnFailed, ToolCalls: []schemas.ToolCall{call}, Citations: []schemas.Citation{{URL: "u"}},
				Error:     schemas.Invalid("message", "no"),
				Steps:     []schemas.Step{{Kind: schemas.StepModel, Attempts: 1, StartedAt: now, Model: "m", Passages: 1, CallIDs: []string{"call_1"}}},
				CreatedAt: now,
			},
		},
		"ToolCall": {schemas.ToolCall{Arguments: json.RawMessage(`{}`), Status: schemas.CallPending}},
		"Source": {
			schemas.Source{Type: schemas.SourceURL, Status: schemas.SourceIndexing},
			schemas.Source{Type: schemas.SourceURL, Status: schemas.SourceFailed, Reason: "r", Crawl: schemas.CrawlOptions{MaxPages: &pages}, LastCrawledAt: &now},
		},
		"Page": {
			schemas.Page{State: schemas.PagePending},
			schemas.Page{State: schemas.PageFailed, Reason: schemas.ReasonStatus, Detail: "HTTP 404", FetchedAt: &now},
		},
		"Tool": {
			schemas.Tool{
				Name: "n", Description: "d", Endpoint: "https://a.b", Method: "GET", Parameters: json.RawMessage(`{"type":"object"}`),
				HeaderNames: []string{}, TimeoutMs: 1, Effect: schemas.EffectRead, Status: schemas.ToolActive,
			},
		},
		"Figures": {schemas.Figures{TopIntents: []string{}, Intents: []schemas.IntentShare{{Name: "x", Count: 1, Share: 1}}}},
		"Key":     {schemas.Key{}, schemas.Key{RevokedAt: &now}},
		"Message": {schemas.Message{Role: schemas.RoleUser}},
		"Hit":     {schemas.Hit{Score: 1.5}},
	} {
		for _, value := range values {
			require.NoError(t, doc.Components.Schemas[name].Value.VisitJSON(decoded(t, value)), name)
		}
	}
}

// decoded is a value as a client reads it.
func decoded(t *testing.T, value any) any {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(data, &out))
	return out
}
