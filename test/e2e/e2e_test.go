// Package e2e starts the real program and talks to it as a client would. It
// knows nothing of the inside: what it asserts is what openapi.yaml and the
// README promise. It holds tests only.
package e2e

import (
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	runatest.Cleanup()
	os.Exit(code)
}

// loopback lets the program reach the tests' own servers.
const loopback = "RUNA_OUTBOUND_ALLOW=127.0.0.0/8"

// TestOneProcess runs what does not disturb each other against one program:
// each test has a product of its own, and only the demo's has the default one.
func TestOneProcess(t *testing.T) {
	t.Parallel()
	shared := runatest.Start(t, runatest.Options{Args: []string{"--demo"}, Env: []string{loopback}})
	for _, test := range []struct {
		name string
		run  func(*testing.T, *runatest.Runa)
	}{
		{"Demo", testDemo},
		{"Calls", testCalls},
		{"Lists", testLists},
		{"Errors", testErrors},
		{"Operator", testOperator},
		{"IdempotentTurn", testIdempotentTurn},
		{"IdempotentObjects", testIdempotentObjects},
		{"ConcurrentTurn", testConcurrentTurn},
		{"AsyncTurn", testAsyncTurn},
		{"SessionOrder", testSessionOrder},
		{"ToolRequests", testToolRequests},
		{"ToolFailures", testToolFailures},
		{"ToolRetries", testToolRetries},
		{"ToolDefinitions", testToolDefinitions},
		{"ToolSecrets", testToolSecrets},
		{"Knowledge", testKnowledge},
		{"DeleteDuringCrawl", testDeleteDuringCrawl},
		{"DeadSite", testDeadSite},
		{"Reindex", testReindex},
		{"Analytics", testAnalytics},
		{"Service", testService},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, shared.For(t, ""))
		})
	}
}

// client talks as one product.
type client struct {
	*runatest.Runa
	t       *testing.T
	product string
}

var products atomic.Int64

// newProduct makes a product and its key.
func newProduct(t *testing.T, r *runatest.Runa) client {
	t.Helper()
	product := fmt.Sprintf("prod_%d", products.Add(1))
	answer := r.Do(runatest.Request{
		Method: "POST", Path: "/v1/products", Key: r.Operator, Body: map[string]string{"id": product, "name": t.Name()},
	})
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	return client{r.For(t, newKey(t, r, product).Key), t, product}
}

type createdKey struct{ ID, Key string }

func newKey(t *testing.T, r *runatest.Runa, product string) (key createdKey) {
	t.Helper()
	answer := r.Do(runatest.Request{
		Method: "POST", Path: "/v1/keys", Key: r.Operator, Body: map[string]string{"productId": product, "name": "test"},
	})
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	answer.JSON(t, &key)
	return key
}

// call makes a call that must succeed and reads its answer.
func (c client) call(method, path string, body, dest any) {
	c.t.Helper()
	answer := c.Do(runatest.Request{Method: method, Path: path, Body: body})
	require.Equal(c.t, http.StatusOK, answer.Status, "%s %s: %s", method, path, answer.Body)
	if dest != nil {
		answer.JSON(c.t, dest)
	}
}

// refused makes a call that must fail with the status and code.
func (c client) refused(status int, code schemas.Code, req runatest.Request) apiError {
	c.t.Helper()
	answer := c.Do(req)
	require.Equal(c.t, status, answer.Status, "%s %s %v: %s", req.Method, req.Path, req.Body, answer.Body)
	e := errorOf(c.t, answer)
	require.Equal(c.t, code, e.Code)
	return e
}

type apiError struct {
	Code                              schemas.Code
	Message, Param, RequestID, TurnID string
}

func errorOf(t *testing.T, answer runatest.Answer) apiError {
	t.Helper()
	var body struct{ Error apiError }
	answer.JSON(t, &body)
	require.Equal(t, answer.Header.Get("X-Request-Id"), body.Error.RequestID)
	return body.Error
}

// turn is what the tests read of a turn.
type turn struct {
	ID, Reply, SessionID string
	ToolCalls            []toolCall
	Status               schemas.TurnStatus
	Citations            []schemas.Citation
	Answered, Degraded   bool
	Error                *schemas.Error
	Steps                []schemas.Step
}

type toolCall struct {
	ID, Name  string
	Arguments map[string]any
	Status    schemas.CallStatus
	Result    any
	Error     *schemas.CallError
}

// chat asks and must be answered.
func (c client) chat(session, message string) (answer turn) {
	c.t.Helper()
	body := map[string]any{"message": message}
	if session != "" {
		body["sessionId"] = session
	}
	c.call("POST", "/v1/chat", body, &answer)
	return answer
}

func (c client) turn(id string) (got turn) {
	c.t.Helper()
	c.call("GET", "/v1/turns/"+id, nil, &got)
	return got
}

// ended waits for a turn's end.
func (c client) ended(id string) (got turn) {
	c.t.Helper()
	until(c.t, "the turn ends", func() bool { got = c.turn(id); return got.Status.Final() })
	return got
}

type message struct{ ID, Role, Content string }

func (c client) messages(session string) []message {
	c.t.Helper()
	var got struct{ Messages []message }
	c.call("GET", "/v1/conversations/"+session, nil, &got)
	return got.Messages
}

// addTool registers a tool and returns its id.
func (c client) addTool(spec map[string]any) string {
	c.t.Helper()
	var got struct{ ID string }
	c.call("POST", "/v1/tools", spec, &got)
	return got.ID
}

type source struct {
	ID, Name, URL, Reason string
	Status                schemas.SourceStatus
	Pages                 schemas.PageCounts
}

// addSource registers a site; its crawl does not pause.
func (c client) addSource(url string) (got source) {
	c.t.Helper()
	c.call("POST", "/v1/knowledge", map[string]any{"type": "url", "url": url, "name": "Site", "crawl": map[string]int{"delayMs": 0}}, &got)
	return got
}

// crawled waits until the crawl of a source is over.
func (c client) crawled(id string) (got source) {
	c.t.Helper()
	until(c.t, "the crawl ends", func() bool {
		c.call("GET", "/v1/knowledge/"+id, nil, &got)
		return got.Status != schemas.SourceIndexing
	})
	return got
}

func (c client) search(query string) []schemas.Hit {
	c.t.Helper()
	var got struct{ Hits []schemas.Hit }
	c.call("POST", "/v1/knowledge/search", map[string]any{"query": query}, &got)
	return got.Hits
}

// until looks again and again until what is said is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	untilWithin(t, 45*time.Second, what, so)
}

func untilWithin(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	deadline := time.After(limit)
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-deadline:
			require.FailNow(t, "waited "+limit.String()+" in vain", what)
		}
	}
}
