package tool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/outbound"
	"runa/schemas"
	"runa/tool"
)

func mustCaller(t testing.TB, allow ...string) *tool.Caller {
	t.Helper()
	p, err := outbound.NewPolicy(allow)
	require.NoError(t, err)
	return tool.New(tool.Config{
		Client: p.Client(outbound.ClientConfig{ConnectTimeout: 2 * time.Second}),
		Now:    func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) },
	})
}

// mustServe starts a tool and returns its base URL. The body is read before
// handler runs: net/http notices that a client left only after that.
func mustServe(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client left
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// mustCall calls a tool that answers with handler.
func mustCall(t testing.TB, effect schemas.Effect, headers map[string]string, handler http.HandlerFunc) tool.Outcome {
	t.Helper()
	out := mustCaller(t, "127.0.0.1").Call(context.Background(), tool.Request{
		Tool:    schemas.Tool{Endpoint: mustServe(t, handler), Method: "POST", Effect: effect, TimeoutMs: 5000},
		Headers: headers,
	})
	requireWhole(t, out)
	return out
}

// requireWhole holds what every outcome must be.
func requireWhole(t testing.TB, out tool.Outcome) {
	t.Helper()
	require.Contains(t, []tool.Kind{tool.Succeeded, tool.Failed, tool.Retry, tool.NotSent, tool.Lost}, out.Kind)
	if out.Kind == tool.Succeeded {
		require.True(t, json.Valid(out.Result), string(out.Result))
		require.Nil(t, out.Error)
		return
	}
	require.Nil(t, out.Result)
	require.NotEmpty(t, out.Error.Code)
	require.NotEmpty(t, out.Error.Message)
	require.LessOrEqual(t, len(out.Error.Message), 600)
	require.Equal(t, out.Kind == tool.NotSent || out.Kind == tool.Lost, out.Err != nil)
}

// seenRequest is what a tool saw.
type seenRequest struct {
	method, uri, body string
	header            http.Header
}

func see(seen *seenRequest) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*seen = seenRequest{r.Method, r.RequestURI, string(body), r.Header.Clone()}
	}
}

func TestRequestsPlaceTheirArguments(t *testing.T) {
	t.Parallel()
	var seen seenRequest
	base := mustServe(t, see(&seen))
	any := json.RawMessage(`{"type":"object","properties":{"id":{},"org":{}}}`)
	for _, c := range []struct {
		method, endpoint string
		parameters       json.RawMessage
		args, uri, body  string
	}{
		{"GET", "/a", any, `{}`, "/a", ""},
		{"GET", "/a", any, `{"q":"a b&c=d","n":1.50,"yes":true,"none":null}`, "/a?n=1.50&q=a+b%26c%3Dd&yes=true", ""},
		{"GET", "/a?v=1", any, `{"tag":["x","y",null,3],"o":{"b":1,"a":"<"}}`, "/a?v=1&o=%7B%22a%22%3A%22%3C%22%2C%22b%22%3A1%7D&tag=x&tag=y&tag=3", ""},
		{"GET", "/a?", any, `{"q":[[1,2]]}`, "/a?q=%5B1%2C2%5D", ""},
		{"DELETE", "/u/{id}", any, `{"id":"7","hard":true}`, "/u/7?hard=true", ""},
		{"DELETE", "/u/{id}", nil, `{"id":"7"}`, "/u/7", ""},
		{"GET", "/u/{id}/x?o={org}&p={id}", any, `{"id":"a/b?c#d%e","org":"x&y=z#"}`, "/u/a%2Fb%3Fc%23d%25e/x?o=x%26y%3Dz%23&p=a%2Fb%3Fc%23d%25e", ""},
		{"GET", "/u/{id}", any, `{"id":"@evil.test:80"}`, "/u/@evil.test:80", ""},
		{"GET", "/u/{id}", any, `{"id":"é 日"}`, "/u/%C3%A9%20%E6%97%A5", ""},
		{"GET", "/u/v{id}", any, `{"id":"..."}`, "/u/v...", ""},
		{"GET", "/s?q={id}", any, `{"id":"../../x"}`, "/s?q=..%2F..%2Fx", ""},
		{"GET", "/s?q={id}", any, `{"id":""}`, "/s?q=", ""},
		{"GET", "/u/{id}", nil, `{"id":"7","params":[{"name":"q","value":"a"},{"name":"q","value":"b"}]}`, "/u/7?q=a&q=b", ""},
		{"POST", "/u/{id}", nil, `{"id":"7","params":[{"name":"q","value":"a"}]}`, "/u/7", `{"q":"a"}`},
		{"POST", "/u", nil, ``, "/u", `{}`},
		{"POST", "/u/{id}?v=1", any, `{"id":7,"z":{"b":[1,{}],"a":null},"h":"<&>","big":12345678901234567890}`, "/u/7?v=1", `{"big":12345678901234567890,"h":"<&>","z":{"a":null,"b":[1,{}]}}`},
		{"PUT", "/u", any, `{"a":1,"a":2}`, "/u", `{"a":2}`},
		{"PATCH", "/u", any, `{"params":[1]}`, "/u", `{"params":[1]}`},
	} {
		seen = seenRequest{}
		out := mustCaller(t, "127.0.0.1").Call(context.Background(), tool.Request{
			Tool:      schemas.Tool{Endpoint: base + c.endpoint, Method: c.method, Parameters: c.parameters},
			Arguments: json.RawMessage(c.args),
		})
		require.Equal(t, tool.Succeeded, out.Kind, "%s %s: %v", c.endpoint, c.args, out.Error)
		require.Equal(t, c.method, seen.method)
		require.Equal(t, c.uri, seen.uri, c.args)
		require.Equal(t, c.body, seen.body, c.args)
	}
}

