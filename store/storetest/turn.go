package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func turnTests() tests {
	return tests{
		"open accepts a draft":             openAccepts,
		"open again answers from the rows": openAgain,
		"a draft opens one turn":           draftOpensOnce,
		"a draft is its product's":         draftOfAnother,
		"dropped drafts open nothing":      draftsDropped,
		"close writes the reply":           closeWrites,
		"answered needs a ground":          closeAnswered,
		"close keeps the text so far":      closeKeepsText,
		"close keeps the error":            closeKeepsError,
		"close again changes nothing":      closeAgain,
		"close tells analytics":            closeTells,
		"a missing turn is not found":      turnMissing,
		"text is UTF-8 without NUL":        textIsClean,
	}
}

// draft keeps a message and returns what opens a turn with it.
func (f *fixture) draft(t *testing.T, session, turn, message string) schemas.TurnInput {
	t.Helper()
	in, err := newDraft(f.ctx, f.Store, session, turn, message)
	require.NoError(t, err)
	return in
}

func newDraft(ctx context.Context, s *store.Store, session, turn, message string) (schemas.TurnInput, error) {
	id, err := s.PutDraft(ctx, north, message)
	return schemas.TurnInput{
		Product: north, Turn: turn, Session: session, Draft: id, BodyHash: schemas.BodyHash(session, message),
	}, err
}

// open opens a turn of north and expects where it stands.
func (f *fixture) open(t *testing.T, session, turn string, want schemas.TurnStatus) {
	t.Helper()
	opened, err := f.OpenTurn(f.ctx, f.draft(t, session, turn, "message of "+turn))
	require.NoError(t, err)
	require.Equal(t, store.Opened{Status: want, NextStep: 1}, opened)
}

// think does a model step of a turn of north and returns the ids of its calls.
func (f *fixture) think(t *testing.T, turn string, n int, outcome store.StepOutcome, calls ...store.NewCall) []string {
	t.Helper()
	claim, err := f.ClaimStep(f.ctx, north, turn, n, nil)
	require.NoError(t, err)
	stored, err := f.StoreStep(f.ctx, north, turn, n, claim.Claim, outcome, calls)
	require.NoError(t, err)
	return stored.Calls
}

// end closes a turn of north as completed and returns the next holder.
func (f *fixture) end(t *testing.T, turn string) string {
	t.Helper()
	next, err := f.CloseTurn(f.ctx, north, turn, store.Closing{Status: schemas.TurnCompleted})
	require.NoError(t, err)
	return next
}

func (f *fixture) turn(t *testing.T, turn string) store.TurnRecord {
	t.Helper()
	r, err := f.Turn(f.ctx, north, turn)
	require.NoError(t, err)
	return r
}

func (f *fixture) view(t *testing.T, turn string) schemas.Turn {
	t.Helper()
	r := f.turn(t, turn)
	return r.View(false)
}

// count is a conversation's message count, which must be what its list of
// messages has; a conversation that is not there has none.
func (f *fixture) count(t *testing.T, session string) int {
	t.Helper()
	list, err := f.Conversations(f.ctx, north, store.ListOptions{Limit: 100})
	require.NoError(t, err)
	messages, err := f.Messages(f.ctx, north, session)
	for _, c := range list.Items {
		if c.ID == session {
			require.NoError(t, err)
			require.Len(t, messages, c.MessageCount)
			return c.MessageCount
		}
	}
	requireCode(t, schemas.NotFound, err)
	return 0
}

func openAccepts(t *testing.T, f *fixture) {
	in := f.draft(t, "s", "msg_1", "What does it cost?")
	_, err := f.Messages(f.ctx, north, "s")
	requireCode(t, schemas.NotFound, err)

	opened, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, store.Opened{Status: schemas.TurnRunning, NextStep: 1}, opened)

	r := f.turn(t, "msg_1")
	require.Equal(t, store.TurnRecord{
		ID: "msg_1", Session: "s", Seq: 1, Status: schemas.TurnRunning, BodyHash: in.BodyHash,
		Message: "What does it cost?", Citations: []schemas.Citation{}, CreatedAt: f.clock.now(),
		Steps: []store.StepRecord{}, Calls: []store.CallRecord{},
	}, r)
	messages, err := f.Messages(f.ctx, north, "s")
	require.NoError(t, err)
	require.Len(t, messages, 1)
	require.Equal(t, schemas.RoleUser, messages[0].Role)
	require.Equal(t, "What does it cost?", messages[0].Content)
	require.Equal(t, at(f.clock.now()), messages[0].Timestamp)
	require.NotEmpty(t, messages[0].ID)
	require.Equal(t, 1, f.count(t, "s"))
}

