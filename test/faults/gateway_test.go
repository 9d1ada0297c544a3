package faults

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bulkServer stores what it is given, as Elasticsearch does.
func bulkServer(t *testing.T) (server *httptest.Server, stored func() string) {
	t.Helper()
	var all strings.Builder
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) == 0 {
			_, _ = io.WriteString(w, "a whole answer")
			return
		}
		all.Write(body)
		n := strings.Count(strings.TrimSpace(string(body)), "\n")/2 + 1
		_, _ = io.WriteString(w, `{"items":[`+strings.TrimSuffix(strings.Repeat(`{"index":{"status":201}},`, n), ",")+`]}`)
	}))
	t.Cleanup(server.Close)
	return server, all.String
}

func post(t *testing.T, address, body string) (status int, answer string, err error) {
	t.Helper()
	resp, err := http.Post(address, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestGatewayAnswersInPlace(t *testing.T) {
	t.Parallel()
	server, stored := bulkServer(t)
	g := NewGateway(t, server.URL)
	status, answer, err := post(t, g.URL+"/", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "a whole answer", answer)
	g.Set(CutShort)
	_, answer, err = post(t, g.URL+"/", "")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "a whole", answer)
	g.Set(Refused(http.StatusTooManyRequests, `{"error":"full"}`))
	status, answer, err = post(t, g.URL+"/_bulk", "x")
	require.NoError(t, err)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.JSONEq(t, `{"error":"full"}`, answer)
	require.Empty(t, stored())
	require.Equal(t, 2, g.Spoiled())
}

func TestGatewayMixesResults(t *testing.T) {
	t.Parallel()
	server, stored := bulkServer(t)
	g := NewGateway(t, server.URL)
	g.Set(Mixed(http.StatusTooManyRequests, http.StatusConflict))
	status, answer, err := post(t, g.URL+"/x/_bulk", "a\n1\nb\n2\nc\n3\nd\n4\n")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"errors":true,"items":[
		{"index":{"status":409,"error":{"type":"spoiled","reason":"spoiled"}}},
		{"index":{"status":201}},{"index":{"status":201}},
		{"index":{"status":429,"error":{"type":"spoiled","reason":"spoiled"}}}]}`, answer)
	require.Equal(t, "a\n1\nb\n2\nc\n3\n", stored())
}
