package tool

import (
	"encoding/json"
	"slices"
	"strings"
)

// minSecret is the fewest bytes of a header's value that is taken out of
// answers. Shorter ones ("1", "eu") guard nothing and stand in any text.
const minSecret = 8

const redacted = "[redacted]"

// redactor takes the values of secret headers out of what a tool answered:
// some tools echo the request, and what they answer goes to a model.
type redactor struct {
	text *strings.Replacer // nil if there is nothing to hide
}

func newRedactor(headers map[string]string) *redactor {
	var secrets []string
	for _, value := range headers {
		_, token, _ := strings.Cut(value, " ") // after "Bearer"
		for _, s := range []string{strings.TrimSpace(value), strings.TrimSpace(token)} {
			if len(s) >= minSecret {
				secrets = append(secrets, s, inJSON(s), strings.ReplaceAll(s, "/", `\/`))
			}
		}
	}
	if len(secrets) == 0 {
		return &redactor{}
	}
	// The replacer prefers what is named first: the longest, or a part of it
	// would be left standing.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, redacted)
	}
	return &redactor{text: strings.NewReplacer(pairs...)}
}

// inJSON is how a string stands in JSON text, without the quotes.
func inJSON(s string) string {
	raw := encode(s)
	return string(raw[1 : len(raw)-1])
}

// plain redacts text of any kind.
func (r *redactor) plain(text string) string {
	if r.text == nil {
		return text
	}
	return r.text.Replace(text)
}

// json redacts the strings of a valid JSON text, however they are escaped, and
// leaves the rest as it is.
func (r *redactor) json(text []byte) []byte {
	if r.text == nil {
		return text
	}
	var out []byte
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out = append(out, text[i])
			i++
			continue
		}
		end := stringEnd(text, i)
		out = append(out, r.literal(text[i:end])...)
		i = end
	}
	return out
}

// literal redacts one string of JSON, quotes included.
func (r *redactor) literal(raw []byte) []byte {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return raw
	}
	if clean := r.text.Replace(s); clean != s {
		return encode(clean)
	}
	return raw
}

// stringEnd is the index after the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
