package schemas

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Effect says what repeating a tool's request does.
type Effect string

// The effects: a read may be repeated at will, an idempotent request with its
// key, an unsafe one never without a person.
const (
	EffectRead       Effect = "read"
	EffectIdempotent Effect = "idempotent"
	EffectUnsafe     Effect = "unsafe"
)

// Limits of a tool.
const (
	DefaultToolTimeoutMs = 30_000
	MaxToolTimeoutMs     = 600_000
	MaxToolDescription   = 4_096
	MaxToolParameters    = 64 << 10 // bytes of JSON Schema
	MaxToolHeaders       = 20
	MaxToolHeaderValue   = 8 << 10
)

// Tool is an endpoint that the model may call.
type Tool struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	// Endpoint is an http or https URL; {name} in its path or query is a
	// required string argument.
	Endpoint string `json:"endpoint"`
	Method   string `json:"method"`
	// Parameters is a JSON Schema (2020-12) of the arguments; nil when the
	// owner gave none.
	Parameters json.RawMessage `json:"parameters,omitempty"`
	// HeaderNames are the names of the secret headers; values are write-only.
	HeaderNames []string `json:"headerNames"`
	TimeoutMs   int      `json:"timeoutMs"`
	Effect      Effect   `json:"effect"`
	Status      string   `json:"status"`
	CreatedAt   Time     `json:"createdAt"`
}

// ToolActive is the status of a tool that may be called.
const ToolActive = "active"

// ToolSpec is the body of POST /v1/tools: a tool as its owner defines it.
type ToolSpec struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Endpoint    string            `json:"endpoint"`
	Method      string            `json:"method"`
	Parameters  json.RawMessage   `json:"parameters,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	TimeoutMs   int               `json:"timeoutMs,omitempty"`
	Effect      Effect            `json:"effect,omitempty"`
}

// ToolPatch is the body of PATCH /v1/tools/:id; nil leaves a field as it is.
type ToolPatch struct {
	Name        *string            `json:"name"`
	Description *string            `json:"description"`
	Endpoint    *string            `json:"endpoint"`
	Method      *string            `json:"method"`
	Parameters  *json.RawMessage   `json:"parameters"`
	Headers     *map[string]string `json:"headers"`
	TimeoutMs   *int               `json:"timeoutMs"`
	Effect      *Effect            `json:"effect"`
}

// Apply sets what the patch names.
func (p *ToolPatch) Apply(s *ToolSpec) {
	set(&s.Name, p.Name)
	set(&s.Description, p.Description)
	set(&s.Endpoint, p.Endpoint)
	set(&s.Method, p.Method)
	set(&s.Parameters, p.Parameters)
	set(&s.Headers, p.Headers)
	set(&s.TimeoutMs, p.TimeoutMs)
	set(&s.Effect, p.Effect)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

var (
	toolName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	placeholder = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_.-]*)\}`)
	toolMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	toolEffects = []Effect{EffectRead, EffectIdempotent, EffectUnsafe}
)

// Normalize fills in what was left out: the method in capitals, the timeout,
// and the effect that the method implies.
func (s *ToolSpec) Normalize() {
	s.Method = strings.ToUpper(s.Method)
	if s.TimeoutMs == 0 {
		s.TimeoutMs = DefaultToolTimeoutMs
	}
	if s.Effect == "" {
		s.Effect = EffectUnsafe
		if s.Method == "GET" {
			s.Effect = EffectRead
		}
	}
}

// Validate refuses a definition that could not be called. It does not compile
// Parameters: package tool does.
func (s *ToolSpec) Validate() error {
	switch {
	case !toolName.MatchString(s.Name):
		return Invalid("name", "name must be a letter or _, then up to 63 of A-Z a-z 0-9 _ -")
	case strings.TrimSpace(s.Description) == "":
		return Invalid("description", "description must say what the tool does: the model chooses by it")
	case len(s.Description) > MaxToolDescription:
		return Invalid("description", "description must be at most %d bytes", MaxToolDescription)
	case !validText(s.Description):
		return Invalid("description", "description must be UTF-8 without NUL")
	case !slices.Contains(toolMethods, s.Method):
		return Invalid("method", "method must be one of %s", strings.Join(toolMethods, ", "))
	case s.TimeoutMs < 1 || s.TimeoutMs > MaxToolTimeoutMs:
		return Invalid("timeoutMs", "timeoutMs must be 1 to %d", MaxToolTimeoutMs)
	case !slices.Contains(toolEffects, s.Effect):
		return Invalid("effect", "effect must be read, idempotent or unsafe")
	case len(s.Parameters) > MaxToolParameters:
		return Invalid("parameters", "parameters must be at most %d bytes", MaxToolParameters)
	}
	if err := validateEndpoint(s.Endpoint); err != nil {
		return err
	}
	return validateHeaders(s.Headers)
}

func validateEndpoint(endpoint string) error {
	filled := placeholder.ReplaceAllString(endpoint, "x")
	u, err := url.Parse(filled)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || !validPort(u) {
		return Invalid("endpoint", "endpoint must be an http or https URL")
	}
	if strings.ContainsAny(filled, "{}") {
		return Invalid("endpoint", "a {placeholder} is a letter or _, then letters, digits and _ . -")
	}
	if u.User != nil || u.Fragment != "" || len(endpoint) > 2048 {
		return Invalid("endpoint", "endpoint must have no user, no fragment and at most 2048 characters")
	}
	host := endpoint[strings.Index(endpoint, "://")+3:]
	if i := strings.IndexAny(host, "/?"); i >= 0 {
		host = host[:i]
	}
	if strings.ContainsAny(host, "{}") {
		return Invalid("endpoint", "a {placeholder} may stand in the path or query, not in the host")
	}
	return nil
}

// validPort reports whether a URL's port, if it has one, can be dialled.
func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return true
	}
	_, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil
}

// reservedHeaders are Runa's own or the connection's.
var reservedHeaders = []string{
	"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Idempotency-Key", "Upgrade", "Trailer", "Te",
	"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Expect", "Accept-Encoding",
}

func validateHeaders(headers map[string]string) error {
	if len(headers) > MaxToolHeaders {
		return Invalid("headers", "at most %d headers", MaxToolHeaders)
	}
	seen := map[string]bool{}
	for name, value := range headers {
		canonical := http.CanonicalHeaderKey(name)
		if seen[canonical] {
			return Invalid("headers", "header %q is given twice", canonical)
		}
		seen[canonical] = true
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || len(value) > MaxToolHeaderValue {
			return Invalid("headers", "header %q is not a valid HTTP header", name)
		}
		if slices.Contains(reservedHeaders, canonical) || strings.HasPrefix(canonical, "Runa-") || strings.HasPrefix(canonical, "Webhook-") {
			return Invalid("headers", "header %q is set by Runa", name)
		}
	}
	return nil
}

// Placeholders are the names in {braces} of the endpoint, in order, once each.
func Placeholders(endpoint string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(endpoint, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}
