package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

// TestStopUnderLoad stops the program while turns run and wait, and starts it
// again: what was accepted is answered.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	dir, tools := t.TempDir(), serveTools(t)
	r := runatest.Start(t, runatest.Options{Dir: dir, Env: []string{loopback}})
	c := client{r, t, schemas.DefaultProduct}
	c.addTool(tools.weather())
	open := tools.hold("Oslo")
	const sessions, each = 6, 3
	requests := make([]runatest.Request, 0, sessions*each)
	for i := range sessions * each {
		requests = append(requests, keyed(fmt.Sprint("key-", i), map[string]any{
			"sessionId": fmt.Sprint("session-", i%sessions), "message": "What is the weather in Oslo?",
		}))
	}
	answers := make([]runatest.Answer, len(requests))
	errs := make([]error, len(requests))
	var all sync.WaitGroup
	for i, request := range requests {
		all.Go(func() { answers[i], errs[i] = c.Try(request) })
	}
	tools.await(sessions)
	until(t, "all are accepted", func() bool {
		var list struct{ Conversations []schemas.Conversation }
		c.call("GET", "/v1/conversations", nil, &list)
		messages := 0
		for _, one := range list.Conversations {
			messages += one.MessageCount
		}
		return messages == len(requests)
	})
	go func() { all.Wait(); open() }() // once who waited was told, the tool answers
	code, took := r.Stop()
	all.Wait()
	require.Zero(t, code, r.Log())
	require.Less(t, took, 30*time.Second)
	t.Logf("stopped in %d ms", took.Milliseconds())

	turns := map[string]bool{}
	for i, answer := range answers {
		require.NoError(t, errs[i])
		c.Check(requests[i], answer)
		require.Equal(t, http.StatusAccepted, answer.Status, "%s", answer.Body)
		turns[strings.TrimPrefix(answer.Header.Get("Location"), "/v1/turns/")] = true
	}
	require.Len(t, turns, len(requests))
	restarted(t, dir, turns, requests)
	require.Len(t, tools.requests(), len(requests), "each call was made once")
}

// restarted starts the program again and waits for the turns of before.
func restarted(t *testing.T, dir string, turns map[string]bool, requests []runatest.Request) {
	t.Helper()
	c := client{runatest.Start(t, runatest.Options{Dir: dir, Env: []string{loopback}}), t, schemas.DefaultProduct}
	for id := range turns {
		ended := c.ended(id)
		require.Equal(t, schemas.TurnCompleted, ended.Status)
		require.Contains(t, ended.Reply, "Oslo")
	}
	for _, request := range requests {
		answer := c.Do(request)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		var again turn
		answer.JSON(t, &again)
		require.True(t, turns[again.ID], "the key reaches the turn of before")
	}
	c.figuresWithin2s(2 * len(requests))
	code, _ := c.Stop()
	require.Zero(t, code)
}

// TestRestartKeepsEverything reads the same before and after a restart.
func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func() client {
		return client{runatest.Start(t, runatest.Options{Dir: dir, Env: []string{loopback}}), t, schemas.DefaultProduct}
	}
	docs, tools := serveSite(t, nil), serveTools(t)
	c := start()
	made := c.crawled(c.addSource(docs.URL + "/docs/").ID)
	spec := tools.weather()
	spec["headers"] = map[string]string{"X-Secret": "kept-under-seal"}
	c.addTool(spec)
	key := newKey(t, c.Runa, schemas.DefaultProduct)
	answer := c.chat("kept", "How many apples does the "+animal(9)+" eat a day?")
	c.figuresWithin2s(2)
	paths := []string{
		"/v1/conversations", "/v1/conversations/kept", "/v1/turns/" + answer.ID, "/v1/tools", "/v1/knowledge", "/v1/knowledge/" + made.ID,
		"/v1/knowledge/" + made.ID + "/pages?limit=100",
	}
	read := func(c client) (all []string) {
		for _, path := range paths {
			all = append(all, string(c.Do(runatest.Request{Method: "GET", Path: path}).Body))
		}
		return append(all, fmt.Sprint(c.search(animal(9))))
	}
	before := read(c)
	code, _ := c.Stop()
	require.Zero(t, code)

	c = start()
	require.Equal(t, before, read(c))
	require.Equal(t, 2, c.figuresWithin2s(2).MessagesTotal)
	require.Equal(t, http.StatusOK, c.Do(runatest.Request{Method: "GET", Path: "/v1/tools", Key: key.Key}).Status)
	c.chat("kept", "What is the weather in Oslo?")
	require.Equal(t, "kept-under-seal", tools.requests()[0].header.Get("X-Secret"))
	require.Len(t, c.messages("kept"), 4)
	require.Equal(t, 1, docs.count("/docs/page-1"), "nothing is crawled anew")
}