func TestPathsCannotBeLeft(t *testing.T) {
	t.Parallel()
	any := json.RawMessage(`{"type":"object","properties":{"id":{},"org":{}}}`)
	for _, c := range []struct{ endpoint, args string }{
		{"/u/{id}", `{"id":".."}`},
		{"/u/{id}", `{"id":"."}`},
		{"/u/{id}", `{"id":"../admin"}`},
		{"/u/{id}", `{"id":"a/../../admin"}`},
		{"/u/{id}", `{"id":"..\\admin"}`},
		{"/u/{id}", `{"id":"a\\.."}`},
		{"/u/{id}", `{"id":"%2e%2E"}`},
		{"/u/{id}{org}/x", `{"id":".","org":"."}`},
		{"/u/.{id}/x", `{"id":"."}`},
		{"/u/%2E{id}/x", `{"id":"."}`},
	} {
		out := mustCaller(t).Call(context.Background(), tool.Request{
			Tool:      schemas.Tool{Endpoint: "http://127.0.0.1:1" + c.endpoint, Method: "GET", Parameters: any},
			Arguments: json.RawMessage(c.args),
		})
		require.Equal(t, tool.Failed, out.Kind)
		require.Equal(t, tool.CodeBadArguments, out.Error.Code, c.args)
	}
}

func TestHeadersOfARequest(t *testing.T) {
	t.Parallel()
	var seen seenRequest
	base := mustServe(t, see(&seen))
	call := func(r tool.Request) {
		r.Tool.Endpoint = base
		require.Equal(t, tool.Succeeded, mustCaller(t, "127.0.0.1").Call(context.Background(), r).Kind)
	}
	call(tool.Request{
		Tool:           schemas.Tool{Method: "POST"},
		Headers:        map[string]string{"X-Api-Key": "secret-value", "user-agent": "Mine", "Runa-Turn": "forged"},
		IdempotencyKey: "t/1/0", Product: "prod_1", Session: "s", Turn: "msg_1", Call: "call_1",
	})
	for name, want := range map[string]string{
		"Idempotency-Key": "t/1/0", "Runa-Product": "prod_1", "Runa-Session": "s", "Runa-Turn": "msg_1", "Runa-Call": "call_1",
		"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "Mine", "X-Api-Key": "secret-value", "Connection": "close",
	} {
		require.Equal(t, want, seen.header.Get(name), name)
	}
	call(tool.Request{Tool: schemas.Tool{Method: "GET"}})
	require.Equal(t, http.Header{"Accept": {"application/json"}, "User-Agent": {"Runa"}, "Connection": {"close"}}, seen.header)
}

