package runatest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Layout is how the program is spread over processes and services.
type Layout string

const (
	// Embedded is one process that holds everything.
	Embedded Layout = "embedded"
	// Mixed is one process with its records in PostgreSQL and its knowledge in
	// Elasticsearch; the rest is inside.
	Mixed Layout = "mixed"
	// Separate is an API and a worker, with every service outside.
	Separate Layout = "separate"
)

// LayoutVariable names the layout of the tests that run in any; it is Embedded
// when the variable is not set.
const LayoutVariable = "RUNA_TEST_LAYOUT"

// Variables that name the services of the layouts but Embedded.
const (
	DatabaseVariable      = "RUNA_TEST_DATABASE_URL"
	ElasticsearchVariable = "RUNA_TEST_ELASTICSEARCH_URL"
	ClickHouseVariable    = "RUNA_TEST_CLICKHOUSE_URL"
)

func defaultLayout(t testing.TB) Layout {
	t.Helper()
	switch layout := Layout(os.Getenv(LayoutVariable)); layout {
	case "":
		return Embedded
	case Embedded, Mixed, Separate:
		return layout
	default:
		t.Fatalf("%s is %q; it must be %s, %s or %s", LayoutVariable, layout, Embedded, Mixed, Separate)
		return ""
	}
}

// OnlyEmbedded skips a test of what only the embedded layout has.
func OnlyEmbedded(t testing.TB, why string) {
	t.Helper()
	if layout := defaultLayout(t); layout != Embedded {
		t.Skipf("not in the layout %s: %s", layout, why)
	}
}

// NeedServices skips a test of several processes where no services are named;
// `make test-services` names them.
func NeedServices(t testing.TB) {
	t.Helper()
	for _, variable := range []string{DatabaseVariable, ElasticsearchVariable, ClickHouseVariable} {
		if os.Getenv(variable) == "" {
			t.Skipf("%s is not set: `make test-services` starts the services and sets it", variable)
		}
	}
}

// Installation is what the processes of one data folder share on services.
type Installation struct {
	name   string
	keyset string
	// engine is the address of the durable engine; "" is that of all tests.
	engine string
	// Env are the variables of its processes; set by NewInstallation.
	Env []string
}

var (
	installationsMu sync.Mutex
	installations   = map[string]*Installation{}
)

// installationOf returns the installation of a data folder; at first it makes
// its database, which is dropped when the test ends.
func installationOf(t testing.TB, dir string) *Installation {
	t.Helper()
	installationsMu.Lock()
	defer installationsMu.Unlock()
	if known := installations[dir]; known != nil {
		return known
	}
	NeedServices(t)
	sum := sha256.Sum256([]byte(dir + fmt.Sprint(os.Getpid())))
	i := &Installation{name: "runa_" + hex.EncodeToString(sum[:6])}
	keyset := Command(t, nil, "keyset")
	require.Zero(t, keyset.Code, keyset.Stderr)
	i.keyset = strings.TrimSpace(keyset.Stdout)
	i.createDatabase(t)
	t.Cleanup(func() { i.drop(t) })
	installations[dir] = i
	return i
}

// NewInstallation makes an installation, up to date, for processes that the
// test starts one by one.
func NewInstallation(t testing.TB, env ...string) *Installation {
	t.Helper()
	return NewInstallationOn(t, "", env...)
}

// NewInstallationOn is NewInstallation on a durable engine of the test's own;
// "" is that of all tests.
func NewInstallationOn(t testing.TB, engine string, env ...string) *Installation {
	t.Helper()
	i := NewBareInstallation(t, engine, env...)
	i.Migrate(t)
	return i
}

// NewBareInstallation is NewInstallationOn before its first migration.
func NewBareInstallation(t testing.TB, engine string, env ...string) *Installation {
	t.Helper()
	i := installationOf(t, t.TempDir())
	i.engine = engine
	i.Env = append(append(i.names(t, Separate), keys...), env...)
	return i
}

// Migrate brings it up to date.
func (i *Installation) Migrate(t testing.TB) {
	t.Helper()
	migrated := Command(t, i.Env, "migrate")
	require.Zero(t, migrated.Code, migrated.Stderr)
}