// TestSecondServe is refused on a folder in use, and leaves the first alone.
func TestSecondServe(t *testing.T) {
	t.Parallel()
	runatest.OnlyEmbedded(t, "only processes with files in it share a data folder")
	r := runatest.Start(t, runatest.Options{})
	second := runatest.Command(t, nil, "serve", "--data-dir", r.Dir, "--listen", "127.0.0.1:0")
	require.NotZero(t, second.Code)
	require.Contains(t, second.Stderr, "another runa serve works in this data folder")
	require.Contains(t, second.Stderr, r.Dir)
	require.Contains(t, second.Stderr, "RUNA_DATA_DIR")
	require.Len(t, strings.Split(strings.TrimSpace(second.Stderr), "\n"), 1, "one clear line")

	port := strings.TrimPrefix(r.URL, "http://")
	taken := runatest.Command(t, nil, "serve", "--data-dir", t.TempDir(), "--listen", port)
	require.NotZero(t, taken.Code)
	require.Contains(t, taken.Stderr, "RUNA_LISTEN")
	require.Equal(t, schemas.TurnCompleted, client{r, t, ""}.chat("", "Are you well?").Status)
	testCommands(t, r)
	testDoctorBeside(t, r)
}

// testCommands runs the commands beside the server, which sees what they do
// within a second.
func testCommands(t *testing.T, r *runatest.Runa) {
	run := func(args ...string) string {
		got := runatest.Command(t, nil, append(args, "--data-dir", r.Dir)...)
		require.Zero(t, got.Code, "%v: %s", args, got.Stderr)
		return strings.TrimSpace(got.Stdout)
	}
	status := func(key string) int {
		return r.Do(runatest.Request{Method: "GET", Path: "/v1/tools", Key: key}).Status
	}
	require.Equal(t, "prod_cli", run("products", "create", "From the command line", "--id", "prod_cli"))
	require.Regexp(t, `^prod_\w+$`, run("products", "create", "Without an id"))
	require.Contains(t, run("products", "list"), "From the command line")
	run("products", "rename", "prod_cli", "Renamed")
	require.Contains(t, run("products", "list"), "Renamed")

	id, key, found := strings.Cut(run("keys", "create", "--product", "prod_cli", "--name", "shell"), "\t")
	require.True(t, found)
	require.Equal(t, http.StatusOK, status(key))
	list := run("keys", "list", "--product", "prod_cli")
	require.Contains(t, list, id)
	require.Contains(t, list, "shell")
	require.NotContains(t, list, key)
	run("keys", "revoke", id)
	began := time.Now()
	until(t, "the revoked key opens nothing", func() bool { return status(key) == http.StatusUnauthorized })
	require.Less(t, time.Since(began), time.Second+slack)

	_, key, _ = strings.Cut(run("keys", "create", "--product", "prod_cli"), "\t")
	require.Equal(t, http.StatusOK, status(key))
	run("products", "delete", "prod_cli")
	until(t, "a deleted product's key opens nothing", func() bool { return status(key) == http.StatusUnauthorized })
	for _, wrong := range [][]string{
		{"keys", "revoke", id},
		{"keys", "revoke", "nothing"},
		{"keys", "create", "--product", "nothing"},
		{"keys", "create", "--name", ""},
		{"keys", "create", "extra"},
		{"products", "create", ""},
		{"products", "create", "x", "--id", "a b"},
		{"products", "delete", "nothing"},
		{"products", "rename", "prod_cli", "x"},
		{"nonsense"},
	} {
		got := runatest.Command(t, nil, append(wrong, "--data-dir", r.Dir)...)
		require.NotZero(t, got.Code, "%v", wrong)
		require.True(t, strings.HasPrefix(got.Stderr, "runa: "), "%v: %s", wrong, got.Stderr)
		require.NotContains(t, got.Stderr, "goroutine")
	}
}

// testDoctorBeside finds a running server well.
func testDoctorBeside(t *testing.T, r *runatest.Runa) {
	got := runatest.Command(t, nil, "doctor", "--data-dir", r.Dir, "--listen", strings.TrimPrefix(r.URL, "http://"))
	require.Zero(t, got.Code, "%s%s", got.Stdout, got.Stderr)
	require.Equal(t, 8, strings.Count(got.Stdout, "ok  "), got.Stdout)
	require.Contains(t, got.Stdout, "held by a running Runa")
}

// TestRateLimit exceeds the limit of one key.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	r := runatest.Start(t, runatest.Options{Args: []string{"--rate-limit", "5"}})
	other := newKey(t, r, schemas.DefaultProduct)
	refused := 0
	for range 40 {
		answer := r.Do(runatest.Request{Method: "GET", Path: "/v1/tools"})
		if answer.Status == http.StatusOK {
			continue
		}
		refused++
		require.Equal(t, http.StatusTooManyRequests, answer.Status)
		require.Equal(t, schemas.RateLimited, errorOf(t, answer).Code)
		require.Regexp(t, `^[1-9]\d*$`, answer.Header.Get("Retry-After"))
	}
	require.Greater(t, refused, 10)
	require.Equal(t, http.StatusOK, r.Do(runatest.Request{Method: "GET", Path: "/v1/tools", Key: other.Key}).Status, "another key is not limited")
	require.Equal(t, http.StatusOK, r.Do(runatest.Request{Method: "GET", Path: "/livez", Key: "none"}).Status)
	until(t, "the key is let in again", func() bool {
		return r.Do(runatest.Request{Method: "GET", Path: "/v1/tools"}).Status == http.StatusOK
	})
}
