package extractive

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// schema is what is read of a JSON Schema. Keywords it does not know restrict
// what is accepted further; package tool holds the arguments against them.
type schema struct {
	Type        typeNames
	Properties  map[string]*schema
	Required    []string
	Enum        []any
	Const       any
	Default     any
	Format      string
	Pattern     string
	Description string
	Title       string
	Examples    []any
	Items       *schema
	Minimum     *float64
	Maximum     *float64
}

// typeNames is the keyword type: a name or a list of them.
type typeNames []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *typeNames) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = typeNames{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// UnmarshalJSON implements json.Unmarshaler: a schema may be true or false.
func (s *schema) UnmarshalJSON(data []byte) error {
	if text := string(data); text == "true" || text == "false" {
		return nil
	}
	type plain schema
	return json.Unmarshal(data, (*plain)(s))
}

// parseSchema reads a tool's parameters; none is an object without properties.
func parseSchema(data json.RawMessage) *schema {
	s := &schema{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, s); err != nil {
			return &schema{} // not a schema we can read: nothing is filled in
		}
	}
	return s
}

// names returns the properties, required ones first, then by name: maps have
// no order, and arguments must be the same each time.
func (s *schema) names() []string {
	var names []string
	for _, name := range s.Required {
		if s.Properties[name] != nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var others []string
	for name, p := range s.Properties {
		if p != nil && !slices.Contains(names, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return append(names, others...)
}

func (s *schema) is(name string) bool { return slices.Contains(s.Type, name) }

// hints is the text in which a schema says how a value is written.
func (s *schema) hints() string {
	var b strings.Builder
	b.WriteString(s.Description + " " + s.Title)
	for _, e := range s.Examples {
		fmt.Fprintf(&b, " %v", e)
	}
	return b.String()
}

// accepts holds a string against pattern.
func (s *schema) accepts(value string) bool {
	if s.Pattern == "" {
		return true
	}
	p, err := regexp.Compile(s.Pattern)
	return err != nil || p.MatchString(value) // an ECMA pattern that Go cannot read is for package tool
}

// inRange holds a number against minimum and maximum.
func (s *schema) inRange(n float64) bool {
	return (s.Minimum == nil || n >= *s.Minimum) && (s.Maximum == nil || n <= *s.Maximum)
}
