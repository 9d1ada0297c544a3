package clickhouse

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url      string
		protocol clickhouse.Protocol
		tls      bool
		addr     []string
		auth     clickhouse.Auth
	}{
		{"clickhouse://localhost", clickhouse.Native, false, []string{"localhost:9000"}, clickhouse.Auth{Database: "runa"}},
		{"clickhouse://u:p%40ss@h:9100/db", clickhouse.Native, false, []string{"h:9100"}, clickhouse.Auth{Database: "db", Username: "u", Password: "p@ss"}},
		{"clickhouse://u:p@h/db?secure=true", clickhouse.Native, true, []string{"h:9440"}, clickhouse.Auth{Database: "db", Username: "u", Password: "p"}},
		{"clickhouse://a:1,b:2,c/db", clickhouse.Native, false, []string{"a:1", "b:2", "c:9000"}, clickhouse.Auth{Database: "db"}},
		{"clickhouse://[::1]/", clickhouse.Native, false, []string{"[::1]:9000"}, clickhouse.Auth{Database: "runa"}},
		{"http://u:p@h:8123", clickhouse.HTTP, false, []string{"h:8123"}, clickhouse.Auth{Database: "runa", Username: "u", Password: "p"}},
		{"https://h:8443/db", clickhouse.HTTP, true, []string{"h:8443"}, clickhouse.Auth{Database: "db"}},
		{"https://h:8443/db?secure=true&username=u&password=p", clickhouse.HTTP, true, []string{"h:8443"}, clickhouse.Auth{Database: "db", Username: "u", Password: "p"}},
	} {
		options, err := optionsOf(Config{URL: test.url}.withDefaults())
		require.NoError(t, err, test.url)
		require.Equal(t, test.protocol, options.Protocol, test.url)
		require.Equal(t, test.addr, options.Addr, test.url)
		require.Equal(t, test.auth, options.Auth, test.url)
		require.Equal(t, test.tls, options.TLS != nil, test.url)
	}
}

func TestOptionsOfAnURL(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: "clickhouse://h/?secure=true&tls_server_name=n&dial_timeout=3s&debug=true&max_threads=2", MaxConns: 7, Timeout: time.Minute}
	options, err := optionsOf(cfg.withDefaults())
	require.NoError(t, err)
	require.Equal(t, "n", options.TLS.ServerName)
	require.False(t, options.TLS.InsecureSkipVerify)
	require.IsType(t, &tls.Config{}, options.TLS)
	require.Equal(t, 3*time.Second, options.DialTimeout)
	require.Equal(t, time.Minute, options.ReadTimeout)
	require.Equal(t, 7, options.MaxOpenConns)
	require.Equal(t, clickhouse.Settings{"max_threads": 2}, options.Settings)
	require.NotNil(t, options.Logger, "statements are not printed")
}

func TestURLIsNotInErrors(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "localhost:9000", "postgres://u:hunter2@h/db", "clickhouse://u:hun/ter2@h:9000", "clickhouse://u:hunter2@h:x/db",
		"http://u:hunter2@h:8123/?secure=true", "clickhouse://u:hunter2@h/?secure=perhaps", "clickhouse://u:hunter2@/", "clickhouse://u:hunter2@h/%zz", "clickhouse://u:hunter2\x00@h/",
	} {
		_, err := Open(t.Context(), Config{URL: bad})
		require.ErrorContains(t, err, "ClickHouse URL", "%q", bad)
		require.NotContains(t, err.Error(), "hun", "%q", bad)
		require.ErrorContains(t, Migrate(t.Context(), Config{URL: bad}), "ClickHouse URL")
		_, err = ReadStatus(t.Context(), Config{URL: bad})
		require.ErrorContains(t, err, "ClickHouse URL")
	}
}

func TestServerIsAbsent(t *testing.T) {
	t.Parallel()
	for _, absent := range []string{"http://u:hunter2@127.0.0.1:1/db", "clickhouse://u:hunter2@127.0.0.1:1/db"} {
		cfg := Config{URL: absent, Timeout: 5 * time.Second}
		_, err := Open(t.Context(), cfg)
		require.ErrorContains(t, err, "connection refused")
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), "SELECT")
		err = Migrate(t.Context(), cfg)
		require.ErrorContains(t, err, "connection refused")
		require.NotContains(t, err.Error(), "hunter2")
		_, err = ReadStatus(t.Context(), cfg)
		require.ErrorContains(t, err, "connection refused")
	}
}
