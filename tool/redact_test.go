package tool_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/tool"
)

func TestSecretsAreNeverAnswered(t *testing.T) {
	t.Parallel()
	headers := map[string]string{
		"Authorization": "Bearer sk-live/0123456789",
		"X-Api-Key":     `quo"te\slash-4711`,
		"X-Longer":      "prefix-0123 and more",
		"X-Prefix":      "prefix-0123",
		"X-Region":      "eu",
	}
	secrets := []string{"sk-live", "0123456789", "4711", "prefix-0123", "and more"}
	echo := func(status int, contentType, body string) string {
		out := mustCall(t, schemas.EffectRead, headers, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		if out.Kind == tool.Succeeded {
			return string(out.Result)
		}
		return fmt.Sprintf("%+v %v", *out.Error, out.Err)
	}
	asJSON, err := json.Marshal(headers)
	require.NoError(t, err)
	var asText strings.Builder
	for name, value := range headers {
		fmt.Fprintf(&asText, "%s: %s\n", name, value)
	}
	bodies := []struct{ contentType, body string }{
		{"application/json", string(asJSON)},
		{"application/json", `{"Bearer sk-live\/0123456789": "\u0073k-live\u002f0123456789", "n": {"a": ["x prefix-0123 and more y"]}}`},
		{"text/plain", asText.String()},
		{"text/plain", string(asJSON)},
		{"", string(asJSON)},
		{"text/html", strings.Repeat("x", 490) + "sk-live/0123456789"},
		{"x/sk-live/0123456789", "x"},
	}
	for _, status := range []int{200, 400, 502} {
		for _, b := range bodies {
			got := echo(status, b.contentType, b.body)
			for _, secret := range secrets {
				require.NotContains(t, got, secret, "%d %s", status, b.body)
			}
		}
	}
	require.JSONEq(t, `{"Authorization":"[redacted]","X-Api-Key":"[redacted]","X-Longer":"[redacted]","X-Prefix":"[redacted]","X-Region":"eu"}`,
		echo(200, "application/json", string(asJSON)))
	//nolint:testifylint // to the letter: numbers stay as the tool wrote them
	require.Equal(t, `{"ends":"\\","n":1.50,"region":"eu"}`, echo(200, "application/json", `{"ends":"\\","n":1.50,"region":"eu"}`))
}

func TestExcerptsAreShort(t *testing.T) {
	t.Parallel()
	out := mustCall(t, schemas.EffectRead, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, " "+strings.Repeat("é", 1000))
	})
	require.Equal(t, "the tool answered 400: "+strings.Repeat("é", 250)+"…", out.Error.Message)
}
