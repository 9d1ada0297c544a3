package schemas

// EventKind names what an event tells of.
type EventKind string

// The kinds of events.
const (
	EventMessage  EventKind = "message"
	EventTurn     EventKind = "turn"
	EventToolCall EventKind = "tool_call"
	EventPage     EventKind = "page"
	EventCrawl    EventKind = "crawl"
)

// Event is one immutable row of analytics. It is written to the outbox in the
// transaction of the thing it tells of, and holds no text of a conversation.
type Event struct {
	ID      string    `json:"id"`
	Product string    `json:"product"`
	Kind    EventKind `json:"kind"`
	// At is in milliseconds since 1970 UTC.
	At           int64  `json:"at"`
	Conversation string `json:"conversation,omitempty"`
	Turn         string `json:"turn,omitempty"`
	// Subject is the tool's name, the message's role, or the source's id.
	Subject string `json:"subject,omitempty"`
	// Outcome is the final status of the turn, call or crawl, or the page's
	// reason.
	Outcome string `json:"outcome,omitempty"`
	// Intent is what the turn was about, in snake_case.
	Intent       string `json:"intent,omitempty"`
	Model        string `json:"model,omitempty"`
	Answered     bool   `json:"answered,omitempty"`
	Degraded     bool   `json:"degraded,omitempty"`
	DurationMs   int64  `json:"durationMs,omitempty"`
	ModelCalls   int64  `json:"modelCalls,omitempty"`
	InputTokens  int64  `json:"inputTokens,omitempty"`
	OutputTokens int64  `json:"outputTokens,omitempty"`
	// Size is the length of a message in bytes, or a page's chunks.
	Size int64 `json:"size,omitempty"`
}

// Figures is the answer of GET /v1/analytics.
type Figures struct {
	Conversations int `json:"conversations"`
	MessagesTotal int `json:"messagesTotal"`
	// AvgSessionLength is the mean of minutes from the first to the last
	// message, one decimal, gaps counted as 30 minutes at most.
	AvgSessionLength float64  `json:"avgSessionLength"`
	TopIntents       []string `json:"topIntents"`
	// AvgMessagesPerConversation has two decimals.
	AvgMessagesPerConversation float64       `json:"avgMessagesPerConversation"`
	Intents                    []IntentShare `json:"intents"`
	AsOf                       Time          `json:"asOf"`
}

// IntentShare says how often something was asked; Share is of the turns that
// have an intent.
type IntentShare struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	Share float64 `json:"share"`
}
