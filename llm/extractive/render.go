package extractive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"runa/llm"
)

const (
	// maxItems is how many items of an array are shown.
	maxItems = 20
	// maxDepth is how deep objects are shown.
	maxDepth = 8
)

// renderResults writes the results of the turn, one piece each.
func renderResults(results []llm.Result) []string {
	pieces := make([]string, 0, len(results))
	for i, r := range results {
		text := renderResult(r)
		if i > 0 {
			text = "\n\n" + text
		}
		pieces = append(pieces, text)
	}
	return pieces
}

func renderResult(r llm.Result) string {
	name := humanise(r.Name)
	v, err := decode(r.Content)
	switch {
	case r.Failed:
		return fmt.Sprintf("%s failed: %s", name, reason(v, err))
	case err != nil:
		return fmt.Sprintf("%s gave an answer that I cannot read.", name)
	}
	if text, ok := scalar(v); ok {
		return fmt.Sprintf("%s: %s", name, text)
	}
	return name + ":\n\n" + strings.TrimRight(renderValue(v, 0), "\n")
}

// reason says why a call failed: its message and code, or all that it is.
func reason(v any, err error) string {
	if err != nil {
		return "no reason was given."
	}
	if o, ok := v.(object); ok {
		if inner, ok := o.get("error").(object); ok {
			o = inner
		}
		message, hasMessage := scalar(o.get("message"))
		code, hasCode := scalar(o.get("code"))
		switch {
		case hasMessage && hasCode && message != none && code != none:
			return fmt.Sprintf("%s (%s)", message, code)
		case hasMessage && message != none:
			return message
		}
	}
	if text, ok := scalar(v); ok {
		return text
	}
	return "\n\n" + strings.TrimRight(renderValue(v, 0), "\n")
}

// field is a member of an object.
type field struct {
	name  string
	value any
}

// object keeps its members in the order they came.
type object []field

func (o object) get(name string) any {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// decode reads JSON with numbers as they are written and members in order.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return decodeObject(d)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return token, nil
}

func decodeObject(d *json.Decoder) (any, error) {
	o := object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(d)
		if err != nil {
			return nil, err
		}
		o = append(o, field{fmt.Sprint(name), v})
	}
	_, err := d.Token()
	return o, err
}

// none stands for null and what is empty.
const none = "none"

// scalar writes a value that needs one line only.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return none, true
	case bool:
		if v {
			return "yes", true
		}
		return "no", true
	case json.Number:
		return v.String(), true
	case string:
		if strings.TrimSpace(v) == "" {
			return none, true
		}
		return neutral(strings.Join(strings.Fields(v), " ")), true
	case object:
		return none, len(v) == 0
	case []any:
		return none, len(v) == 0
	}
	return "", false
}

// renderValue writes a value as a Markdown list, indented by depth.
func renderValue(v any, depth int) string {
	indent := strings.Repeat("  ", depth)
	if depth >= maxDepth {
		return indent + "- …\n"
	}
	var b strings.Builder
	switch v := v.(type) {
	case object:
		for _, f := range v {
			renderField(&b, indent, humanise(f.name), f.value, depth)
		}
	case []any:
		renderArray(&b, indent, v, depth)
	default:
		text, _ := scalar(v)
		fmt.Fprintf(&b, "%s- %s\n", indent, text)
	}
	return b.String()
}

func renderField(b *strings.Builder, indent, name string, v any, depth int) {
	if text, ok := scalar(v); ok {
		fmt.Fprintf(b, "%s- %s: %s\n", indent, name, text)
		return
	}
	fmt.Fprintf(b, "%s- %s:\n%s", indent, name, renderValue(v, depth+1))
}

func renderArray(b *strings.Builder, indent string, list []any, depth int) {
	for i, v := range list {
		if i == maxItems {
			fmt.Fprintf(b, "%s- … and %d more (%d in all)\n", indent, len(list)-maxItems, len(list))
			return
		}
		if text, ok := line(v); ok {
			fmt.Fprintf(b, "%s- %s\n", indent, text)
			continue
		}
		fmt.Fprintf(b, "%s- %d.\n%s", indent, i+1, renderValue(v, depth+1))
	}
}

// line writes a value that fits one line: a scalar, or an object of a few
// scalars.
func line(v any) (string, bool) {
	if text, ok := scalar(v); ok {
		return text, true
	}
	o, ok := v.(object)
	if !ok || len(o) > 6 {
		return "", false
	}
	parts := make([]string, len(o))
	size := 0
	for i, f := range o {
		text, ok := scalar(f.value)
		if !ok {
			return "", false
		}
		parts[i] = humanise(f.name) + ": " + text
		size += len(parts[i])
	}
	return strings.Join(parts, ", "), size <= 160
}

// humanise writes an identifier as words: "totalRevenue" is "Total revenue",
// "user_id" is "User id".
func humanise(name string) string {
	words := splitName(name)
	if len(words) == 0 {
		return neutral(name)
	}
	text := strings.Join(words, " ")
	runes := []rune(text)
	runes[0] = unicode.ToUpper(runes[0])
	return neutral(string(runes))
}

// splitName cuts an identifier into words in lower case; abbreviations in
// capitals stay as they are.
func splitName(name string) []string {
	var out []string
	for _, piece := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' || unicode.IsSpace(r) }) {
		runes := []rune(piece)
		start := 0
		for i := 1; i <= len(runes); i++ {
			if i < len(runes) && !nameBoundary(runes, i) {
				continue
			}
			word := string(runes[start:i])
			if len(word) == 1 || strings.ToUpper(word) != word {
				word = strings.ToLower(word)
			}
			out = append(out, word)
			start = i
		}
	}
	return out
}

func nameBoundary(runes []rune, i int) bool {
	if unicode.IsLower(runes[i-1]) && unicode.IsUpper(runes[i]) {
		return true
	}
	return unicode.IsUpper(runes[i-1]) && unicode.IsUpper(runes[i]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
}
