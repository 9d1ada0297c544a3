package faults

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/test/harness"
	"runa/test/runatest"
)

// parallel is how many cases run at a time: they wait most of their time, so
// more of them than there are processors.
const parallel = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	code := m.Run()
	runatest.Cleanup()
	os.Exit(code)
}

// rig is an installation with a proxy before each of its services.
type rig struct {
	t *testing.T
	*runatest.Installation
	records, index, figures, engine *Proxy
	// indexHTTP and figuresHTTP are behind their proxies.
	indexHTTP, figuresHTTP *Gateway
	api                    *runatest.Runa
	worker                 *runatest.Process
}

// newRig prepares an installation on a durable engine at an address; "" is that
// of all tests. No process of it runs.
func newRig(t *testing.T, engine string) *rig {
	t.Helper()
	runatest.NeedServices(t)
	return rigOf(t, runatest.NewInstallationOn(t, engine, "RUNA_OUTBOUND_ALLOW=127.0.0.1"))
}

func rigOf(t *testing.T, i *runatest.Installation) *rig {
	t.Helper()
	r := &rig{t: t, Installation: i}
	r.records = r.stand("RUNA_DATABASE_URL", "")
	r.engine = r.stand("RUNA_TEMPORAL_ADDRESS", "")
	r.indexHTTP = NewGateway(t, r.variable("RUNA_ELASTICSEARCH_URL"))
	r.index = r.stand("RUNA_ELASTICSEARCH_URL", r.indexHTTP.Listener.Addr().String())
	r.figuresHTTP = NewGateway(t, r.variable("RUNA_CLICKHOUSE_URL"))
	r.figures = r.stand("RUNA_CLICKHOUSE_URL", r.figuresHTTP.Listener.Addr().String())
	return r
}

// start starts an API and a worker.
func (r *rig) start() {
	r.t.Helper()
	r.api = r.API(r.t)
	r.worker = r.Worker(r.t)
}

// variable is the value that the processes get.
func (r *rig) variable(name string) string {
	r.t.Helper()
	for i := len(r.Env) - 1; i >= 0; i-- {
		if value, found := strings.CutPrefix(r.Env[i], name+"="); found {
			return value
		}
	}
	r.t.Fatalf("%s is not set", name)
	return ""
}

// stand puts a proxy where a variable points, before another address or, with
// "", before the one that stood there.
func (r *rig) stand(variable, before string) *Proxy {
	r.t.Helper()
	value := r.variable(variable)
	host := value
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		host = u.Host
	}
	if before == "" {
		before = host
	}
	p := NewProxy(r.t, before)
	r.Env = append(r.Env, variable+"="+strings.Replace(value, host, p.Address, 1))
	return p
}

// world is the rig under clients, whose customer has tools that take slow at
// most.
func (r *rig) world(slow time.Duration) *harness.World {
	return &harness.World{T: r.t, Tools: harness.NewToolbox(r.t, slow), Alive: r.alive}
}

func (r *rig) alive(ctx context.Context) *runatest.Runa {
	if ctx.Err() != nil {
		return nil
	}
	return r.api
}

// query asks the records themselves for a number. A server that has no place
// for one more client is asked again.
func (r *rig) query(statement string) (n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), recovery)
	defer cancel()
	u, err := url.Parse(r.variable("RUNA_DATABASE_URL"))
	require.NoError(r.t, err)
	u.Host = r.records.server
	conn, err := pgx.Connect(ctx, u.String())
	for ; err != nil && ctx.Err() == nil; conn, err = pgx.Connect(ctx, u.String()) {
		harness.Pause(100 * time.Millisecond)
	}
	require.NoError(r.t, err)
	defer func() { _ = conn.Close(ctx) }() // the answer is there
	require.NoError(r.t, conn.QueryRow(ctx, statement).Scan(&n))
	return n
}

// outbox is how many events wait for the analytics.
func (r *rig) outbox() int {
	r.t.Helper()
	return r.query(`SELECT count(*) FROM outbox`)
}

// awaitOutbox waits until all events were sent, and says how long that took.
func (r *rig) awaitOutbox() time.Duration {
	r.t.Helper()
	began := time.Now()
	require.Eventually(r.t, func() bool { return r.outbox() == 0 }, recovery, 100*time.Millisecond, "all events are sent")
	return time.Since(began)
}

// proveEvents counts the events in the analytics themselves: one for each thing
// that happened, and none twice.
func (r *rig) proveEvents(f harness.Figures) (rows int) {
	r.t.Helper()
	address := r.ClickHouse()
	at := strings.LastIndex(address, "/")
	var answer struct {
		Data []struct {
			Kind      schemas.EventKind
			Rows, IDs int
		}
	}
	query := "SELECT kind AS Kind, toInt32(count()) AS Rows, toInt32(uniqExact(id)) AS IDs FROM " + address[at+1:] + ".events GROUP BY kind FORMAT JSON"
	r.Fetch(r.t, http.MethodPost, address[:at+1], query, &answer)
	got := map[schemas.EventKind]int{}
	for _, kind := range answer.Data {
		require.Equal(r.t, kind.Rows, kind.IDs, "each %s is there once", kind.Kind)
		if kind.Kind != schemas.EventPage && kind.Kind != schemas.EventCrawl { // World knows one site at most
			got[kind.Kind] = kind.Rows
		}
		rows += kind.Rows
	}
	want := map[schemas.EventKind]int{schemas.EventMessage: f.Messages, schemas.EventTurn: f.Completed, schemas.EventToolCall: f.Calls}
	require.Equal(r.t, want, got, "events by kind")
	return rows
}

// log is the end of what the processes said, for a failed test.
func (r *rig) log() string {
	return fmt.Sprintf("--- api\n%s\n--- worker\n%s", harness.Tail(r.api.Log()), harness.Tail(r.worker.Log()))
}
