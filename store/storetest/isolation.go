package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/store"
)

func isolationTests() tests {
	return tests{"another product's is the same as missing": productsApart}
}

// ids name one thing of each kind, of one product.
type ids struct{ session, turn, call, tool, source, document, draft string }

// operation is a method asked for a thing of the product's. want is the code
// that it answers for a thing that is not there: "" is for those which answer
// from what there is, and change nothing.
type operation struct {
	want schemas.Code
	ask  func(f *fixture, product string, of ids) (any, error)
}

func operations() map[string]operation {
	return map[string]operation{
		"Messages": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return f.Messages(f.ctx, p, of.session) }},
		"Turn":     {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return f.Turn(f.ctx, p, of.turn) }},
		"ClaimPlace": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) {
			return f.ClaimPlace(f.ctx, p, of.turn)
		}},
		"CloseTurn": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) {
			return f.CloseTurn(f.ctx, p, of.turn, store.Closing{Status: schemas.TurnFailed})
		}},
		"TouchTurn": {"", func(f *fixture, p string, of ids) (any, error) { return nil, f.TouchTurn(f.ctx, p, of.turn) }},
		"TurnStates": {"", func(f *fixture, p string, of ids) (any, error) {
			return f.TurnStates(f.ctx, []store.TurnRef{{Product: p, Turn: of.turn, Draft: of.draft}})
		}},
		"OpenTurn": {"", func(f *fixture, p string, of ids) (any, error) {
			return f.OpenTurn(f.ctx, schemas.TurnInput{Product: p, Turn: "msg_of_" + p, Session: of.session, Draft: of.draft})
		}},
		"History": {"", func(f *fixture, p string, of ids) (any, error) {
			return f.History(f.ctx, p, store.TurnRecord{Session: of.session, Seq: 9}, 9)
		}},
		"ClaimStep": {schemas.Gone, func(f *fixture, p string, of ids) (any, error) {
			return f.ClaimStep(f.ctx, p, of.turn, 1, &store.Retrieval{Began: f.clock.now()})
		}},
		"StoreStep": {schemas.Gone, func(f *fixture, p string, of ids) (any, error) {
			return f.StoreStep(f.ctx, p, of.turn, 1, 1, store.StepOutcome{Text: "theirs"}, nil)
		}},
		"ClaimCall": {schemas.Gone, func(f *fixture, p string, of ids) (any, error) {
			return f.ClaimCall(f.ctx, p, of.turn, of.call)
		}},
		"UnsendCall": {"", func(f *fixture, p string, of ids) (any, error) {
			return nil, f.UnsendCall(f.ctx, p, of.turn, of.call, 1)
		}},
		"FinishCall": {"", func(f *fixture, p string, of ids) (any, error) {
			return nil, f.FinishCall(f.ctx, p, of.turn, of.call, store.CallOutcome{Status: schemas.CallFailed})
		}},
		"Tool": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return f.Tool(f.ctx, p, of.tool) }},
		"ToolWithHeaders": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) {
			tool, headers, err := f.ToolWithHeaders(f.ctx, p, of.tool)
			return []any{tool, headers}, err
		}},
		"UpdateTool": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) {
			return f.UpdateTool(f.ctx, p, of.tool, schemas.ToolPatch{Name: &p}, valid)
		}},
		"DeleteTool":   {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return nil, f.DeleteTool(f.ctx, p, of.tool) }},
		"Source":       {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return f.Source(f.ctx, p, of.source) }},
		"DeleteSource": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return nil, f.DeleteSource(f.ctx, p, of.source) }},
		"ForgetSource": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) { return nil, f.ForgetSource(f.ctx, p, of.source) }},
		"TouchSource":  {"", func(f *fixture, p string, of ids) (any, error) { return nil, f.TouchSource(f.ctx, p, of.source) }},
		"PurgeReady":   {"", func(f *fixture, p string, of ids) (any, error) { return f.PurgeReady(f.ctx, p, of.source) }},
		"LiveSources": {"", func(f *fixture, p string, of ids) (any, error) {
			return f.LiveSources(f.ctx, p, []string{of.source})
		}},
		"FinishCrawl": {"", func(f *fixture, p string, of ids) (any, error) {
			return nil, f.FinishCrawl(f.ctx, p, of.source, 1, schemas.SourceReady, "")
		}},
		"Pages": {schemas.NotFound, func(f *fixture, p string, of ids) (any, error) {
			return f.Pages(f.ctx, p, of.source, "", store.ListOptions{})
		}},
		"AddPages": {schemas.Gone, func(f *fixture, p string, of ids) (any, error) {
			return nil, f.AddPages(f.ctx, p, of.source, 1, []store.NewPage{newPage("theirs", 0)}, wide)
		}},
		"LeasePages": {schemas.Gone, func(f *fixture, p string, of ids) (any, error) {
			return f.LeasePages(f.ctx, p, of.source, 1, "1/9", 9, f.clock.now().Add(time.Hour))
		}},
		"RecordPage": {schemas.Gone, func(f *fixture, p string, of ids) (any, error) {
			_, _, err := f.RecordPage(f.ctx, p, of.source, 1, indexed(store.Lease{ID: of.document}, "x"), wide)
			return nil, err
		}},
		"HasTwin": {"", func(f *fixture, p string, of ids) (any, error) {
			return f.HasTwin(f.ctx, p, of.source, "doc_x", schemas.BodyHash("text of a"))
		}},
		"Frontier": {"", func(f *fixture, p string, of ids) (any, error) { return f.Frontier(f.ctx, p, of.source) }},
		"Live": {"", func(f *fixture, p string, of ids) (any, error) {
			return f.Live(f.ctx, p, []store.DocumentRef{{Source: of.source, Document: of.document, Version: 1}})
		}},
		"IndexedChunks": {"", func(f *fixture, p string, of ids) (any, error) { return f.IndexedChunks(f.ctx, p, of.source) }},
		"Documents":     {"", func(f *fixture, p string, of ids) (any, error) { return f.Documents(f.ctx, p, of.source) }},
	}
}

