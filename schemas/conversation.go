package schemas

// Conversation is a session's line in a list. MessageCount counts messages of
// the user and the assistant, the same that ConversationDetail lists.
type Conversation struct {
	ID           string `json:"id"`
	StartedAt    Time   `json:"startedAt"`
	MessageCount int    `json:"messageCount"`
}

// Role is who speaks.
type Role string

// The roles of messages.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Message is one message of a conversation.
type Message struct {
	ID        string `json:"id"`
	Role      Role   `json:"role"`
	Content   string `json:"content"`
	Timestamp Time   `json:"timestamp"`
}
