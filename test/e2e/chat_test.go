package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/runatest"
)

func keyed(key string, body any) runatest.Request {
	return runatest.Request{Method: "POST", Path: "/v1/chat", Header: map[string]string{"Idempotency-Key": key}, Body: body}
}

// testIdempotentTurn sends a message again under its key.
func testIdempotentTurn(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	c.addTool(tools.weather())
	ask := func(key string, body map[string]any) (answer turn) {
		got := c.Do(keyed(key, body))
		require.Equal(t, http.StatusOK, got.Status, "%s", got.Body)
		got.JSON(t, &answer)
		return answer
	}
	question := map[string]any{"sessionId": "again", "message": "What is the weather in Oslo?"}
	first := ask("key-1", question)
	require.Equal(t, first, ask("key-1", question))
	question["wait"] = 5
	require.Equal(t, first.ID, ask("key-1", question).ID, "how long one waits is not part of the question")
	require.Len(t, tools.requests(), 1, "the tool is not called again")
	require.Len(t, c.messages("again"), 2)
	for _, other := range []map[string]any{
		{"sessionId": "again", "message": "What is the weather in Rome?"},
		{"sessionId": "elsewhere", "message": "What is the weather in Oslo?"},
		{"message": "What is the weather in Oslo?"},
	} {
		c.refused(http.StatusUnprocessableEntity, schemas.IdempotencyMismatch, keyed("key-1", other))
	}
	require.NotEqual(t, first.ID, ask("key-2", map[string]any{"sessionId": "again", "message": "And what is the weather in Rome?"}).ID)

	// The key is the product's own.
	other := newProduct(t, r)
	got := other.Do(keyed("key-1", map[string]any{"sessionId": "again", "message": "Is it mine?"}))
	require.Equal(t, http.StatusOK, got.Status)
	other.refused(http.StatusNotFound, schemas.NotFound, runatest.Request{Method: "GET", Path: "/v1/turns/" + first.ID})

	// Without a session each key still stands for one conversation.
	minted := ask("key-3", map[string]any{"message": "Where am I?"})
	require.Equal(t, minted, ask("key-3", map[string]any{"message": "Where am I?"}))
}

// testIdempotentObjects sends definitions again under their keys.
func testIdempotentObjects(t *testing.T, r *runatest.Runa) {
	c := newProduct(t, r)
	for path, bodies := range map[string][2]map[string]any{
		"/v1/tools": {
			{"name": "one", "description": "Do one.", "endpoint": "https://api.example.com/1", "method": "POST"},
			{"name": "two", "description": "Do two.", "endpoint": "https://api.example.com/2", "method": "POST"},
		},
		"/v1/knowledge": {
			{"type": "url", "url": "https://127.0.0.1:1/one", "name": "One"},
			{"type": "url", "url": "https://127.0.0.1:1/two", "name": "Two"},
		},
	} {
		request := func(body any) runatest.Request {
			return runatest.Request{Method: "POST", Path: path, Header: map[string]string{"Idempotency-Key": "key-1"}, Body: body}
		}
		var first, again struct{ ID string }
		c.Do(request(bodies[0])).JSON(t, &first)
		c.Do(request(bodies[0])).JSON(t, &again)
		require.NotEmpty(t, first.ID)
		require.Equal(t, first, again)
		c.refused(http.StatusUnprocessableEntity, schemas.IdempotencyMismatch, request(bodies[1]))
		var list struct{ Total int }
		c.call("GET", path, nil, &list)
		require.Equal(t, 1, list.Total)
	}
}

// testConcurrentTurn sends one message many times at once.
func testConcurrentTurn(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	c.addTool(tools.weather())
	answers := make([]runatest.Answer, 8)
	request := keyed("once", map[string]any{"sessionId": "race", "message": "What is the weather in Oslo?"})
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i], _ = c.Try(request) }) // an empty answer is found below
	}
	all.Wait()
	ids := map[string]bool{}
	for _, answer := range answers {
		c.Check(request, answer)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		var got turn
		answer.JSON(t, &got)
		ids[got.ID] = true
	}
	require.Len(t, ids, 1)
	require.Len(t, tools.requests(), 1)
	require.Len(t, c.messages("race"), 2)
}

