package e2e

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

type testResult struct {
	Status schemas.CallStatus
	Result any
	Error  *schemas.CallError
}

func (c client) testTool(id string, arguments any) (got testResult) {
	c.t.Helper()
	c.call("POST", "/v1/tools/"+id+"/test", map[string]any{"arguments": arguments}, &got)
	return got
}

// testToolRequests looks at what a tool is sent.
func testToolRequests(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	tools.answer("/", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]bool{"done": true}) })
	object := map[string]any{"type": "object", "properties": map[string]any{
		"id": map[string]any{"type": "string"},
		"lines": map[string]any{"type": "array", "items": map[string]any{
			"type": "object", "required": []string{"sku"}, "properties": map[string]any{
				"sku": map[string]any{"type": "string"}, "count": map[string]any{"type": "integer"},
			},
		}},
	}}
	for i, one := range []struct {
		method, endpoint string
		parameters       any
		arguments        map[string]any
		uri, body        string
	}{
		{"GET", "/users/{id}", nil, map[string]any{"id": "a/b c?d"}, "/users/a%2Fb%20c%3Fd", ""},
		{"delete", "/users/{id}", object, map[string]any{"id": "7", "hard": true}, "/users/7?hard=true", ""},
		{"POST", "/orders", object, map[string]any{"lines": []any{map[string]any{"sku": "a", "count": 2}}}, "/orders", `{"lines":[{"count":2,"sku":"a"}]}`},
		{"PUT", "/orders/{id}", object, map[string]any{"id": "o1", "lines": []any{}}, "/orders/o1", `{"lines":[]}`},
		{"PATCH", "/orders", nil, map[string]any{"params": []any{map[string]any{"name": "note", "value": "x"}}}, "/orders", `{"note":"x"}`},
	} {
		spec := map[string]any{"name": "tool_" + string(rune('a'+i)), "description": "Do something.", "endpoint": tools.URL + one.endpoint, "method": one.method}
		if one.parameters != nil {
			spec["parameters"] = one.parameters
		}
		got := c.testTool(c.addTool(spec), one.arguments)
		require.Equal(t, schemas.CallSucceeded, got.Status, "%v", got.Error)
		require.Equal(t, map[string]any{"done": true}, got.Result)
		seen := tools.requests()[i]
		require.Equal(t, strings.ToUpper(one.method), seen.method)
		require.Equal(t, one.uri, seen.url.RequestURI())
		if one.body == "" {
			require.Empty(t, seen.body)
			continue
		}
		require.JSONEq(t, one.body, seen.body)
		require.Equal(t, "application/json", seen.header.Get("Content-Type"))
	}
	wrongArguments(c, tools, object)
}

// wrongArguments are refused before a request is made.
func wrongArguments(c client, tools *toolServer, object any) {
	id := c.addTool(map[string]any{
		"name": "order", "description": "Order.", "endpoint": tools.URL + "/order/{id}", "method": "POST", "parameters": object,
	})
	before := len(tools.requests())
	for _, arguments := range []map[string]any{
		{},
		{"id": 7, "lines": "all"},
		{"id": "1", "lines": []any{"a"}},
		{"id": "1", "lines": []any{map[string]any{"count": 1}}},
		{"id": "1", "lines": []any{map[string]any{"sku": "a", "count": 1.5}}},
		{"id": "../admin"},
	} {
		answer := c.Do(runatest.Request{Method: "POST", Path: "/v1/tools/" + id + "/test", Body: map[string]any{"arguments": arguments}})
		if answer.Status == http.StatusOK { // a path that cannot be made is the call's failure
			var got testResult
			answer.JSON(c.t, &got)
			require.Equal(c.t, schemas.CallFailed, got.Status)
			continue
		}
		require.Equal(c.t, http.StatusBadRequest, answer.Status, "%s", answer.Body)
		require.Equal(c.t, "arguments", errorOf(c.t, answer).Param)
	}
	require.Len(c.t, tools.requests(), before)
}

