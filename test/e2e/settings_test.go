package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/test/runatest"
)

// TestWrongSettings starts with settings that are wrong: each ends the start
// at once and says which it is and what is allowed.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for i, one := range []struct{ setting, value, allowed string }{
		{"rate-limit", "0", "above 0"},
		{"listen", "nonsense", "host:port"},
		{"listen", "127.0.0.1:99999", "host:port"},
		{"listen", "127.0.0.1:http", "host:port"},
		{"demo-listen", ":", "host:port"},
		{"data-dir", file, "director"},
		{"api-key", "short", "32 characters"},
		{"api-key", strings.Repeat("a b", 20), "without spaces"},
		{"operator-key", strings.Repeat("a", 31), "32 characters"},
		{"keyset", "garbage", "keyset"},
		{"model", "gpt-9", "extractive"},
		{"outbound-allow", "10.0.0.0/99", "10.0.0.0/99"},
		{"outbound-allow", "http://example.com/", "http://example.com/"},
		{"rate-limit", "many", "above 0"},
		{"rate-limit", "NaN", "above 0"},
		{"retention-history", "5m", "1h0m0s or more"},
		{"retention-history", "3", "such as 72h"},
		{"log-level", "loud", "debug, info, warn, error"},
		{"demo", "maybe", "true or false"},
	} {
		ways := wrongWays(t, one.setting, one.value)
		if i > 1 { // a start costs: each setting is given in one way, the first in all
			ways = ways[i%len(ways) : i%len(ways)+1]
		}
		for _, way := range ways {
			refusedStart(t, way, one.allowed)
		}
	}
}

// way is how a setting is given, and what it is called then.
type way struct {
	name, variable string
	env, args      []string
}

func wrongWays(t *testing.T, setting, value string) []way {
	t.Helper()
	variable := "RUNA_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
	words := strings.Split(setting, "-")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	key := strings.Join(words, "")
	config := filepath.Join(t.TempDir(), "runa.yaml")
	require.NoError(t, os.WriteFile(config, []byte(key+`: "`+value+"\"\n"), 0o600))
	ways := []way{
		{"--" + setting, variable, nil, []string{"--" + setting + "=" + value}},
		{variable, variable, []string{variable + "=" + value}, nil},
		{key, variable, nil, []string{"--config", config}},
	}
	for i := range ways {
		if setting != "data-dir" {
			ways[i].args = append(ways[i].args, "--data-dir", t.TempDir())
		}
	}
	return ways
}

// refusedStart starts the program, which must end and name the setting, by the
// name it was given by or by that of its variable, in one line.
func refusedStart(t *testing.T, w way, allowed string) {
	t.Helper()
	got := runatest.Command(t, w.env, append([]string{"serve"}, w.args...)...)
	require.Equal(t, 1, got.Code, "%v: %s", w, got.Stderr)
	require.Empty(t, got.Stdout)
	require.True(t, strings.Contains(got.Stderr, w.name) || strings.Contains(got.Stderr, w.variable), "%v: %s", w, got.Stderr)
	require.Contains(t, got.Stderr, allowed, "%v", w)
	require.Len(t, strings.Split(strings.TrimSpace(got.Stderr), "\n"), 1, got.Stderr)
	if strings.Contains(w.variable, "KEY") { // a secret is not repeated
		require.NotContains(t, got.Stderr, "garbage")
		require.NotContains(t, got.Stderr, "aaa")
	}
}

// TestConfigFile is wrong in itself, or overruled.
func TestConfigFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for text, says := range map[string]string{
		"lissten: 127.0.0.1:1": `"lissten" is not a setting`,
		"listen: [":            "yaml",
		"- listen":             "yaml",
		"RUNA_LISTEN: x":       `"RUNA_LISTEN" is not a setting`,
	} {
		got := runatest.Command(t, nil, "serve", "--config", write("wrong.yaml", text))
		require.Equal(t, 1, got.Code)
		require.Contains(t, got.Stderr, says)
		require.Contains(t, got.Stderr, "wrong.yaml")
	}
	got := runatest.Command(t, nil, "serve", "--config", filepath.Join(dir, "nowhere.yaml"))
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "--config")

	// The file is read; the environment goes before it, and flags before that.
	config := write("right.yaml", "rateLimit: 5\ndemo: false\noutboundAllow: [10.0.0.0/8, example.com]\nlogLevel: warn\nmodel: nonsense\n")
	r := runatest.Start(t, runatest.Options{Args: []string{"--config", config}, Env: []string{"RUNA_MODEL=extractive", "RUNA_PORT=tcp://10.0.0.1:80"}})
	require.Contains(t, r.Log(), "RUNA_PORT", "a variable that looks like a setting is named")
	require.NotContains(t, r.Log(), `"level":"INFO"`)

	help := runatest.Command(t, nil, "serve", "--help")
	require.Zero(t, help.Code)
	for _, setting := range []string{"RUNA_LISTEN", "RUNA_DATA_DIR", "RUNA_OUTBOUND_ALLOW", "RUNA_RATE_LIMIT", "--demo", "--config"} {
		require.Contains(t, help.Stdout, setting)
	}
	require.NotZero(t, runatest.Command(t, nil, "serve", "--nonsense").Code)
}

// TestDoctorFindsWhatIsWrong is run on a sick folder and a port in use.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	sick := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(sick, "keyset.json"), []byte("{}"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(sick, "runa.db"), []byte(strings.Repeat("not a database ", 1000)), 0o600))
	for _, one := range []struct {
		name  string
		args  []string
		fails []string
	}{
		{"well", []string{"--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, nil},
		{"port in use", []string{"--data-dir", t.TempDir(), "--listen", listener.Addr().String()}, []string{"port"}},
		// A folder below a file can be written by nobody, root included.
		{"no folder", []string{"--data-dir", filepath.Join(file, "data"), "--listen", "127.0.0.1:0"}, []string{"data folder", "keyset", "records"}},
		{"broken keyset", []string{"--data-dir", sick, "--listen", "127.0.0.1:0"}, []string{"keyset", "records"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			got := runatest.Command(t, nil, append([]string{"doctor"}, one.args...)...)
			require.Equal(t, len(one.fails) > 0, got.Code != 0, got.Stdout)
			require.Equal(t, len(one.fails), strings.Count(got.Stdout, "FAIL"), got.Stdout)
			require.Equal(t, len(one.fails), strings.Count(got.Stdout, "fix: "), got.Stdout)
			require.Equal(t, 8-len(one.fails), strings.Count(got.Stdout, "ok   "), got.Stdout)
			for _, name := range one.fails {
				require.Contains(t, got.Stdout, "FAIL  "+name)
			}
		})
	}
}
