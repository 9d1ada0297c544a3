package faults

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"runa/test/harness"
	"runa/test/runatest"
)

// late is how long services are away at a start.
const late = 5 * time.Second

// TestServicesComeLate starts an API and a worker before anything that they
// need, which is there after a while.
func TestServicesComeLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	proxies := map[string]*Proxy{"records": r.records, "search": r.index, "analytics": r.figures, "engine": r.engine}
	for _, p := range proxies {
		p.Refuse()
	}
	api := runatest.Spawn(t, r.Env, "api", "--listen", "127.0.0.1:0")
	r.worker = runatest.Spawn(t, r.Env, "worker")
	harness.Pause(late)
	require.False(t, api.Ready() || r.worker.Ready(), "nothing is ready")
	began := time.Now()
	// They come one after the other.
	for _, p := range []*Proxy{r.engine, r.figures, r.index, r.records} {
		p.Pass()
		harness.Pause(time.Second)
	}
	r.await(api)
	t.Logf("ready %s after the first service was there; the API waited for %q", ms(time.Since(began)), waits(api))
	w := r.world(0)
	begin(w)
	w.Prove()
}

// await waits until an API and the worker are ready, and makes the API the
// rig's.
func (r *rig) await(api *runatest.Process) {
	r.t.Helper()
	require.NoError(r.t, api.AwaitReady())
	require.NoError(r.t, r.worker.AwaitReady())
	r.api = runatest.At(r.t, api.URL())
}

// waits are the lines in which a process says what it waits for.
func waits(p *runatest.Process) (lines []string) {
	for line := range strings.Lines(p.Log()) {
		if strings.Contains(line, `"waiting for `) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// TestMigrationComesLate starts an API and a worker before `runa migrate`.
func TestMigrationComesLate(t *testing.T) {
	t.Parallel()
	runatest.NeedServices(t)
	r := rigOf(t, runatest.NewBareInstallation(t, "", "RUNA_OUTBOUND_ALLOW=127.0.0.1"))
	api := runatest.Spawn(t, r.Env, "api", "--listen", "127.0.0.1:0")
	r.worker = runatest.Spawn(t, r.Env, "worker")
	said := func() bool { return len(waits(api)) > 0 && len(waits(r.worker)) > 0 }
	require.Eventually(t, said, recovery, 50*time.Millisecond, "both say what they wait for")
	for _, p := range []*runatest.Process{api, r.worker} {
		require.Contains(t, waits(p)[0], "runa migrate")
		require.False(t, p.Ready())
	}
	r.Migrate(t)
	began := time.Now()
	r.await(api)
	t.Logf("ready %s after the migration; they waited for %q", ms(time.Since(began)), waits(api))
	w := r.world(0)
	begin(w)
	w.Prove()
}

// secret is a password that no log and no error may show.
const secret = "s3cret-0f-tests"

// TestWrongAddresses starts processes with addresses that will never do: they
// end soon, and say why without the password.
func TestWrongAddresses(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	unauthorized := NewGateway(t, r.Elasticsearch())
	unauthorized.Set(Refused(http.StatusUnauthorized, `{"error":{"type":"security_exception","reason":"unable to authenticate user [x]"},"status":401}`))
	at := func(host string) string { return "http://runa:" + secret + "@" + host }
	figures := r.ClickHouse()
	for name, c := range map[string]struct{ variable, said string }{
		"PostgreSQL, password":    {"RUNA_DATABASE_URL=postgres://runa:" + secret + "@" + guarded(t) + "/runa?sslmode=disable", "password authentication failed"},
		"PostgreSQL, no URL":      {"RUNA_DATABASE_URL=postgres//runa:" + secret + "@127.0.0.1/runa", "RUNA_DATABASE_URL"},
		"PostgreSQL, bad escape":  {"RUNA_DATABASE_URL=postgres://runa:" + secret + "%zz@127.0.0.1/runa", "RUNA_DATABASE_URL"},
		"PostgreSQL, a setting":   {"RUNA_DATABASE_URL=postgres://runa:" + secret + "@127.0.0.1/runa?sslmode=sometimes", "sslmode"},
		"Elasticsearch, password": {"RUNA_ELASTICSEARCH_URL=" + at(unauthorized.Listener.Addr().String()), "security_exception"},
		"Elasticsearch, no URL":   {"RUNA_ELASTICSEARCH_URL=runa:" + secret + "@127.0.0.1:9200", "RUNA_ELASTICSEARCH_URL"},
		"ClickHouse, password":    {"RUNA_CLICKHOUSE_URL=" + strings.Replace(figures, "http://", "http://runa:"+secret+"@", 1), "Authentication failed"},
		"ClickHouse, no URL":      {"RUNA_CLICKHOUSE_URL=runa:" + secret + "@127.0.0.1:8123", "RUNA_CLICKHOUSE_URL"},
		"the engine, no address":  {"RUNA_TEMPORAL_ADDRESS=127.0.0.1", "RUNA_TEMPORAL_ADDRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roles := []string{"api", "worker", "migrate"}
			if strings.HasPrefix(c.variable, "RUNA_DATABASE_URL") {
				roles = append(roles, "temporal")
			}
			for _, role := range roles {
				args := []string{role}
				switch role {
				case "api":
					args = append(args, "--listen", "127.0.0.1:0")
				case "temporal":
					args = append(args, "--temporal-listen", "127.0.0.1:0")
				}
				began := time.Now()
				p := runatest.Spawn(t, append(slices.Clip(r.Env), c.variable), args...)
				select {
				case <-p.Exited():
				case <-time.After(30 * time.Second):
					t.Fatalf("%s waits on: %s", role, p.Log())
				}
				require.Equal(t, 1, p.Stop(), role)
				require.Contains(t, p.Log(), c.said, role)
				require.NotContains(t, p.Log(), secret, role)
				t.Logf("%s ended after %s: %s", role, ms(time.Since(began)), last(p.Log()))
			}
		})
	}
}

func last(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// guarded is a PostgreSQL that takes nobody's password. That of tests asks for
// none.
func guarded(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go refuseLogin(conn)
		}
	}()
	return listener.Addr().String()
}

func refuseLogin(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the caller was told
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: `password authentication failed for user "runa"`})
	if backend.Flush() == nil {
		_, _ = io.Copy(io.Discard, conn) // until the caller is gone
	}
}
