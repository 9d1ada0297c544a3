package tool

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
)

func FuzzArguments(f *testing.F) {
	const any = `{"type":"object","properties":{"id":{},"q":{}}}`
	f.Add("", `{"id":"7","params":[{"name":"q","value":"x"}]}`, true)
	f.Add(any, `{"id":"../x","q":{"a":[1,null]}}`, false)
	f.Add(any, `{"id":"@h:1/..;?#","q":"&v=2"}`, true)
	f.Add(`{"type":"object","properties":{"id":{"$ref":"#"},"q":{"pattern":"^a+$"}}}`, `{"id":1e9,"q":"aaa"}`, true)
	f.Fuzz(func(t *testing.T, parameters, args string, read bool) {
		tool := schemas.Tool{Endpoint: "http://h.test:81/u/{id}/x?v=1&q={q}", Method: "POST", Parameters: json.RawMessage(parameters)}
		if read {
			tool.Method = "GET"
		}
		if Validate(tool.Parameters, tool.Endpoint) != nil {
			return
		}
		to, err := checkArguments(tool, json.RawMessage(args))
		if err != nil {
			require.NotNil(t, schemas.AsError(err))
			require.LessOrEqual(t, len(err.Error()), 2000)
			return
		}
		u, err := url.Parse(to.url)
		require.NoError(t, err)
		require.Equal(t, "h.test:81", u.Host)
		require.Nil(t, u.User)
		require.Empty(t, u.Fragment)
		require.Len(t, strings.Split(u.EscapedPath(), "/"), 4, "the value is one segment")
		require.NotContains(t, strings.Split(u.Path, "/"), "..")
		require.Equal(t, []string{"1"}, u.Query()["v"])
		require.Len(t, u.Query()["q"], 1)
		require.Equal(t, read, to.body == nil)
		require.True(t, read || json.Valid(to.body))
	})
}

func FuzzRedactJSON(f *testing.F) {
	f.Add(`{"a":"xsecret-value\"","b\\":[1,"\u0073ecret-value"]}`)
	secrets := newRedactor(map[string]string{"X-Key": "secret-value"})
	f.Fuzz(func(t *testing.T, text string) {
		compact, ok := compactJSON([]byte(text))
		if !ok {
			return
		}
		got := secrets.json(compact)
		require.True(t, json.Valid(got), "%q", got)
		require.NotContains(t, string(got), "secret-value")
	})
}