// productsApart asks each method of south for things of north and for things
// that nobody has: what it answers must be the same to the byte.
func productsApart(t *testing.T, f *fixture) {
	mine, nobodys := f.furnish(t), ids{"none", "msg_none", "call_none", "tool_none", "ks_none", "doc_none", "draft_none"}
	before := f.snapshot(t, north)
	events := f.depth(t)
	for name, op := range operations() {
		theirs, err := op.ask(f, south, mine)
		missing, errMissing := op.ask(f, south, nobodys)
		require.Equal(t, op.want, schemas.CodeOf(err), name)
		require.Equal(t, nameless(errMissing, nobodys), nameless(err, mine), name)
		require.Equal(t, nameless(errors.New(asJSON(t, missing)), nobodys), nameless(errors.New(asJSON(t, theirs)), mine), name)
		require.Equal(t, before, f.snapshot(t, north), "%s changed what is another's", name)
	}
	require.Equal(t, events, f.depth(t))
	require.Equal(t, f.snapshot(t, "prod_none"), f.snapshot(t, south), "lists of south hold nothing")
}

// nameless is an error's text without the names that the caller put in.
func nameless(err error, of ids) string {
	if err == nil {
		return ""
	}
	return strings.NewReplacer(of.session, "ID", of.turn, "ID", of.call, "ID", of.tool, "ID",
		of.source, "ID", of.document, "ID", of.draft, "ID").Replace(err.Error())
}

// furnish gives north one of each thing.
func (f *fixture) furnish(t *testing.T) ids {
	t.Helper()
	tool := f.tool(t, north, "revenue")
	source, lease := f.leased(t)
	f.index(t, source, lease, "text of a")
	require.NoError(t, f.AddPages(f.ctx, north, source, 1, []store.NewPage{newPage("b", 1)}, wide))
	call := newCall("revenue")
	call.Tool = tool.ID
	id := f.call(t, "msg_1", call)
	f.claim(t, "msg_1", id)
	_, err := f.ClaimStep(f.ctx, north, "msg_1", 2, nil)
	require.NoError(t, err)
	f.open(t, "session of msg_1", "msg_2", schemas.TurnQueued)
	return ids{
		session: "session of msg_1", turn: "msg_1", call: id, tool: tool.ID,
		source: source, document: lease.ID, draft: f.draft(t, "other", "msg_3", "secret").Draft,
	}
}

// snapshot is all that a product's reader can see of it, as text.
func (f *fixture) snapshot(t *testing.T, product string) string {
	t.Helper()
	o := store.ListOptions{Limit: 100}
	var seen []any
	see := func(v any, err error) {
		t.Helper()
		require.NoError(t, err)
		seen = append(seen, v)
	}
	conversations, err := f.Conversations(f.ctx, product, o)
	see(conversations, err)
	for _, c := range conversations.Items {
		messages, err := f.Messages(f.ctx, product, c.ID)
		see(messages, err)
		for _, m := range messages {
			if m.Role == schemas.RoleUser {
				states, err := f.TurnStates(f.ctx, []store.TurnRef{{Product: product, Turn: strings.TrimPrefix(m.Content, "message of ")}})
				see(states, err)
			}
		}
	}
	for _, turn := range []string{"msg_1", "msg_2"} {
		if r, err := f.Turn(f.ctx, product, turn); schemas.CodeOf(err) != schemas.NotFound {
			see(r, err)
		}
	}
	tools, err := f.Tools(f.ctx, product, o)
	see(tools, err)
	for _, tool := range tools.Items {
		_, headers, err := f.ToolWithHeaders(f.ctx, product, tool.ID)
		see(headers, err)
	}
	sources, err := f.Sources(f.ctx, product, o)
	see(sources, err)
	for _, s := range sources.Items {
		see(f.Source(f.ctx, product, s.ID))
		see(f.Pages(f.ctx, product, s.ID, "", o))
		see(f.Frontier(f.ctx, product, s.ID))
		see(f.Documents(f.ctx, product, s.ID))
	}
	see(f.Keys(f.ctx, "key of "+product, o))
	return asJSON(t, seen)
}
