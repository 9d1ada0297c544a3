package schemastest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func jsonHeader(pairs ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Request-Id": {"req_1"}}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

const (
	turn     = `{"id":"msg_1","reply":"","toolCalls":[],"sessionId":"s","status":"running","citations":[],"answered":false,"degraded":false,"usage":{"modelCalls":0,"inputTokens":0,"outputTokens":0},"error":null,"createdAt":"2026-03-01T10:00:00Z"}`
	notFound = `{"error":{"code":"not_found","message":"not found","requestId":"req_1"}}`
)

func TestCheckAcceptsWhatIsDocumented(t *testing.T) {
	t.Parallel()
	v := NewValidator(t)
	for _, c := range []struct {
		method, path string
		status       int
		header       http.Header
		body         string
	}{
		{"POST", "/v1/chat", 200, jsonHeader(), turn},
		{"POST", "/v1/chat", 202, jsonHeader("Location", "/v1/turns/msg_1"), turn},
		{"GET", "/v1/turns/msg_1", 404, jsonHeader(), notFound},
		{"GET", "/v1/conversations?limit=2", 200, jsonHeader(), `{"conversations":[],"total":0}`},
		{"GET", "/v1/conversations/a:b.c", 200, jsonHeader(), `{"id":"a:b.c","messages":[]}`},
		{"POST", "/v1/knowledge/search", 200, jsonHeader(), `{"hits":[]}`},
		{"GET", "/v1/nothing", 404, jsonHeader(), notFound},
		{"PUT", "/v1/chat", 405, jsonHeader("Allow", "POST"), `{"error":{"code":"method_not_allowed","message":"m","requestId":"r"}}`},
		{"GET", "/metrics", 200, jsonHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8"), "a 1\n"},
		{"GET", "/openapi.yaml", 200, jsonHeader("Content-Type", "application/yaml"), "openapi: 3.0.3\n"},
	} {
		require.NoError(t, v.check(c.method, c.path, c.status, c.header, []byte(c.body)), "%s %s", c.method, c.path)
	}
}

func TestCheckNamesTheDeviation(t *testing.T) {
	t.Parallel()
	v := NewValidator(t)
	for _, c := range []struct {
		name, method, path string
		status             int
		header             http.Header
		body, want         string
	}{
		{"status", "GET", "/v1/conversations", 418, jsonHeader(), `{}`, "status is not supported"},
		{"missing field", "GET", "/v1/conversations", 200, jsonHeader(), `{"conversations":[]}`, `property "total" is missing`},
		{"extra field", "GET", "/v1/conversations", 200, jsonHeader(), `{"conversations":[],"total":0,"more":1}`, `property "more" is unsupported`},
		{"extra nested field", "GET", "/v1/conversations", 200, jsonHeader(), `{"conversations":[{"id":"s","startedAt":"2026-03-01T10:00:00Z","messageCount":1,"x":1}],"total":1}`, `/conversations/0: property "x" is unsupported`},
		{"null list", "GET", "/v1/conversations", 200, jsonHeader(), `{"conversations":null,"total":0}`, "/conversations: Value is not nullable"},
		{"time", "GET", "/v1/conversations", 200, jsonHeader(), `{"conversations":[{"id":"s","startedAt":"2026-03-01T10:00:00.5Z","messageCount":1}],"total":1}`, "/conversations/0/startedAt:"},
		{"several", "GET", "/v1/conversations", 200, jsonHeader(), `{"conversations":{},"total":"1"}`, "; /total: value must be an integer"},
		{"no JSON", "GET", "/v1/conversations", 200, jsonHeader(), `<html>`, "failed to decode"},
		{"type", "GET", "/v1/conversations", 200, jsonHeader("Content-Type", "text/html"), `{}`, "Content-Type"},
		{"request id", "GET", "/v1/conversations", 200, http.Header{"Content-Type": {"application/json"}}, `{"conversations":[],"total":0}`, `"X-Request-Id" missing`},
		{"location", "POST", "/v1/chat", 202, jsonHeader(), turn, `"Location" missing`},
		{"retry", "GET", "/v1/tools", 429, jsonHeader(), `{"error":{"code":"rate_limited","message":"m","requestId":"r"}}`, `"Retry-After" missing`},
		{"code", "GET", "/v1/turns/x", 404, jsonHeader(), `{"error":{"code":"internal","message":"m","requestId":"r"}}`, `code "internal" does not belong`},
		{"unknown code", "GET", "/v1/turns/x", 404, jsonHeader(), `{"error":{"code":"lost","message":"m","requestId":"r"}}`, "/error/code:"},
		{"header type", "GET", "/v1/tools", 429, jsonHeader("Retry-After", "soon"), `{"error":{"code":"rate_limited","message":"m","requestId":"r"}}`, `"Retry-After" value`},
		{"undocumented route", "GET", "/v1/nothing", 200, jsonHeader(), `{}`, "must be 404 or 405"},
		{"undocumented method", "PUT", "/v1/chat", 405, jsonHeader(), notFound, `"Allow" missing`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := v.check(c.method, c.path, c.status, c.header, []byte(c.body))
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 500, "the message must be readable")
		})
	}
}