// testToolFailures asks a tool that fails in every way. Each is a turn that
// completes and says so.
func testToolFailures(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	tools.answer("POST /orders/{id}/cancel", func(w http.ResponseWriter, req *http.Request) {
		switch req.PathValue("id") {
		case "A-500":
			http.Error(w, "out of order", http.StatusInternalServerError)
		case "A-404":
			http.Error(w, "there is no such order", http.StatusNotFound)
		case "A-302":
			http.Redirect(w, req, "/elsewhere", http.StatusFound)
		case "A-111":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{not json")
		case "A-222":
			w.Header().Set("Content-Type", "image/png")
			_, _ = io.WriteString(w, "\x89PNG\x00\xff")
		case "A-333":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `"`+strings.Repeat("a", 300<<10)+`"`)
		case "A-408":
			<-req.Context().Done() // Runa gives up first
		case "A-444":
			panic(http.ErrAbortHandler) // the connection is cut
		}
	})
	id := c.addTool(map[string]any{
		"name": "cancel_order", "description": "Cancel an order.", "endpoint": tools.URL + "/orders/{order_id}/cancel", "method": "POST", "timeoutMs": 700,
	})
	for _, one := range []struct {
		order, code string
		status      schemas.CallStatus
		http        int
	}{
		{"A-500", "http_status", schemas.CallFailed, 500},
		{"A-404", "http_status", schemas.CallFailed, 404},
		{"A-302", "redirect", schemas.CallFailed, 302},
		{"A-111", "bad_json", schemas.CallFailed, 200},
		{"A-222", "bad_content_type", schemas.CallFailed, 200},
		{"A-333", "too_large", schemas.CallFailed, 200},
		{"A-408", "unknown", schemas.CallUnknown, 0},
		{"A-444", "unknown", schemas.CallUnknown, 0},
	} {
		before := len(tools.requests())
		answer := c.chat("", "Cancel order "+one.order)
		require.Equal(t, schemas.TurnCompleted, answer.Status, one.order)
		require.Len(t, answer.ToolCalls, 1, one.order)
		call := answer.ToolCalls[0]
		require.Equal(t, one.status, call.Status, one.order)
		require.Equal(t, one.code, call.Error.Code, one.order)
		require.Equal(t, one.http, call.Error.HTTPStatus, one.order)
		require.Nil(t, call.Result)
		require.NotEmpty(t, answer.Reply)
		require.False(t, answer.Answered, "%s: %s", one.order, answer.Reply)
		require.Len(t, tools.requests(), before+1, "an unsafe request is never repeated: %s", one.order)
	}
	require.Equal(t, schemas.CallUnknown, c.testTool(id, map[string]string{"order_id": "A-408"}).Status)
	require.Equal(t, schemas.CallFailed, c.testTool(id, map[string]string{"order_id": "A-500"}).Status)
	tools.Close()
	require.Equal(t, "unreachable", c.testTool(id, map[string]string{"order_id": "A-500"}).Error.Code)
}

// testToolRetries holds the key of a call that may be repeated.
func testToolRetries(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	tools.answer("GET /orders/{id}", func(w http.ResponseWriter, _ *http.Request) {
		if len(tools.requests()) < 3 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		writeJSON(w, map[string]string{"state": "delivered"})
	})
	c.addTool(map[string]any{"name": "get_order", "description": "Look up an order.", "endpoint": tools.URL + "/orders/{order_id}", "method": "GET"})
	answer := c.chat("retry", "Look up order 4711")
	require.Contains(t, answer.Reply, "delivered")
	require.Len(t, answer.ToolCalls, 1)
	seen := tools.requests()
	require.Len(t, seen, 3)
	key := seen[0].header.Get("Idempotency-Key")
	require.NotEmpty(t, key)
	for _, request := range seen {
		require.Equal(t, key, request.header.Get("Idempotency-Key"))
		require.Equal(t, c.product, request.header.Get("Runa-Product"))
		require.Equal(t, "retry", request.header.Get("Runa-Session"))
		require.Equal(t, answer.ID, request.header.Get("Runa-Turn"))
		require.Equal(t, answer.ToolCalls[0].ID, request.header.Get("Runa-Call"))
	}
	c.chat("retry", "Look up order 4712")
	require.NotEqual(t, key, tools.requests()[3].header.Get("Idempotency-Key"), "another call has another key")
}

