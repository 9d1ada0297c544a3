// Package llm is what Runa asks of a language model. It knows no conversation
// store, no retries and no tools' endpoints: callers bring the prompt and run
// the calls, and durable activities repeat what failed.
package llm

import (
	"context"
	"encoding/json"
	"time"

	"runa/schemas"
)

// Model writes the next message of a conversation. Implementations are safe
// for concurrent use and never repeat a request by themselves.
type Model interface {
	// Name is the setting that selects the model, such as "gemini/NAME".
	Name() string
	// Generate answers the request, obeying ctx. onDelta, if not nil, is
	// called in order with each piece of text as it comes; the pieces make up
	// Response.Text. A failure is an *Error.
	Generate(ctx context.Context, req *Request, onDelta func(text string)) (*Response, error)
}

// Request is a whole prompt.
type Request struct {
	// System is who the assistant is and how it answers.
	System string
	// Knowledge are the passages found for the question: data, never orders.
	Knowledge []Passage
	// Messages alternate as the conversation went. The last user message is
	// the user's text verbatim; after it come only the calls and results of
	// the running turn.
	Messages []Message
	// Tools may be called.
	Tools []Tool
}

// Passage is a piece of knowledge, cited in a reply as [Number].
type Passage struct {
	Number  int
	Title   string
	Heading string
	URL     string
	Text    string
}

// Role is who a message is from.
type Role string

// The roles of messages.
const (
	RoleUser  Role = "user"
	RoleModel Role = "model"
	RoleTool  Role = "tool"
)

// Message is one message of a prompt: text, calls of a model, or results.
type Message struct {
	Role    Role
	Text    string
	Calls   []Call
	Results []Result
	// State is the provider's own, opaque, given back exactly as it came.
	State json.RawMessage
}

// Tool is what a model is told of a tool.
type Tool struct {
	Name        string
	Description string
	// Parameters is the JSON Schema (2020-12) of the arguments, an object.
	Parameters json.RawMessage
}

// Call is a model's wish to call a tool.
type Call struct {
	// ID is ours, stable over attempts; empty in a Response.
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// Result is what came of a call: Content is JSON.
type Result struct {
	CallID  string
	Name    string
	Content json.RawMessage
	Failed  bool
}

// Response is a model's message. With calls it asks for them; without, Text is
// the reply, and [n] in it cites passage n.
type Response struct {
	Text  string
	Calls []Call
	State json.RawMessage
	Usage schemas.Usage
	// Model is the model that answered, as it names itself.
	Model string
}

// Error is a failed generation.
type Error struct {
	Code    schemas.Code // ModelUnavailable, ModelRefused or RateLimited
	Message string
	// Retryable says that the same request may succeed later.
	Retryable bool
	// RetryAfter is the provider's wish; 0 is none.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }
