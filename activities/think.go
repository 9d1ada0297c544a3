package activities

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"runa/llm"
	"runa/schemas"
	"runa/store"
	"runa/tool"
)

// modelBudget is how long a step goes on asking a model that does not answer,
// from the first try, before the turn fails.
const modelBudget = 10 * time.Minute

// ThinkInput names a step of a turn, from 1.
type ThinkInput struct {
	TurnKey
	Step int `json:"step"`
}

// ThinkResult is the model's decision: what it said stays in the store.
type ThinkResult struct {
	// Done ends the turn: the step's text is the reply.
	Done bool `json:"done"`
	// Calls are the calls to make, by id; those that were refused are not here.
	Calls []string `json:"calls,omitempty"`
}

// Think asks the model for the next step of a turn, searching the knowledge
// before the first. A second run of a stored step returns what was decided; a
// run that was cut before storing asks the model again, which usage counts.
func (a *Activities) Think(ctx context.Context, in ThinkInput) (ThinkResult, error) {
	defer heartbeat(ctx)()
	result, err := a.think(ctx, in)
	if stop := interrupted(ctx); err != nil && stop != nil {
		return ThinkResult{}, stop
	}
	return result, engineError(err)
}

func (a *Activities) think(ctx context.Context, in ThinkInput) (ThinkResult, error) {
	if in.Step > schemas.MaxModelCalls {
		return ThinkResult{}, schemas.Errorf(schemas.TurnLimit, "the turn used its %d model calls", schemas.MaxModelCalls)
	}
	turn, err := a.config.Store.Turn(ctx, in.Product, in.Turn)
	if err != nil {
		return ThinkResult{}, err
	}
	passages, retrieval, err := a.knowledge(ctx, in.Product, turn)
	if err != nil {
		return ThinkResult{}, err
	}
	claim, err := a.config.Store.ClaimStep(ctx, in.Product, in.Turn, in.Step, retrieval)
	if err != nil {
		return ThinkResult{}, err
	}
	if claim.Outcome != nil {
		return a.decided(ctx, in, *claim.Outcome)
	}
	if in.Step == 1 && claim.Claim == 1 {
		a.config.Observer.FirstStep(time.Since(turn.CreatedAt))
	}
	return a.ask(ctx, in, turn, passages, claim)
}

// knowledge returns the passages of a turn: those it has, or those that a
// search finds, then with the record to keep of it. An index that does not
// answer leaves the turn without knowledge and degraded.
func (a *Activities) knowledge(ctx context.Context, product string, turn store.TurnRecord) ([]schemas.Hit, *store.Retrieval, error) {
	for _, step := range turn.Steps {
		if step.N == store.RetrieveStep {
			passages, err := a.stillLive(ctx, product, step.Outcome.Passages)
			return passages, nil, err
		}
	}
	question, err := a.question(ctx, product, turn)
	if err != nil {
		return nil, nil, err
	}
	retrieval := &store.Retrieval{Began: time.Now()}
	bounded, cancel := context.WithTimeout(ctx, retrieveTimeout)
	defer cancel()
	bounded, done := a.config.Observer.Retrieval(bounded, place(product, turn, store.RetrieveStep))
	passages, err := a.retriever.Search(bounded, product, schemas.SearchRequest{Query: question, Limit: retrieveLimit})
	done(retrieved(ctx, err), len(passages))
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		a.config.Log.Warn("knowledge could not be searched", "turn", turn.ID, "error", err)
		retrieval.Outcome.Degraded = true
	}
	retrieval.Outcome.Passages = passages
	return passages, retrieval, nil
}

// stillLive leaves out passages whose source was deleted since they were found.
func (a *Activities) stillLive(ctx context.Context, product string, passages []schemas.Hit) ([]schemas.Hit, error) {
	if len(passages) == 0 {
		return nil, nil
	}
	sources, err := a.config.Store.LiveSources(ctx, product, nil)
	live := []schemas.Hit{}
	for _, p := range passages {
		if slices.Contains(sources, p.SourceID) {
			live = append(live, p)
		}
	}
	return live, err
}

// shortQuestion is the number of words up to which a message is likely to lean
// on the one before it ("and for teams?").
const shortQuestion = 4

