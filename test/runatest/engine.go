package runatest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// engine is the durable engine that the separate layouts of this test process
// share; each installation has a namespace of its own in it.
var (
	engineMu sync.Mutex
	engine   *Process
)

func engineAddress(t testing.TB) string {
	t.Helper()
	engineMu.Lock()
	defer engineMu.Unlock()
	if engine == nil {
		engine = spawn(t, []string{"RUNA_DATABASE_URL=" + os.Getenv(DatabaseVariable)},
			"temporal", "--temporal-listen", "127.0.0.1:0", "--temporal-database-prefix", fmt.Sprintf("test%d_", os.Getpid()))
		require.NoError(t, engine.AwaitReady())
	}
	return engine.URL()
}

// stopEngine ends the shared engine and drops its databases.
func stopEngine() {
	engineMu.Lock()
	defer engineMu.Unlock()
	if engine == nil {
		return
	}
	engine.Kill()
	dropEngine(context.Background(), fmt.Sprintf("test%d_", os.Getpid()))
}

func dropEngine(ctx context.Context, prefix string) {
	for _, name := range databasesOf(prefix) {
		_ = onServer(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") // the server of tests is thrown away
	}
}

func databasesOf(prefix string) []string {
	return []string{prefix + "temporal", prefix + "temporal_visibility"}
}

// Engine is a durable engine of a test's own, whose processes the test starts
// one by one.
type Engine struct {
	prefix string
	// Address is the frontend's; the process that runs it listens there.
	Address string
}

// NewEngine chooses names and ports. The databases are dropped when the test
// ends.
func NewEngine(t testing.TB) *Engine {
	t.Helper()
	NeedServices(t)
	// The services listen at these distances; see `runa temporal --help`.
	e := &Engine{prefix: fmt.Sprintf("own%d_%d_", os.Getpid(), rand.IntN(1e6)), Address: FreeAddress(t, 0, 1, 2, 6, -300, -299, -298, -294)}
	t.Cleanup(func() { dropEngine(context.WithoutCancel(t.Context()), e.prefix) })
	return e
}

// Args are the arguments of a process that runs some of the services.
func (e *Engine) Args(services ...string) []string {
	listen := "127.0.0.1:0"
	if strings.Contains(strings.Join(services, ","), "frontend") {
		listen = e.Address
	}
	return []string{"temporal", "--service", strings.Join(services, ","), "--temporal-listen", listen, "--temporal-database-prefix", e.prefix}
}

// Databases are the names of its databases.
func (e *Engine) Databases() []string { return databasesOf(e.prefix) }

// Env are the variables of its processes.
func (e *Engine) Env() []string { return []string{"RUNA_DATABASE_URL=" + os.Getenv(DatabaseVariable)} }

// FreeAddress finds a loopback address for a process that keeps it through its
// restarts: below the ports that the kernel gives away by itself, and with
// nobody at the given distances from it.
func FreeAddress(t testing.TB, distances ...int) string {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if free(port, append(distances, 0)) {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
	}
	t.Fatal("no port is free")
	return ""
}

func free(port int, distances []int) bool {
	for _, distance := range distances {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+distance)))
		if err != nil {
			return false
		}
		_ = listener.Close() // it was opened to see that it can be
	}
	return true
}
