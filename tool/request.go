package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"runa/schemas"
)

var placeholder = regexp.MustCompile(`\{[A-Za-z_][A-Za-z0-9_.-]*\}`)

// target is where a request goes and what it brings.
type target struct {
	url  string
	body []byte // nil for methods that send arguments as the query
}

// newTarget places checked arguments: into the endpoint's placeholders first,
// the others into the query of GET and DELETE, or a JSON body. It is a
// function of its arguments alone, so that attempts under one key are equal.
func newTarget(t schemas.Tool, args map[string]any) (*target, error) {
	endpoint, err := expand(t.Endpoint, args)
	if err != nil {
		return nil, err
	}
	rest := maps.Clone(args)
	for _, name := range schemas.Placeholders(t.Endpoint) {
		delete(rest, name)
	}
	var added []field
	if takesExtras(t) {
		added = extraFields(rest[extras])
		delete(rest, extras)
	}
	if t.Method == http.MethodGet || t.Method == http.MethodDelete {
		values := query(rest, added)
		if err := checkFixed(t.Endpoint, values); err != nil {
			return nil, err
		}
		return &target{url: withQuery(endpoint, values)}, nil
	}
	for _, f := range added {
		rest[f.name] = f.value
	}
	return &target{url: endpoint, body: encode(rest)}, nil
}

type field struct{ name, value string }

func extraFields(v any) []field {
	items, _ := v.([]any)
	var fields []field
	for _, item := range items {
		pair, _ := item.(map[string]any)
		name, _ := pair["name"].(string)
		value, _ := pair["value"].(string)
		fields = append(fields, field{name, value})
	}
	return fields
}

// expand puts arguments into the endpoint's placeholders. A value stays inside
// its segment of the path or its parameter of the query.
func expand(endpoint string, args map[string]any) (string, error) {
	path, rawQuery, hasQuery := strings.Cut(endpoint, "?")
	path, err := replace(path, args, pathValue)
	if err == nil && hasDotSegment(path) {
		err = invalidArguments("the arguments must not make . or .. a part of the path")
	}
	if err != nil || !hasQuery {
		return path, err
	}
	rawQuery, err = replace(rawQuery, args, func(_, value string) (string, error) {
		return url.QueryEscape(value), nil
	})
	return path + "?" + rawQuery, err
}

func replace(template string, args map[string]any, escape func(name, value string) (string, error)) (string, error) {
	var failed error
	out := placeholder.ReplaceAllStringFunc(template, func(match string) string {
		name := strings.Trim(match, "{}")
		value, ok := scalar(args[name])
		if !ok {
			failed = invalidArguments(name + ": must be a string, number or boolean: it is part of the address")
			return match
		}
		escaped, err := escape(name, value)
		if err != nil {
			failed = err
		}
		return escaped
	})
	return out, failed
}

func pathValue(name, value string) (string, error) {
	// An empty segment is another resource: DELETE /users/ is not DELETE
	// /users/7.
	if value == "" {
		return "", invalidArguments(name + ": must not be empty")
	}
	// Some servers undo the escapes of / and \ before they resolve dots.
	if hasDotSegment(strings.ReplaceAll(value, `\`, "/")) {
		return "", invalidArguments(name + ": must not hold . or .. as a part of the path")
	}
	return url.PathEscape(value), nil
}

func hasDotSegment(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		plain := strings.ReplaceAll(strings.ToLower(segment), "%2e", ".")
		return plain == "." || plain == ".."
	})
}

// scalar is the text of a value that can be part of an address.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// query writes arguments as parameters: arrays repeat theirs, objects are JSON
// text, null is left out.
func query(args map[string]any, added []field) url.Values {
	values := url.Values{}
	for name, v := range args {
		items, ok := v.([]any)
		if !ok {
			items = []any{v}
		}
		for _, item := range items {
			if item == nil {
				continue
			}
			text, ok := scalar(item)
			if !ok {
				text = string(encode(item))
			}
			values.Add(name, text)
		}
	}
	for _, f := range added {
		values.Add(f.name, f.value)
	}
	return values
}

// checkFixed refuses parameters that the endpoint's own query holds: given
// twice, many servers take the second, and the owner's would not count.
func checkFixed(endpoint string, values url.Values) error {
	_, rawQuery, _ := strings.Cut(endpoint, "?")
	for _, pair := range strings.Split(rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && values.Has(plain) {
			return invalidArguments(plain + ": is fixed by the endpoint")
		}
	}
	return nil
}

func withQuery(endpoint string, values url.Values) string {
	switch {
	case len(values) == 0:
		return endpoint
	case !strings.Contains(endpoint, "?"):
		return endpoint + "?" + values.Encode()
	case strings.HasSuffix(endpoint, "?") || strings.HasSuffix(endpoint, "&"):
		return endpoint + values.Encode()
	}
	return endpoint + "&" + values.Encode()
}

// encode writes a decoded JSON value, its keys in order.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // what was decoded from JSON can be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
