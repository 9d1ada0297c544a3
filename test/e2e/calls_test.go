package e2e

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// keysOf are an object's fields, sorted.
func keysOf(object any) string {
	fields, _ := object.(map[string]any)
	return strings.Join(slices.Sorted(maps.Keys(fields)), " ")
}

// testCalls holds the nine calls to their shapes, field by field: what the
// contract calls additive is named, and nothing else is there.
func testCalls(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	get := func(method, path string, body any) (object map[string]any) {
		c.call(method, path, body, &object)
		return object
	}
	tool := get("POST", "/v1/tools", map[string]string{
		"name": "find_parcel", "description": "Find a parcel by number.", "endpoint": "https://api.example.com/parcels/{number}", "method": "get",
	})
	require.Equal(t, "id name status", keysOf(tool))
	require.Regexp(t, `^tool_`, tool["id"])
	require.Equal(t, "active", tool["status"])

	source := get("POST", "/v1/knowledge", map[string]string{"type": "url", "url": r.DemoURL + "/help/pricing", "name": "Prices"})
	require.Equal(t, "createdAt id name status", keysOf(source))
	require.Regexp(t, `^ks_`, source["id"])
	require.Equal(t, "indexing", source["status"])
	require.Equal(t, "Prices", source["name"])
	wholeSecond(t, source["createdAt"])

	sources := get("GET", "/v1/knowledge", nil)
	require.Equal(t, "sources total", keysOf(sources))
	require.Equal(t, "id name status type", keysOf(sources["sources"].([]any)[0]))

	answer := get("POST", "/v1/chat", map[string]string{"productId": c.product, "sessionId": "sess_shape", "message": "Hello, who are you?"})
	require.Equal(t, "answered citations createdAt degraded error id reply sessionId status toolCalls usage", keysOf(answer))
	require.Regexp(t, `^msg_`, answer["id"])
	require.Equal(t, "sess_shape", answer["sessionId"])
	require.Equal(t, []any{}, answer["toolCalls"])
	require.NotEmpty(t, answer["reply"])

	list := get("GET", "/v1/conversations", nil)
	require.Equal(t, "conversations total", keysOf(list))
	require.InDelta(t, 1, list["total"], 0)
	line := list["conversations"].([]any)[0].(map[string]any)
	require.Equal(t, "id messageCount startedAt", keysOf(line))
	require.Equal(t, "sess_shape", line["id"])
	require.InDelta(t, 2, line["messageCount"], 0)
	wholeSecond(t, line["startedAt"])

	one := get("GET", "/v1/conversations/sess_shape", nil)
	require.Equal(t, "id messages", keysOf(one))
	first := one["messages"].([]any)[0].(map[string]any)
	require.Equal(t, "content id role timestamp", keysOf(first))
	require.Equal(t, "Hello, who are you?", first["content"])
	wholeSecond(t, first["timestamp"])
	require.Equal(t, answer["id"], one["messages"].([]any)[1].(map[string]any)["id"], "a turn's id is its assistant message's")

	require.Equal(t, "asOf avgMessagesPerConversation avgSessionLength conversations intents messagesTotal topIntents",
		keysOf(get("GET", "/v1/analytics", nil)))

	gone := get("DELETE", "/v1/knowledge/"+source["id"].(string), nil)
	require.Equal(t, map[string]any{"deleted": true, "id": source["id"]}, gone)
}

func wholeSecond(t *testing.T, at any) {
	t.Helper()
	when, err := time.Parse("2006-01-02T15:04:05Z", at.(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), when, time.Minute)
}

// testLists pages through each list and finds each thing once, in order.
func testLists(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	const n = 5
	for i := range n {
		number := strconv.Itoa(i)
		c.addTool(map[string]any{"name": "tool_" + number, "description": "Do " + number, "endpoint": "https://api.example.com/" + number, "method": "POST"})
		c.addSource("https://127.0.0.1:1/site" + number)
		c.chat("session-"+number, "Is it "+number+"?")
		newKey(t, r, c.product)
	}
	require.Len(t, c.pages("/v1/tools", "tools", 2, c.Key), n)
	require.Len(t, c.pages("/v1/knowledge", "sources", 2, c.Key), n)
	require.Len(t, c.pages("/v1/conversations", "conversations", 2, c.Key), n)
	require.Len(t, c.pages("/v1/keys?productId="+c.product, "keys", 2, c.Operator), n+1)
	require.Equal(t, []string{"session-4", "session-3", "session-2", "session-1", "session-0"},
		c.pages("/v1/conversations", "conversations", 1, c.Key), "newest first")
	require.Len(t, c.pages("/v1/conversations", "conversations", n, c.Key), n, "a full page has no next one")
}

// pages reads a list page by page, and returns the ids.
func (c client) pages(path, field string, limit int, key string) (ids []string) {
	c.t.Helper()
	joint := "?"
	if strings.Contains(path, "?") {
		joint = "&"
	}
	for cursor := ""; ; {
		query := "limit=" + strconv.Itoa(limit)
		if cursor != "" {
			query += "&cursor=" + url.QueryEscape(cursor)
		}
		answer := c.Do(runatest.Request{Method: "GET", Path: path + joint + query, Key: key})
		require.Equal(c.t, http.StatusOK, answer.Status)
		var got map[string]any
		answer.JSON(c.t, &got)
		items := got[field].([]any)
		require.LessOrEqual(c.t, len(items), limit)
		for _, item := range items {
			id := item.(map[string]any)["id"].(string)
			require.NotContains(c.t, ids, id)
			ids = append(ids, id)
		}
		next, more := got["nextCursor"].(string)
		if !more {
			require.InDelta(c.t, len(ids), got["total"], 0)
			return ids
		}
		cursor = next
	}
}

