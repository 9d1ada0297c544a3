package activities

import (
	"context"
	_ "embed" // the prompt's text
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"runa/llm"
	"runa/schemas"
	"runa/store"
	"runa/tool"
)

//go:embed prompts/agent.txt
var agentPrompt string

// historyLimit is how many earlier messages a prompt holds.
const historyLimit = 40

// prompt builds the request for the next step of a turn from the rows.
func (a *Activities) prompt(ctx context.Context, product string, turn store.TurnRecord, passages []schemas.Hit, tools []schemas.Tool) (*llm.Request, error) {
	history, err := a.config.Store.History(ctx, product, turn, historyLimit)
	if err != nil {
		return nil, err
	}
	req := &llm.Request{System: agentPrompt, Knowledge: numbered(passages)}
	for _, t := range tools {
		req.Tools = append(req.Tools, llm.Tool{Name: t.Name, Description: t.Description, Parameters: tool.Schema(t)})
	}
	for _, m := range history {
		role := llm.RoleUser
		if m.Role == schemas.RoleAssistant {
			role = llm.RoleModel
		}
		req.Messages = append(req.Messages, llm.Message{Role: role, Text: m.Content})
	}
	req.Messages = append(req.Messages, llm.Message{Role: llm.RoleUser, Text: turn.Message})
	return req, appendRounds(req, turn)
}

func numbered(passages []schemas.Hit) []llm.Passage {
	knowledge := make([]llm.Passage, len(passages))
	for i, p := range passages {
		knowledge[i] = llm.Passage{Number: i + 1, Title: p.Title, Heading: p.Heading, URL: p.URL, Text: p.Text}
	}
	return knowledge
}

// appendRounds adds what the running turn asked of tools and got.
func appendRounds(req *llm.Request, turn store.TurnRecord) error {
	for _, step := range turn.Steps {
		if step.Outcome == nil || len(step.Outcome.Calls) == 0 {
			continue
		}
		asked := llm.Message{Role: llm.RoleModel, Text: step.Outcome.Text, State: step.Outcome.State}
		got := llm.Message{Role: llm.RoleTool}
		for _, c := range turn.Calls {
			if c.Step != step.N {
				continue
			}
			asked.Calls = append(asked.Calls, llm.Call{ID: c.ID, Name: c.Name, Arguments: c.Arguments})
			result, err := callResult(c)
			if err != nil {
				return err
			}
			got.Results = append(got.Results, result)
		}
		req.Messages = append(req.Messages, asked, got)
	}
	return nil
}

func callResult(c store.CallRecord) (llm.Result, error) {
	if c.Status == schemas.CallSucceeded {
		return llm.Result{CallID: c.ID, Name: c.Name, Content: c.Result}, nil
	}
	content, err := json.Marshal(map[string]any{"status": c.Status, "error": c.Error})
	return llm.Result{CallID: c.ID, Name: c.Name, Content: content, Failed: true}, err
}

var marker = regexp.MustCompile(`\s?\[(\d+)\]`)

// cite turns the passage numbers in a reply into citations, numbered by their
// first appearance. A number that names no passage is dropped.
func cite(text string, passages []schemas.Hit) (string, []schemas.Citation) {
	citations := []schemas.Citation{}
	number := map[int]int{}
	var out strings.Builder
	last := 0
	for _, m := range marker.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(text[last:m[0]])
		last = m[1]
		n, err := strconv.Atoi(text[m[2]:m[3]])
		if err != nil || n < 1 || n > len(passages) {
			if joins(out.String(), text[last:]) {
				out.WriteByte(' ')
			}
			continue
		}
		if number[n] == 0 {
			citations = append(citations, citation(passages[n-1]))
			number[n] = len(citations)
		}
		out.WriteString(text[m[0]:m[2]] + strconv.Itoa(number[n]) + "]")
	}
	out.WriteString(text[last:])
	return out.String(), citations
}

// joins reports whether two texts make a number in brackets that neither has.
func joins(before, after string) bool {
	const digits = "0123456789"
	return strings.HasSuffix(strings.TrimRight(before, digits), "[") && strings.HasPrefix(strings.TrimLeft(after, digits), "]")
}

func citation(p schemas.Hit) schemas.Citation {
	return schemas.Citation{SourceID: p.SourceID, DocumentID: p.DocumentID, URL: p.URL, Title: p.Title, Heading: p.Heading}
}