func TestResults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ contentType, body, want, code string }{
		{"application/json", "{ \"a\": [1, 2.50],\n \"b\": \"<é>\" }", `{"a":[1,2.50],"b":"<é>"}`, ""},
		{"application/json; charset=utf-8", "\uFEFF[]", `[]`, ""},
		{"application/problem+json", "1", `1`, ""},
		{"application/json", "", `null`, ""},
		{"application/json", " \n", `null`, ""},
		{"application/json", `"` + "\xff" + `"`, `"` + "\uFFFD" + `"`, ""},
		{"application/json", "{", "", tool.CodeBadJSON},
		{"application/json", "<html>", "", tool.CodeBadJSON},
		{"application/json", "{} {}", "", tool.CodeBadJSON},
		{"application/json", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "", tool.CodeBadJSON},
		{"text/plain", "hello \"you\"", `"hello \"you\""`, ""},
		{"text/html; charset", "<b>\xff", `"<b>` + "\uFFFD" + `"`, ""},
		{"image/png", "\x89PNG", "", tool.CodeBadContentType},
		{"application/octet-stream", "{}", "", tool.CodeBadContentType},
		{";;", "{}", "", tool.CodeBadContentType},
		{"", `{"a" : 1}`, `{"a":1}`, ""},
		{"", "text", `"text"`, ""},
		{"", "\x00\xff", "", tool.CodeBadContentType},
	} {
		out := mustCall(t, schemas.EffectRead, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{c.contentType}
			_, _ = io.WriteString(w, c.body)
		})
		if c.code == "" {
			require.Equal(t, tool.Succeeded, out.Kind, "%s %.40q: %v", c.contentType, c.body, out.Error)
			require.Equal(t, c.want, string(out.Result))
			continue
		}
		require.Equal(t, tool.Failed, out.Kind)
		require.Equal(t, c.code, out.Error.Code)
		require.Equal(t, 200, out.Error.HTTPStatus)
	}
	out := mustCall(t, schemas.EffectRead, nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	require.Equal(t, "null", string(out.Result))
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	const read, idempotent, unsafe = schemas.EffectRead, schemas.EffectIdempotent, schemas.EffectUnsafe
	for _, c := range []struct {
		status     int
		retryAfter string
		effect     schemas.Effect
		kind       tool.Kind
		wait       time.Duration
	}{
		{400, "", read, tool.Failed, 0},
		{404, "5", unsafe, tool.Failed, 0},
		{408, "", unsafe, tool.Retry, 0},
		{425, "", unsafe, tool.Retry, 0},
		{429, "", unsafe, tool.Retry, 0},
		{429, "7", unsafe, tool.Retry, 7 * time.Second},
		{429, "0", read, tool.Retry, 0},
		{429, "99999999999999999", read, tool.Retry, 24 * time.Hour},
		{429, "99999999999999999999999", read, tool.Retry, 0},
		{429, "-1", read, tool.Retry, 0},
		{429, "soon", read, tool.Retry, 0},
		{429, "Tue, 24 Nov 2026 10:01:30 GMT", read, tool.Retry, 90 * time.Second},
		{429, "Tue, 24 Nov 2026 09:00:00 GMT", read, tool.Retry, 0},
		{429, "Tue, 24 Nov 2036 09:00:00 GMT", read, tool.Retry, 24 * time.Hour},
		{500, "", read, tool.Retry, 0},
		{500, "", idempotent, tool.Retry, 0},
		{500, "", unsafe, tool.Failed, 0},
		{500, "", "", tool.Failed, 0},
		{500, "5", unsafe, tool.Failed, 0},
		{501, "", read, tool.Failed, 0},
		{502, "", read, tool.Lost, 0},
		{502, "", unsafe, tool.Lost, 0},
		{503, "", read, tool.Retry, 0},
		{503, "", unsafe, tool.Failed, 0},
		{503, "3", unsafe, tool.Retry, 3 * time.Second},
		{504, "", unsafe, tool.Lost, 0},
		{524, "", unsafe, tool.Lost, 0},
	} {
		out := mustCall(t, c.effect, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.retryAfter)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, `{"error": "why"}`)
		})
		require.Equal(t, c.kind, out.Kind, "%d %q %s", c.status, c.retryAfter, c.effect)
		require.Equal(t, c.wait, out.RetryAfter, "%d %q", c.status, c.retryAfter)
		require.Equal(t, tool.CodeHTTPStatus, out.Error.Code)
		require.Equal(t, c.status, out.Error.HTTPStatus)
		require.Contains(t, out.Error.Message, `: {"error":"why"}`)
	}
}