// question is what to search for: the message, and the user's message before
// it when this one is too short to stand alone.
func (a *Activities) question(ctx context.Context, product string, turn store.TurnRecord) (string, error) {
	if turn.Seq == 1 || len(strings.Fields(turn.Message)) > shortQuestion {
		return turn.Message, nil
	}
	history, err := a.config.Store.History(ctx, product, turn, 2)
	if err != nil {
		return "", err
	}
	for i := len(history) - 1; i >= 0; i-- {
		if history[i].Role == schemas.RoleUser {
			return turn.Message + "\n" + history[i].Content, nil
		}
	}
	return turn.Message, nil
}

func (a *Activities) ask(ctx context.Context, in ThinkInput, turn store.TurnRecord, passages []schemas.Hit, claim store.StepClaim) (ThinkResult, error) {
	tools, err := a.allTools(ctx, in.Product)
	if err != nil {
		return ThinkResult{}, err
	}
	req, err := a.prompt(ctx, in.Product, turn, passages, tools)
	if err != nil {
		return ThinkResult{}, err
	}
	a.config.Fail("think sent")
	asked, done := a.config.Observer.Chat(ctx, place(in.Product, turn, in.Step), a.config.Model.Name())
	resp, err := a.config.Model.Generate(asked, req, nil)
	done(answer(resp, err))
	if err != nil {
		return ThinkResult{}, spend(err, time.Since(claim.Since))
	}
	a.config.Fail("think answered")
	outcome := store.StepOutcome{Text: resp.Text, State: resp.State, Model: resp.Model, Usage: resp.Usage}
	if len(resp.Calls) == 0 {
		outcome.Text, outcome.Citations = cite(resp.Text, passages)
	}
	outcome, err = a.config.Store.StoreStep(ctx, in.Product, in.Turn, in.Step, claim.Claim, outcome, newCalls(resp.Calls, tools))
	if err != nil {
		return ThinkResult{}, err
	}
	a.config.Fail("think stored")
	a.config.Changed(in.Turn)
	return a.decided(ctx, in, outcome)
}

// spend makes a model's failure final once the step's budget of time is gone.
func spend(err error, spent time.Duration) error {
	var model *llm.Error
	if errors.As(err, &model) && model.Retryable && spent > modelBudget {
		final := *model
		final.Retryable = false
		return &final
	}
	return err
}

// decided reads the decision out of a stored step.
func (a *Activities) decided(ctx context.Context, in ThinkInput, outcome store.StepOutcome) (ThinkResult, error) {
	if len(outcome.Calls) == 0 {
		return ThinkResult{Done: true}, nil
	}
	turn, err := a.config.Store.Turn(ctx, in.Product, in.Turn)
	if err != nil {
		return ThinkResult{}, err
	}
	var result ThinkResult
	for _, c := range turn.Calls {
		if c.Step == in.Step && c.Ended.IsZero() {
			result.Calls = append(result.Calls, c.ID)
		}
	}
	return result, nil
}

// maxTools bounds the tools that a prompt names.
const maxTools = 128

func (a *Activities) allTools(ctx context.Context, product string) ([]schemas.Tool, error) {
	list, err := a.config.Store.Tools(ctx, product, store.ListOptions{Limit: maxTools})
	return list.Items, err
}

// newCalls checks what the model asked for before anything is sent: a call of
// an unknown tool or with wrong arguments is answered at once.
func newCalls(calls []llm.Call, tools []schemas.Tool) []store.NewCall {
	byName := map[string]schemas.Tool{}
	for _, t := range tools {
		byName[t.Name] = t
	}
	var made []store.NewCall
	for _, c := range calls {
		made = append(made, newCall(c, byName))
	}
	return made
}

func newCall(c llm.Call, tools map[string]schemas.Tool) store.NewCall {
	call := store.NewCall{Name: c.Name, Arguments: c.Arguments}
	if !json.Valid(c.Arguments) {
		call.Arguments = json.RawMessage(`{}`)
		call.Refused = &schemas.CallError{Code: tool.CodeBadArguments, Message: "the arguments are not JSON"}
		return call
	}
	t, known := tools[c.Name]
	if !known {
		call.Refused = &schemas.CallError{Code: codeUnknownTool, Message: "there is no tool of this name"}
		return call
	}
	call.Tool = t.ID
	if err := tool.CheckArguments(t, c.Arguments); err != nil {
		call.Refused = &schemas.CallError{Code: tool.CodeBadArguments, Message: schemas.MessageOf(err)}
	}
	return call
}
