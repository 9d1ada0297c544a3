package schemas_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

// spec is a definition that is valid, changed by change.
func spec(change func(*schemas.ToolSpec)) schemas.ToolSpec {
	s := schemas.ToolSpec{Name: "get_user", Description: "Look up a user.", Endpoint: "https://api.example.com/users/{id}", Method: "get"}
	change(&s)
	s.Normalize()
	return s
}

func TestToolSpecNormalize(t *testing.T) {
	t.Parallel()
	get := spec(func(*schemas.ToolSpec) {})
	require.Equal(t, "GET", get.Method)
	require.Equal(t, schemas.DefaultToolTimeoutMs, get.TimeoutMs)
	require.Equal(t, schemas.EffectRead, get.Effect)
	for _, method := range []string{"post", "PUT", "Patch", "delete"} {
		require.Equal(t, schemas.EffectUnsafe, spec(func(s *schemas.ToolSpec) { s.Method = method }).Effect, method)
	}
	kept := spec(func(s *schemas.ToolSpec) { s.TimeoutMs, s.Effect = 5, schemas.EffectIdempotent })
	require.Equal(t, 5, kept.TimeoutMs)
	require.Equal(t, schemas.EffectIdempotent, kept.Effect)
}

func TestToolSpecValidateAccepts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schemas.ToolSpec){
		"plain":     func(*schemas.ToolSpec) {},
		"long name": func(s *schemas.ToolSpec) { s.Name = "_" + strings.Repeat("a", 63) },
		"methods":   func(s *schemas.ToolSpec) { s.Method = "delete" },
		"timeout":   func(s *schemas.ToolSpec) { s.TimeoutMs = schemas.MaxToolTimeoutMs },
		"query":     func(s *schemas.ToolSpec) { s.Endpoint = "http://127.0.0.1:9000/a?q={q}&r={r}" },
		"IPv6":      func(s *schemas.ToolSpec) { s.Endpoint = "http://[::1]:9000/{a}/{b}" },
		"own headers": func(s *schemas.ToolSpec) {
			s.Headers = map[string]string{"Authorization": "Bearer x", "X-Api-Key": "k"}
		},
	} {
		s := spec(change)
		require.NoError(t, s.Validate(), name)
	}
}

func TestToolSpecValidateRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		param  string
		change func(*schemas.ToolSpec)
	}{
		{"name", func(s *schemas.ToolSpec) { s.Name = "" }},
		{"name", func(s *schemas.ToolSpec) { s.Name = "1a" }},
		{"name", func(s *schemas.ToolSpec) { s.Name = "a b" }},
		{"name", func(s *schemas.ToolSpec) { s.Name = "a\n" }},
		{"name", func(s *schemas.ToolSpec) { s.Name = strings.Repeat("a", 65) }},
		{"description", func(s *schemas.ToolSpec) { s.Description = " \n" }},
		{"description", func(s *schemas.ToolSpec) { s.Description = strings.Repeat("d", 4097) }},
		{"description", func(s *schemas.ToolSpec) { s.Description = "a\x00b" }},
		{"method", func(s *schemas.ToolSpec) { s.Method = "" }},
		{"method", func(s *schemas.ToolSpec) { s.Method = "HEAD" }},
		{"timeoutMs", func(s *schemas.ToolSpec) { s.TimeoutMs = -1 }},
		{"timeoutMs", func(s *schemas.ToolSpec) { s.TimeoutMs = 600_001 }},
		{"effect", func(s *schemas.ToolSpec) { s.Effect = "none" }},
		{"parameters", func(s *schemas.ToolSpec) { s.Parameters = make(json.RawMessage, 64<<10+1) }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = manyHeaders(21) }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"a b": "x"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"": "x"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"X-A": "x\r\nX-B: y"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"X-A": strings.Repeat("x", 8193)} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"hOST": "x"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"TE": "x"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"idempotency-key": "x"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"runa-turn": "x"} }},
		{"headers", func(s *schemas.ToolSpec) { s.Headers = map[string]string{"webhook-signature": "x"} }},
	} {
		s := spec(c.change)
		requireInvalid(t, s.Validate(), c.param)
	}
}

