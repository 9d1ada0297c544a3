package extractive

import (
	"regexp"
	"strings"

	"runa/llm"
)

// The fixed phrases: all that a reply says of its own.
const (
	greeting = "Hello! What would you like to know?"
	notKnown = "I could not find an answer to that in the knowledge I have."
	offline  = " I am the offline model and can only quote what I was given."
)

var greetings = regexp.MustCompile(`(?i)^\W*(hi|hello|hey|good (morning|afternoon|evening|day)|thanks?|thank you|ok(ay)?|bye|goodbye|cheers)\b[^?]{0,40}$`)

// isGreeting reports whether a message asks nothing.
func isGreeting(text string) bool {
	return strings.TrimSpace(text) == "" || greetings.MatchString(text)
}

// askFor asks the user for a parameter that could not be read.
func askFor(t llm.Tool, name string, s *schema) string {
	what := strings.ToLower(humanise(name))
	text := "To use “" + humanise(t.Name) + "” I need one more thing: " + what
	if s != nil && strings.TrimSpace(s.Description) != "" {
		text += " (" + strings.TrimRight(neutral(strings.Join(strings.Fields(s.Description), " ")), ".") + ")"
	}
	return text + "."
}