// testAsyncTurn does not wait, in each way to say so.
func testAsyncTurn(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	c.addTool(tools.weather())
	open := tools.hold("Oslo")
	var accepted []string
	for i, request := range []runatest.Request{
		{Header: map[string]string{"Prefer": "respond-async"}, Body: map[string]any{"message": "What is the weather in Oslo?"}},
		{Header: map[string]string{"Prefer": "handling=lenient, Respond-Async"}, Body: map[string]any{"message": "What is the weather in Oslo?"}},
		{Body: map[string]any{"message": "What is the weather in Oslo?", "wait": 0}},
		{Body: map[string]any{"message": "What is the weather in Oslo?", "wait": 1}},
	} {
		request.Method, request.Path = "POST", "/v1/chat"
		answer := c.Do(request)
		require.Equal(t, http.StatusAccepted, answer.Status, "%d: %s", i, answer.Body)
		var one turn
		answer.JSON(t, &one)
		accepted = append(accepted, one.ID)
		require.Equal(t, "/v1/turns/"+one.ID, answer.Header.Get("Location"))
		shown := c.turn(one.ID)
		require.Contains(t, []schemas.TurnStatus{schemas.TurnRunning, schemas.TurnQueued}, shown.Status)
		require.Equal(t, one.SessionID, shown.SessionID)
		require.Len(t, c.messages(shown.SessionID), 1, "the user's message counts once it is accepted")
		tools.await(i + 1)
		require.Equal(t, schemas.CallRunning, c.turn(one.ID).ToolCalls[0].Status)
	}
	open()
	for _, id := range accepted {
		ended := c.ended(id)
		require.Equal(t, schemas.TurnCompleted, ended.Status)
		require.Equal(t, schemas.CallSucceeded, ended.ToolCalls[0].Status)
	}
}

// testSessionOrder fills a session behind a slow tool.
func testSessionOrder(t *testing.T, r *runatest.Runa) {
	c, tools := newProduct(t, r), serveTools(t)
	c.addTool(tools.weather())
	cities := []string{"Oslo", "Rome", "Paris", "Madrid", "Lisbon", "Athens", "Vienna", "Berlin", "Dublin"}
	open := tools.hold("Oslo")
	ask := func(city string) map[string]any {
		return map[string]any{"sessionId": "line", "message": fmt.Sprintf("What is the weather in %s?", city), "wait": 0}
	}
	accepted := make([]turn, len(cities))
	for i, city := range cities {
		answer := c.Do(keyed(city, ask(city)))
		require.Equal(t, http.StatusAccepted, answer.Status, "%s", answer.Body)
		answer.JSON(t, &accepted[i])
		if i == 0 {
			tools.await(1)
		} else {
			require.Equal(t, schemas.TurnQueued, accepted[i].Status)
		}
	}
	e := c.refused(http.StatusConflict, schemas.ConversationBusy, keyed("late", ask("Warsaw")))
	require.Equal(t, "sessionId", e.Param)
	require.Len(t, c.messages("line"), len(cities), "what was refused is not kept")
	require.Equal(t, http.StatusAccepted, c.Do(keyed("Rome", ask("Rome"))).Status, "what was accepted is not refused when it comes again")

	elsewhere := c.chat("other", "Is anybody there?")
	require.Equal(t, schemas.TurnCompleted, elsewhere.Status, "another session is not delayed")
	require.Equal(t, schemas.TurnRunning, c.turn(accepted[0].ID).Status)
	require.Len(t, tools.requests(), 1)

	open()
	for i, one := range accepted {
		require.Equal(t, schemas.TurnCompleted, c.ended(one.ID).Status, cities[i])
	}
	var asked []string
	for _, request := range tools.requests() {
		asked = append(asked, request.url.Query().Get("city"))
	}
	require.Equal(t, cities, asked, "answered in the order in which they were accepted")
	replies := 0
	for _, m := range c.messages("line") {
		if m.Role == "assistant" {
			require.Contains(t, m.Content, cities[replies])
			replies++
		}
	}
	require.Equal(t, len(cities), replies)

	// The refusal did not use its key up, also for another body.
	answer := c.Do(keyed("late", map[string]any{"sessionId": "line", "message": "What is the weather in Zagreb?"}))
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	require.Contains(t, string(answer.Body), "Zagreb")
}