func openAgain(t *testing.T, f *fixture) {
	in := f.draft(t, "s", "msg_1", "hello")
	first, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	second, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, 1, f.count(t, "s"))

	_, err = f.ClaimStep(f.ctx, north, "msg_1", 1, &store.Retrieval{Began: f.clock.now()})
	require.NoError(t, err)
	opened, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, store.Opened{Status: schemas.TurnRunning, NextStep: 1}, opened, "a claim is no outcome")
	f.think(t, "msg_1", 1, store.StepOutcome{Text: "hi"})
	f.think(t, "msg_1", 2, store.StepOutcome{Text: "there"})
	opened, err = f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, store.Opened{Status: schemas.TurnRunning, NextStep: 3}, opened)

	f.end(t, "msg_1")
	opened, err = f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, store.Opened{Status: schemas.TurnCompleted, NextStep: 3}, opened)
	require.Equal(t, 2, f.count(t, "s"))
	require.Len(t, f.drainOf(t, schemas.EventMessage), 2)
}

func draftOpensOnce(t *testing.T, f *fixture) {
	in := f.draft(t, "s", "msg_1", "hello")
	_, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	in.Turn = "msg_2"
	opened, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, schemas.Gone, opened.Refusal.Code)
	require.Equal(t, 1, f.count(t, "s"))
}

func draftOfAnother(t *testing.T, f *fixture) {
	in := f.draft(t, "s", "msg_1", "a secret of north")
	in.Product = south
	opened, err := f.OpenTurn(f.ctx, in)
	require.NoError(t, err)
	require.Equal(t, schemas.Gone, opened.Refusal.Code)
	_, err = f.Messages(f.ctx, south, "s")
	requireCode(t, schemas.NotFound, err)
}

func draftsDropped(t *testing.T, f *fixture) {
	old := f.draft(t, "s", "msg_old", "old")
	young := f.draft(t, "s", "msg_young", "young")
	f.clock.advance(time.Hour)
	new := f.draft(t, "s", "msg_new", "new")
	require.NoError(t, f.DropDrafts(f.ctx, f.clock.now().Add(-time.Hour)))
	opened, err := f.OpenTurn(f.ctx, young)
	require.NoError(t, err)
	require.Nil(t, opened.Refusal, "a draft of that moment is not from before it")

	require.NoError(t, f.DropDrafts(f.ctx, f.clock.now()))
	opened, err = f.OpenTurn(f.ctx, old)
	require.NoError(t, err)
	require.Equal(t, schemas.Gone, opened.Refusal.Code)
	opened, err = f.OpenTurn(f.ctx, new)
	require.NoError(t, err)
	require.Nil(t, opened.Refusal)
	require.Equal(t, "young", f.turn(t, "msg_young").Message, "an accepted message is no draft")
}

func closeWrites(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	citations := []schemas.Citation{{SourceID: "ks_1", DocumentID: "doc_1", URL: "http://a/", Title: "T", Heading: "H"}}
	f.think(t, "msg_1", 1, store.StepOutcome{Text: "let me see"})
	f.think(t, "msg_1", 2, store.StepOutcome{Text: "Ten euros [1].", Citations: citations})
	f.clock.advance(3 * time.Second)
	require.Empty(t, f.end(t, "msg_1"))

	r := f.turn(t, "msg_1")
	require.Equal(t, schemas.TurnCompleted, r.Status)
	require.Equal(t, "Ten euros [1].", r.Reply)
	require.Equal(t, citations, r.Citations)
	require.True(t, r.Answered)
	require.Nil(t, r.Error)
	messages, err := f.Messages(f.ctx, north, "s")
	require.NoError(t, err)
	require.Len(t, messages, 2)
	require.Equal(t, schemas.Message{
		ID: "msg_1", Role: schemas.RoleAssistant, Content: "Ten euros [1].", Timestamp: at(f.clock.now()),
	}, messages[1])
	require.Equal(t, 2, f.count(t, "s"))
}

