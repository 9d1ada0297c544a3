// Package extractive is the offline llm.Model: it quotes the sentences of the
// knowledge that answer a question, calls the tool that a message asks for, and
// writes a tool's result readably. It needs no network and no key, and the same
// request always gives the same reply.
//
// It does not write: apart from a few fixed phrases (phrases.go) a reply holds
// nothing that is not in the knowledge or in a tool's result. It knows English
// best; what it knows of no language it compares by words.
package extractive

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"runa/llm"
	"runa/schemas"
)

// Name selects this model.
const Name = "extractive"

// Model is the offline model. It holds nothing and is safe for concurrent use.
type Model struct{}

var _ llm.Model = (*Model)(nil)

// New returns the model.
func New() *Model { return &Model{} }

// Name implements llm.Model.
func (*Model) Name() string { return Name }

// Generate implements llm.Model. Only ctx can make it fail.
func (*Model) Generate(ctx context.Context, req *llm.Request, onDelta func(string)) (*llm.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	pieces, calls := reply(req)
	for _, piece := range pieces {
		if err := ctx.Err(); err != nil {
			return nil, unavailable(err)
		}
		if onDelta != nil {
			onDelta(piece)
		}
	}
	text := strings.Join(pieces, "")
	return &llm.Response{Text: text, Calls: calls, Model: Name, Usage: usage(req, text, calls)}, nil
}

func unavailable(err error) *llm.Error {
	return &llm.Error{Code: schemas.ModelUnavailable, Message: "stopped: " + err.Error(), Retryable: true}
}

// reply decides: the results of the turn, else calls, else the knowledge.
func reply(req *llm.Request) (pieces []string, calls []llm.Call) {
	made, results := running(req.Messages)
	if len(results) > 0 {
		return renderResults(results), nil
	}
	q := readQuestion(req.Messages)
	if len(q.stems) == 0 && isGreeting(q.text) {
		return []string{greeting}, nil
	}
	known := fromKnowledge(q, req.Knowledge)
	p := planCalls(q, req.Tools, made)
	if len(known.pieces) > 0 && !p.firm && known.confidence > p.covers+0.2 {
		return known.pieces, nil
	}
	switch {
	case len(p.calls) > 0:
		return nil, p.calls
	case p.ask != "":
		return []string{p.ask}, nil
	case len(known.pieces) > 0:
		return known.pieces, nil
	default:
		return []string{notKnown, offline}, nil
	}
}

// running are the calls and results after the last user message.
func running(messages []llm.Message) (calls []llm.Call, results []llm.Result) {
	for _, m := range slices.Backward(messages) {
		if m.Role == llm.RoleUser {
			break
		}
		calls = append(calls, m.Calls...)
		results = append(slices.Clone(m.Results), results...)
	}
	return calls, results
}

// usage estimates tokens at four characters each.
func usage(req *llm.Request, text string, calls []llm.Call) schemas.Usage {
	in := utf8.RuneCountInString(req.System)
	for _, p := range req.Knowledge {
		in += utf8.RuneCountInString(p.Title + p.Heading + p.URL + p.Text)
	}
	for _, t := range req.Tools {
		in += utf8.RuneCountInString(t.Name+t.Description) + len(t.Parameters)
	}
	for _, m := range req.Messages {
		in += utf8.RuneCountInString(m.Text) + callSize(m.Calls)
		for _, r := range m.Results {
			in += len(r.Content)
		}
	}
	out := utf8.RuneCountInString(text) + callSize(calls)
	return schemas.Usage{ModelCalls: 1, InputTokens: (in + 3) / 4, OutputTokens: (out + 3) / 4}
}

func callSize(calls []llm.Call) int {
	size := 0
	for _, c := range calls {
		size += len(c.Name) + len(c.Arguments)
	}
	return size
}