// API starts an API and waits until it is ready.
func (i *Installation) API(t testing.TB, args ...string) *Runa {
	t.Helper()
	p := Spawn(t, i.Env, append([]string{"api", "--listen", "127.0.0.1:0"}, args...)...)
	require.NoError(t, p.AwaitReady())
	r := At(t, p.URL())
	r.api, r.parts = p, []*Process{p}
	return r
}

// Worker starts a worker and waits until it is ready.
func (i *Installation) Worker(t testing.TB, args ...string) *Process {
	t.Helper()
	p := Spawn(t, i.Env, append([]string{"worker"}, args...)...)
	require.NoError(t, p.AwaitReady())
	return p
}

// env names the services of a layout and, for separate processes, brings them
// up to date.
func (i *Installation) env(t testing.TB, layout Layout) []string {
	t.Helper()
	env := i.names(t, layout)
	if layout == Separate {
		migrated := Command(t, append(env, keys[:2]...), "migrate")
		require.Zero(t, migrated.Code, migrated.Stderr)
	}
	return env
}

// names are the variables that name the services of a layout.
func (i *Installation) names(t testing.TB, layout Layout) []string {
	t.Helper()
	env := []string{
		"RUNA_DATABASE_URL=" + i.database(), "RUNA_ELASTICSEARCH_URL=" + os.Getenv(ElasticsearchVariable),
		"RUNA_ELASTICSEARCH_PREFIX=" + i.name, "RUNA_KEYSET=" + i.keyset,
	}
	if layout != Separate {
		return env
	}
	if i.engine == "" {
		i.engine = engineAddress(t)
	}
	return append(env, "RUNA_CLICKHOUSE_URL="+i.ClickHouse(), "RUNA_TEMPORAL_ADDRESS="+i.engine, "RUNA_TEMPORAL_NAMESPACE="+i.name)
}

// Name is that of its database, and begins the names of its indices.
func (i *Installation) Name() string { return i.name }

func (i *Installation) database() string {
	u, err := url.Parse(os.Getenv(DatabaseVariable))
	if err != nil {
		return ""
	}
	u.Path = "/" + i.name
	return u.String()
}

// ClickHouse is the URL of its database of events.
func (i *Installation) ClickHouse() string {
	return strings.TrimSuffix(os.Getenv(ClickHouseVariable), "/") + "/" + i.name
}

// Elasticsearch is the URL that the addresses of its indices begin with.
func (i *Installation) Elasticsearch() string {
	return strings.TrimSuffix(os.Getenv(ElasticsearchVariable), "/") + "/" + i.name
}

// Fetch asks a service, which must answer with JSON.
func (i *Installation) Fetch(t testing.TB, method, address, body string, dest any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(i.request(t, method, address, body)), dest))
}

// serviceTimeout bounds what the tests ask of a service by themselves.
const serviceTimeout = 30 * time.Second

func (i *Installation) createDatabase(t testing.TB) {
	t.Helper()
	require.NoError(t, onServer(t.Context(), "CREATE DATABASE "+i.name))
}

func onServer(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, os.Getenv(DatabaseVariable))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // the statement is over
	_, err = conn.Exec(ctx, statement)
	return err
}

// drop removes what the installation kept on the services.
func (i *Installation) drop(t testing.TB) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := onServer(ctx, "DROP DATABASE IF EXISTS "+i.name+" WITH (FORCE)"); err != nil {
		t.Logf("drop the database: %v", err)
	}
	// A node refuses to delete by a pattern: its indices are asked for first.
	indices := i.request(t, http.MethodGet, os.Getenv(ElasticsearchVariable)+"/_cat/indices/"+i.name+"-*?h=index", "")
	for _, index := range strings.Fields(indices) {
		i.request(t, http.MethodDelete, os.Getenv(ElasticsearchVariable)+"/"+index, "")
	}
	i.request(t, http.MethodPost, os.Getenv(ClickHouseVariable), "DROP DATABASE IF EXISTS "+i.name)
}

func (i *Installation) request(t testing.TB, method, address, body string) (answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), serviceTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewBufferString(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Logf("%s %s: %v", method, req.URL.Redacted(), err)
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Logf("%s %s: %s %s (%v)", method, req.URL.Redacted(), resp.Status, text, err)
		return ""
	}
	return string(text)
}
