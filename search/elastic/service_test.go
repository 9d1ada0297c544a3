package elastic_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/search/elastic"
)

// send talks to Elasticsearch past the package. into nil drops the answer.
func send(t testing.TB, method, url, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(data, into), "%s", data)
	}
	return res.StatusCode
}

// indices are the names of all indices of the configuration.
func indices(t testing.TB, cfg elastic.Config) []string {
	t.Helper()
	var found map[string]json.RawMessage
	require.Equal(t, http.StatusOK, send(t, http.MethodGet, cfg.URL+"/"+cfg.Prefix+"-chunks*", "", &found))
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	return names
}
