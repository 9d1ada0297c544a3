package embedded

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestDynamicConfigFile holds the file that operators of other clusters mount
// to the settings that this package runs a cluster with.
func TestDynamicConfigFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../deploy/temporal/dynamicconfig.yaml")
	require.NoError(t, err)
	var file map[string][]struct {
		Value any `yaml:"value"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	got, want := map[string]string{}, map[string]string{}
	for key, values := range file {
		require.Len(t, values, 1, key)
		// The server does not tell capital letters in keys apart.
		got[strings.ToLower(key)] = fmt.Sprint(values[0].Value)
	}
	for key, value := range clusterTuned() {
		want[strings.ToLower(key.String())] = fmt.Sprint(value)
	}
	require.Equal(t, want, got)
}