// testToolDefinitions registers, changes and deletes tools.
func testToolDefinitions(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	spec := tools.weather()
	id := c.addTool(spec)
	spec["method"] = "Get" // the same in other words
	require.Equal(t, id, c.addTool(spec))
	spec["description"] = "Get the weather."
	e := c.refused(http.StatusConflict, schemas.Conflict, runatest.Request{Method: "POST", Path: "/v1/tools", Body: spec})
	require.Equal(t, "name", e.Param)

	other := c.addTool(map[string]any{"name": "other", "description": "Do.", "endpoint": "https://api.example.com/", "method": "PUT"})
	c.refused(http.StatusConflict, schemas.Conflict, runatest.Request{
		Method: "PATCH", Path: "/v1/tools/" + other, Body: map[string]string{"name": "get_weather"},
	})
	var tool schemas.Tool
	c.call("GET", "/v1/tools/"+other, nil, &tool)
	require.Equal(t, schemas.EffectUnsafe, tool.Effect)
	require.Equal(t, 30000, tool.TimeoutMs)
	c.call("PATCH", "/v1/tools/"+other, map[string]any{"timeoutMs": 5000, "effect": "idempotent", "headers": map[string]string{"X-A": "1", "X-B": "2"}}, &tool)
	require.Equal(t, 5000, tool.TimeoutMs)
	require.Equal(t, "other", tool.Name)
	require.Equal(t, []string{"X-A", "X-B"}, tool.HeaderNames)
	c.call("PATCH", "/v1/tools/"+other, map[string]any{"headers": map[string]string{"X-C": "3"}}, &tool)
	require.Equal(t, []string{"X-C"}, tool.HeaderNames, "headers are replaced whole")
	for _, patch := range []map[string]any{
		{"endpoint": "ftp://example.com"},
		{"endpoint": "https://{host}/"},
		{"headers": map[string]string{"Host": "x"}},
		{"headers": map[string]string{"X-A": "a\r\nX-B: b"}},
		{"parameters": map[string]any{"type": 7}},
		{"method": "TRACE"},
	} {
		c.refused(http.StatusBadRequest, schemas.InvalidRequest, runatest.Request{Method: "PATCH", Path: "/v1/tools/" + other, Body: patch})
	}

	require.Len(t, c.chat("before", "What is the weather in Oslo?").ToolCalls, 1)
	c.call("DELETE", "/v1/tools/"+id, nil, nil)
	c.refused(http.StatusNotFound, schemas.NotFound, runatest.Request{Method: "DELETE", Path: "/v1/tools/" + id})
	c.refused(http.StatusNotFound, schemas.NotFound, runatest.Request{Method: "POST", Path: "/v1/tools/" + id + "/test", Body: map[string]any{}})
	require.Empty(t, c.chat("after", "What is the weather in Oslo?").ToolCalls)
	require.NotEqual(t, id, c.addTool(tools.weather()))
}

// testToolSecrets sends secrets to a tool that tells them, and looks for them
// everywhere.
func testToolSecrets(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	const secret, next = "tango-umbrella-8812-first", "tango-umbrella-9934-second"
	tools.answer("GET /accounts/{id}", func(w http.ResponseWriter, req *http.Request) {
		writeJSON(w, map[string]string{"owner": "Maria", "told": req.Header.Get("Authorization")})
	})
	var answers []string
	do := func(method, path string, body any) {
		answer := c.Do(runatest.Request{Method: method, Path: path, Body: body})
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		answers = append(answers, string(answer.Body))
	}
	id := c.addTool(map[string]any{
		"name": "get_account", "description": "Look up an account.", "endpoint": tools.URL + "/accounts/{account_id}", "method": "GET",
		"headers": map[string]string{"Authorization": "Bearer " + secret},
	})
	const question = "Look up account 4711 of my walrus"
	do("POST", "/v1/chat", map[string]string{"sessionId": "secrets", "message": question})
	require.Equal(t, "Bearer "+secret, tools.requests()[0].header.Get("Authorization"))
	require.Contains(t, answers[0], "Maria")
	do("PATCH", "/v1/tools/"+id, map[string]any{"headers": map[string]string{"Authorization": "Bearer " + next}})
	do("POST", "/v1/tools/"+id+"/test", map[string]any{"arguments": map[string]string{"account_id": "1"}})
	require.Equal(t, "Bearer "+next, tools.requests()[1].header.Get("Authorization"))
	for _, path := range []string{"/v1/tools", "/v1/tools/" + id, "/v1/conversations/secrets", "/v1/analytics"} {
		do("GET", path, nil)
	}
	for _, s := range []string{secret, next, c.Key} {
		require.NotContains(t, strings.Join(answers, "\n"), s)
		require.NotContains(t, r.Log(), s)
		require.Empty(t, filesWith(t, r.Dir, s))
	}
	for _, name := range filesWith(t, r.Dir, "my walrus") {
		require.NotContains(t, name, "temporal", "what is said is in no history")
		require.NotContains(t, name, "visibility")
	}
}

// filesWith are the files of a folder that hold a text.
func filesWith(t *testing.T, dir, text string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) || err == nil && entry.IsDir() {
			return nil
		}
		require.NoError(t, err)
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // a journal that was there a moment ago
		}
		if strings.Contains(string(content), text) {
			names = append(names, filepath.Base(path))
		}
		return err
	}))
	return names
}
