package schemas

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// A turn is one question and what became of it: the user's message opens it,
// steps of thinking and tool calls move it, the assistant's message ends it.
// Its id is the id of that message.

// TurnStatus says where a turn stands.
type TurnStatus string

// The states of a turn. Queued waits for its place in the session; the last
// three are final.
const (
	TurnQueued    TurnStatus = "queued"
	TurnRunning   TurnStatus = "running"
	TurnWaiting   TurnStatus = "waiting"
	TurnCompleted TurnStatus = "completed"
	TurnFailed    TurnStatus = "failed"
	TurnCanceled  TurnStatus = "canceled"
)

// Final reports whether a turn in this state never changes again.
func (s TurnStatus) Final() bool {
	return s == TurnCompleted || s == TurnFailed || s == TurnCanceled
}

// Limits of a turn.
const (
	MaxMessageBytes  = 256 << 10 // of a user's message
	MaxQueuedTurns   = 8         // waiting in one session; the next is refused
	MaxModelCalls    = 2000      // per turn
	MaxWaitSeconds   = 600       // a blocking call holds
	DefaultWait      = 110       // seconds, below the usual limits of proxies
	MaxKeyCharacters = 255       // of an Idempotency-Key
)

// ChatRequest is the body of POST /v1/chat.
type ChatRequest struct {
	ProductID string `json:"productId"`
	SessionID string `json:"sessionId"`
	Message   string `json:"message"`
	// Wait is how many seconds the call may block; nil is DefaultWait.
	Wait *int `json:"wait"`
}

// Validate refuses a request that cannot open a turn.
func (r *ChatRequest) Validate() error {
	switch {
	case strings.TrimSpace(r.Message) == "":
		return Invalid("message", "message must not be empty")
	case len(r.Message) > MaxMessageBytes:
		return &Error{Code: TooLarge, Message: "message is longer than 256 KB", Param: "message"}
	case !validText(r.Message):
		return Invalid("message", "message must be UTF-8 without NUL")
	case r.Wait != nil && (*r.Wait < 0 || *r.Wait > MaxWaitSeconds):
		return Invalid("wait", "wait must be 0 to %d seconds", MaxWaitSeconds)
	case r.SessionID != "":
		return ValidateSessionID(r.SessionID)
	}
	return nil
}

// validText reports whether every store can keep the text.
func validText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// Hash is what another request under the same Idempotency-Key must equal.
// How long a caller waits is not part of what is asked.
func (r *ChatRequest) Hash() string { return BodyHash(r.SessionID, r.Message) }

// TurnInput is what the workflow of a turn is started with. The message
// itself is in the store, under Draft, and never in a history.
type TurnInput struct {
	Product  string `json:"product"`
	Turn     string `json:"turn"`
	Session  string `json:"session"`
	Draft    string `json:"draft"`
	BodyHash string `json:"bodyHash"`
	// Held is how long the turn worked in earlier runs of its workflow.
	Held time.Duration `json:"held,omitempty"`
}

// TurnWorkflowID names the workflow of a turn.
func TurnWorkflowID(product, turn string) string { return "turn/" + product + "/" + turn }

// Turn is a turn as the API shows it.
type Turn struct {
	ID        string     `json:"id"`
	Reply     string     `json:"reply"`
	ToolCalls []ToolCall `json:"toolCalls"`
	SessionID string     `json:"sessionId"`
	Status    TurnStatus `json:"status"`
	Citations []Citation `json:"citations"`
	// Answered is false when neither knowledge nor a tool gave an answer.
	Answered bool `json:"answered"`
	// Degraded is true when the knowledge could not be searched.
	Degraded  bool   `json:"degraded"`
	Usage     Usage  `json:"usage"`
	Error     *Error `json:"error"`
	Steps     []Step `json:"steps,omitempty"`
	CreatedAt Time   `json:"createdAt"`
}

// Citation is a passage that a reply rests on; [n] in the reply is the n-th.
type Citation struct {
	SourceID   string `json:"sourceId"`
	DocumentID string `json:"documentId"`
	URL        string `json:"url"`
	Title      string `json:"title"`
	Heading    string `json:"heading"`
}

// Usage counts what a turn cost, attempts that came to nothing included.
type Usage struct {
	ModelCalls   int `json:"modelCalls"`
	InputTokens  int `json:"inputTokens"`
	OutputTokens int `json:"outputTokens"`
}

// StepKind tells what a step did.
type StepKind string

// The kinds of steps.
const (
	StepRetrieve StepKind = "retrieve"
	StepModel    StepKind = "model"
)

// Step is one line of a turn's timeline.
type Step struct {
	Step int      `json:"step"`
	Kind StepKind `json:"kind"`
	// Attempts is how often the step was begun.
	Attempts   int      `json:"attempts"`
	StartedAt  Time     `json:"startedAt"`
	DurationMs int64    `json:"durationMs"`
	Model      string   `json:"model,omitempty"`
	Passages   int      `json:"passages,omitempty"`
	CallIDs    []string `json:"callIds,omitempty"`
}

// CallStatus says where a tool call stands.
type CallStatus string

// The states of a tool call. Unknown means that the request may have taken
// effect and nobody can tell; it is never repeated silently.
const (
	CallPending   CallStatus = "pending"
	CallRunning   CallStatus = "running"
	CallSucceeded CallStatus = "succeeded"
	CallFailed    CallStatus = "failed"
	CallCanceled  CallStatus = "canceled"
	CallUnknown   CallStatus = "unknown"
)

// ToolCall is a tool call as the API shows it.
type ToolCall struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments"`
	Status     CallStatus      `json:"status"`
	Result     json.RawMessage `json:"result"`
	Error      *CallError      `json:"error"`
	DurationMs int64           `json:"durationMs"`
}

// CallError is why a tool call gave no result, short enough for a model.
type CallError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// HTTPStatus is the tool's answer, when there was one.
	HTTPStatus int `json:"httpStatus,omitempty"`
}