func closeAnswered(t *testing.T, f *fixture) {
	cite := []schemas.Citation{{SourceID: "ks_1"}}
	for name, c := range map[string]struct {
		status    schemas.TurnStatus
		citations []schemas.Citation
		call      schemas.CallStatus
		want      bool
	}{
		"nothing":             {schemas.TurnCompleted, nil, "", false},
		"knowledge":           {schemas.TurnCompleted, cite, "", true},
		"a tool":              {schemas.TurnCompleted, nil, schemas.CallSucceeded, true},
		"a tool that failed":  {schemas.TurnCompleted, nil, schemas.CallFailed, false},
		"failed":              {schemas.TurnFailed, cite, schemas.CallSucceeded, false},
		"canceled":            {schemas.TurnCanceled, cite, "", false},
		"both":                {schemas.TurnCompleted, cite, schemas.CallFailed, true},
		"a tool of no status": {schemas.TurnCompleted, nil, schemas.CallUnknown, false},
	} {
		turn := "msg_" + name
		f.open(t, "s "+name, turn, schemas.TurnRunning)
		step := 1
		if c.call != "" {
			calls := f.think(t, turn, step, store.StepOutcome{}, newCall("revenue"))
			require.NoError(t, f.FinishCall(f.ctx, north, turn, calls[0], store.CallOutcome{Status: c.call}))
			step++
		}
		f.think(t, turn, step, store.StepOutcome{Text: "so", Citations: c.citations})
		_, err := f.CloseTurn(f.ctx, north, turn, store.Closing{Status: c.status})
		require.NoError(t, err)
		require.Equal(t, c.want, f.turn(t, turn).Answered, name)
	}
}

func closeKeepsText(t *testing.T, f *fixture) {
	for name, c := range map[string]struct {
		status   schemas.TurnStatus
		text     string
		messages int
	}{
		"failed":           {schemas.TurnFailed, "so far", 1},
		"canceled":         {schemas.TurnCanceled, "so far", 2},
		"canceled, silent": {schemas.TurnCanceled, "", 1},
	} {
		turn := "msg_" + name
		f.open(t, "s "+name, turn, schemas.TurnRunning)
		f.think(t, turn, 1, store.StepOutcome{Text: c.text})
		_, err := f.ClaimStep(f.ctx, north, turn, 2, nil)
		require.NoError(t, err)
		_, err = f.CloseTurn(f.ctx, north, turn, store.Closing{Status: c.status})
		require.NoError(t, err)
		require.Equal(t, c.text, f.turn(t, turn).Reply, name)
		require.Equal(t, c.messages, f.count(t, "s "+name), name)
	}
}

func closeKeepsError(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	failure := schemas.Errorf(schemas.TurnLimit, "too many steps")
	_, err := f.CloseTurn(f.ctx, north, "msg_1", store.Closing{Status: schemas.TurnFailed, Error: failure})
	require.NoError(t, err)
	r := f.turn(t, "msg_1")
	require.Equal(t, failure, r.Error)
	require.Equal(t, failure, r.View(false).Error)
}

func closeAgain(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	f.open(t, "s", "msg_2", schemas.TurnQueued)
	f.think(t, "msg_1", 1, store.StepOutcome{Text: "done"})
	require.Equal(t, "msg_2", f.end(t, "msg_1"))
	before, events := f.turn(t, "msg_1"), f.drain(t)
	require.NotEmpty(t, events)

	f.clock.advance(time.Minute)
	next, err := f.CloseTurn(f.ctx, north, "msg_1", store.Closing{
		Status: schemas.TurnFailed, Error: schemas.Errorf(schemas.Interrupted, "late"),
	})
	require.NoError(t, err)
	require.Equal(t, "msg_2", next, "told again, in case the first telling was lost")
	require.Equal(t, before, f.turn(t, "msg_1"))
	require.Equal(t, 3, f.count(t, "s"))
	require.Empty(t, f.drain(t))

	require.Empty(t, f.end(t, "msg_2"))
	require.Empty(t, f.end(t, "msg_1"), "nobody holds the place now")
}

func closeTells(t *testing.T, f *fixture) {
	f.open(t, "s", "msg_1", schemas.TurnRunning)
	calls := f.think(t, "msg_1", 1, store.StepOutcome{Model: "a", Usage: schemas.Usage{InputTokens: 5, OutputTokens: 1}}, newCall("revenue"))
	f.clock.advance(time.Second)
	require.NoError(t, f.FinishCall(f.ctx, north, "msg_1", calls[0], store.CallOutcome{Status: schemas.CallSucceeded}))
	f.think(t, "msg_1", 2, store.StepOutcome{Text: "häh", Model: "b", Usage: schemas.Usage{InputTokens: 7, OutputTokens: 2}})
	f.clock.advance(time.Second)
	var asked []string
	_, err := f.CloseTurn(f.ctx, north, "msg_1", store.Closing{
		Status: schemas.TurnCompleted,
		Intent: func(message string, tools []string) string {
			asked = append([]string{message}, tools...)
			return "revenue_query"
		},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"message of msg_1", "revenue"}, asked)

	now := schemas.Millis(f.clock.now())
	events := f.drain(t)
	for i := range events {
		require.NotEmpty(t, events[i].ID)
		events[i].ID = ""
	}
	base := schemas.Event{Product: north, Conversation: "s", Turn: "msg_1"}
	user, call, assistant, turn := base, base, base, base
	user.Kind, user.At, user.Subject, user.Size = schemas.EventMessage, now-2000, "user", int64(len("message of msg_1"))
	call.Kind, call.At, call.Subject, call.Outcome = schemas.EventToolCall, now-1000, "revenue", "succeeded"
	assistant.Kind, assistant.At, assistant.Subject, assistant.Size = schemas.EventMessage, now, "assistant", int64(len("häh"))
	turn.Kind, turn.At, turn.Outcome, turn.Answered, turn.Intent, turn.Model = schemas.EventTurn, now, "completed", true, "revenue_query", "b"
	turn.DurationMs, turn.ModelCalls, turn.InputTokens, turn.OutputTokens = 2000, 2, 12, 3
	require.ElementsMatch(t, []schemas.Event{user, call, assistant, turn}, events)
}

func turnMissing(t *testing.T, f *fixture) {
	_, err := f.Turn(f.ctx, north, "msg_none")
	requireCode(t, schemas.NotFound, err)
	_, err = f.ClaimPlace(f.ctx, north, "msg_none")
	requireCode(t, schemas.NotFound, err)
	_, err = f.CloseTurn(f.ctx, north, "msg_none", store.Closing{Status: schemas.TurnFailed})
	requireCode(t, schemas.NotFound, err)
	require.NoError(t, f.TouchTurn(f.ctx, north, "msg_none"))
}

// textIsClean: what one database keeps and another refuses is neither.
func textIsClean(t *testing.T, f *fixture) {
	for i, c := range []struct{ in, want string }{
		{"a\x00b", "a\uFFFDb"},
		{"broken \xff\xfe", "broken \uFFFD"},
		{"fine: ä 漢 🙂 '; -- %", "fine: ä 漢 🙂 '; -- %"},
	} {
		turn := fmt.Sprint("msg_", i)
		opened, err := f.OpenTurn(f.ctx, f.draft(t, turn, turn, c.in))
		require.NoError(t, err)
		require.Nil(t, opened.Refusal)
		f.think(t, turn, 1, store.StepOutcome{Text: c.in})
		f.end(t, turn)
		r := f.turn(t, turn)
		require.Equal(t, c.want, r.Message)
		messages, err := f.Messages(f.ctx, north, turn)
		require.NoError(t, err)
		require.Equal(t, c.want, messages[0].Content)
	}
	_, err := f.Turn(f.ctx, north, "msg_\x00")
	requireCode(t, schemas.NotFound, err)
	_, err = f.Conversations(f.ctx, north, store.ListOptions{Cursor: "MSAA"}) // "1 \x00"
	require.NoError(t, err)
}
