package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"runa/schemas"
)

// CheckArguments refuses, with a *schemas.Error that a model can read,
// arguments that the tool does not take. Empty and null are no arguments.
func CheckArguments(t schemas.Tool, args json.RawMessage) error {
	_, err := checkArguments(t, args)
	return err
}

// checkArguments returns what the arguments make of the tool's endpoint.
func checkArguments(t schemas.Tool, raw json.RawMessage) (*target, error) {
	args, err := decodeArguments(raw)
	if err != nil {
		return nil, err
	}
	doc, err := decode(Schema(t))
	if err != nil {
		return nil, invalidParameters("%s", err)
	}
	schema, err := compile(doc)
	if err != nil {
		return nil, invalidParameters("%s", err)
	}
	if err := schema.Validate(args); err != nil {
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) {
			return nil, invalidArguments(explain(invalid))
		}
		return nil, invalidArguments(shorten(err.Error(), 300))
	}
	return newTarget(t, args)
}

func decodeArguments(raw json.RawMessage) (map[string]any, error) {
	if !hasParameters(raw) { // empty or null
		return map[string]any{}, nil
	}
	if len(raw) > MaxArguments {
		return nil, invalidArguments("the arguments must be at most " + strconv.Itoa(MaxArguments) + " bytes")
	}
	v, err := decode(bytes.ToValidUTF8(raw, []byte("\uFFFD")))
	if err != nil {
		return nil, invalidArguments("the arguments " + err.Error())
	}
	args, ok := v.(map[string]any)
	if !ok {
		return nil, invalidArguments("the arguments must be a JSON object")
	}
	return args, nil
}

func invalidArguments(message string) error {
	return schemas.Invalid("arguments", "%s", message)
}

// maxReasons is how many of the reasons for a refusal are told.
const maxReasons = 3

// explain tells why a value does not fit its schema: field by field, the
// leaves of the error only.
func explain(e *jsonschema.ValidationError) string {
	var reasons []string
	collect(e, &reasons)
	slices.Sort(reasons) // the library walks maps, and attempts must agree
	reasons = slices.Compact(reasons)
	more := ""
	if len(reasons) > maxReasons {
		more = "; and " + strconv.Itoa(len(reasons)-maxReasons) + " more"
		reasons = reasons[:maxReasons]
	}
	return strings.Join(reasons, "; ") + more
}

func collect(e *jsonschema.ValidationError, reasons *[]string) {
	for _, cause := range e.Causes {
		collect(cause, reasons)
	}
	if len(e.Causes) > 0 {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			*reasons = append(*reasons, reason(append(slices.Clone(e.InstanceLocation), name), "is required"))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			*reasons = append(*reasons, reason(append(slices.Clone(e.InstanceLocation), name), "is not a parameter"))
		}
	default:
		*reasons = append(*reasons, reason(e.InstanceLocation, message(e)))
	}
}

func reason(path []string, text string) string {
	return shorten(fieldName(path), 100) + ": " + shorten(text, 200)
}

// message is the library's text without the place that it begins with.
func message(e *jsonschema.ValidationError) string {
	if _, text, ok := strings.Cut(e.Error(), "': "); ok {
		return text
	}
	return e.Error()
}

// fieldName writes a path as people do: items[0].sku.
func fieldName(path []string) string {
	var b strings.Builder
	for _, part := range path {
		if _, err := strconv.ParseUint(part, 10, 32); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	if b.Len() == 0 {
		return "arguments"
	}
	return b.String()
}