func manyHeaders(n int) map[string]string {
	headers := map[string]string{}
	for i := range n {
		headers[fmt.Sprintf("X-%d", i)] = "x"
	}
	return headers
}

func TestToolSpecValidateRefusesEndpoints(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{
		"", "api.example.com", "/path", "ftp://a.b", "file:///etc/passwd", "http://", "http:///x", "http:opaque",
		"http://user@a.b/", "http://u:p@a.b/", "http://a.b/#part", "http://a b/", "http://a.b/%zz", "http://a.b/\n",
		"http://{host}/", "http://a.{domain}/x", "http://a.b:{port}/", "http://{user}@a.b/", "{scheme}://a.b/",
		"http://a.b{x}?q", "http://a.b/#{x}",
		"http://a.b/" + strings.Repeat("x", 2048),
	} {
		s := spec(func(s *schemas.ToolSpec) { s.Endpoint = endpoint })
		requireInvalid(t, s.Validate(), "endpoint")
	}
}

// FuzzToolEndpoint holds that no argument, escaped as a path segment, can move
// the request to another host: the placeholders of a valid endpoint are all
// behind it.
func FuzzToolEndpoint(f *testing.F) {
	for _, seed := range []string{
		"https://api.example.com/users/{id}", "http://[::1]:80/{a}?q={b}", "http://{h}/", "http://a@{b}/", "http://a.b?{x}",
		"http://a.b#{x}", "http:{x}//a", "://", "http://a.b\\{x}", "HTTP://A.B/{x}{x}", "http://a.b/{{x}}", "http://a{.b/}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		s := spec(func(s *schemas.ToolSpec) { s.Endpoint = endpoint })
		if s.Validate() != nil {
			return
		}
		host := fill(t, endpoint, "x").Host
		require.NotEmpty(t, host)
		for _, value := range []string{"@evil.example", "/../..", "evil.example:80", "\\", "#"} {
			u := fill(t, endpoint, url.PathEscape(value))
			require.Equal(t, host, u.Host)
			require.Nil(t, u.User)
		}
	})
}

// fill puts a value into every placeholder.
func fill(t *testing.T, endpoint, value string) *url.URL {
	t.Helper()
	for _, name := range schemas.Placeholders(endpoint) {
		endpoint = strings.ReplaceAll(endpoint, "{"+name+"}", value)
	}
	u, err := url.Parse(endpoint)
	require.NoError(t, err)
	return u
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string][]string{
		"https://a.b/":                         nil,
		"https://a.b/{id}":                     {"id"},
		"https://a.b/{z}/{a}?q={z}&r={_r.s-1}": {"z", "a", "_r.s-1"},
		"https://a.b/{}/{1}/{a b}/{a":          nil,
		"https://a.b/{{x}}":                    {"x"},
	} {
		require.Equal(t, want, schemas.Placeholders(endpoint), endpoint)
	}
}

func TestToolPatchApply(t *testing.T) {
	t.Parallel()
	before := spec(func(s *schemas.ToolSpec) { s.Headers = map[string]string{"X-A": "1"} })
	after := before
	new(schemas.ToolPatch).Apply(&after)
	require.Equal(t, before, after)

	var patch schemas.ToolPatch
	require.NoError(t, json.Unmarshal([]byte(`{"name":"n","description":"d","endpoint":"https://c.d","method":"POST",
		"parameters":{"type":"object"},"headers":{},"timeoutMs":7,"effect":"unsafe"}`), &patch))
	patch.Apply(&after)
	require.Equal(t, schemas.ToolSpec{
		Name: "n", Description: "d", Endpoint: "https://c.d", Method: "POST", Parameters: json.RawMessage(`{"type":"object"}`),
		Headers: map[string]string{}, TimeoutMs: 7, Effect: schemas.EffectUnsafe,
	}, after)
}