// testErrors is what no single endpoint's document says.
func testErrors(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	c.refused(http.StatusForbidden, schemas.ProductMismatch, runatest.Request{
		Method: "POST", Path: "/v1/chat", Body: map[string]string{"productId": schemas.DefaultProduct, "message": "Whose is it?"},
	})
	for _, session := range []string{"a b", "ä", "a/b", strings.Repeat("a", 129)} {
		e := c.refused(http.StatusBadRequest, schemas.InvalidRequest, runatest.Request{
			Method: "POST", Path: "/v1/chat", Body: map[string]string{"sessionId": session, "message": "Hello?"},
		})
		require.Equal(t, "sessionId", e.Param)
	}
	c.refused(http.StatusRequestEntityTooLarge, schemas.TooLarge, runatest.Request{
		Method: "POST", Path: "/v1/chat", Body: map[string]string{"message": strings.Repeat("a", 256<<10+1)},
	})
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/nothing", "/v2/chat", "/v1/chat/", "//v1/chat", "/v1/tools//test"} {
		answer, err := r.Try(runatest.Request{Method: "GET", Path: path})
		require.NoError(t, err)
		require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, answer.Status, path)
		errorOf(t, answer)
	}
	answer := c.Do(runatest.Request{Method: "GET", Path: "/v1/tools", Header: map[string]string{"X-Request-Id": "mine-1"}})
	require.Equal(t, "mine-1", answer.Header.Get("X-Request-Id"))
	answer = c.Do(runatest.Request{Method: "GET", Path: "/v1/tools", Header: map[string]string{"X-Request-Id": "not mine\tat all"}})
	require.Regexp(t, `^req_`, answer.Header.Get("X-Request-Id"))
}

// testOperator makes, renames and ends products and keys.
func testOperator(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	operator := client{r.For(t, r.Operator), t, ""}
	var product schemas.Product
	operator.call("PATCH", "/v1/products/"+c.product, map[string]string{"name": "Renamed"}, &product)
	require.Equal(t, "Renamed", product.Name)
	operator.refused(http.StatusConflict, schemas.Conflict, runatest.Request{
		Method: "POST", Path: "/v1/products", Body: map[string]string{"id": c.product, "name": "Again"},
	})
	operator.call("POST", "/v1/products", map[string]string{"name": "Without an id"}, &product)
	require.Regexp(t, `^prod_`, product.ID)

	key := newKey(t, r, c.product)
	var shown schemas.Key
	operator.call("PATCH", "/v1/keys/"+key.ID, map[string]string{"name": "staging"}, &shown)
	require.Equal(t, "staging", shown.Name)
	require.Equal(t, key.Key[len(key.Key)-4:], shown.Hint)
	owner := client{r.For(t, key.Key), t, c.product}
	owner.call("GET", "/v1/tools", nil, nil)
	operator.call("DELETE", "/v1/keys/"+key.ID, nil, nil)
	until(t, "the revoked key opens nothing", func() bool {
		return owner.Do(runatest.Request{Method: "GET", Path: "/v1/tools"}).Status == http.StatusUnauthorized
	})
	operator.refused(http.StatusNotFound, schemas.NotFound, runatest.Request{Method: "DELETE", Path: "/v1/keys/" + key.ID})

	c.chat("last", "Is this the end?")
	operator.call("DELETE", "/v1/products/"+c.product, nil, nil)
	c.refused(http.StatusUnauthorized, schemas.Unauthenticated, runatest.Request{Method: "GET", Path: "/v1/conversations"})
	operator.refused(http.StatusNotFound, schemas.NotFound, runatest.Request{Method: "DELETE", Path: "/v1/products/" + c.product})
	operator.refused(http.StatusConflict, schemas.Conflict, runatest.Request{
		Method: "POST", Path: "/v1/products", Body: map[string]string{"id": c.product, "name": "Its id is not used again"},
	})
}

// testService reads the probes, the metrics and the document.
func testService(t *testing.T, r *runatest.Runa) {
	get := func(path string) runatest.Answer {
		answer := r.Do(runatest.Request{Method: "GET", Path: path, Key: "none"})
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		return answer
	}
	get("/livez")
	var ready struct{ Checks map[string]string }
	get("/readyz").JSON(t, &ready)
	require.Equal(t, map[string]string{"records": "ok", "search": "ok", "analytics": "ok", "engine": "ok"}, ready.Checks)
	require.Equal(t, schemas.OpenAPI(), get("/openapi.yaml").Body)
	metrics := string(get("/metrics").Body)
	for _, name := range []string{"runa_http_request_seconds_count", "runa_outbox_events", "go_goroutines", "process_resident_memory_bytes"} {
		require.Regexp(t, `(?m)^`+regexp.QuoteMeta(name)+`[ {]`, metrics)
	}
	require.NotContains(t, metrics, r.Key)
}
