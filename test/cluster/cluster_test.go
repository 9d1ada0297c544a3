// Package cluster runs the separate layout as an operator would: several APIs,
// workers and engine processes on real services. It kills them, replaces them,
// floods them, and counts what became of the work. It sees the program as its
// callers do.
package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/test/harness"
	"runa/test/runatest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	runatest.Cleanup()
	os.Exit(code)
}

// cluster is an installation of several processes, each at an address that it
// keeps through its restarts.
type cluster struct {
	t *testing.T
	*runatest.Installation
	engine, apis, workers []*part
	// programs are the APIs as clients see them, alive or not.
	programs []*runatest.Runa
	turn     atomic.Int64
}

// options say what a cluster consists of beside two APIs and two workers.
type options struct {
	// ownEngine makes it a durable engine of three processes; else it has a
	// namespace of that of all tests.
	ownEngine bool
	// api and worker are their further arguments.
	api, worker []string
	workers     int
}

// newCluster starts an installation that may reach the addresses of tests, and
// waits until all of it is ready.
func newCluster(t *testing.T, o options) *cluster {
	t.Helper()
	runatest.NeedServices(t)
	c := &cluster{t: t}
	address := ""
	if o.ownEngine {
		engine := runatest.NewEngine(t)
		address = engine.Address
		for name, args := range map[string][]string{
			"frontend":  engine.Args("frontend", "matching", "worker"),
			"history-1": engine.Args("history"),
			"history-2": engine.Args("history"),
		} {
			c.engine = append(c.engine, start(t, name, engine.Env(), args))
		}
		c.awaitReady()
	}
	c.Installation = runatest.NewInstallationOn(t, address, "RUNA_OUTBOUND_ALLOW=127.0.0.1")
	for i := range 2 {
		listen := runatest.FreeAddress(t)
		args := append([]string{"api", "--listen", listen}, o.api...)
		c.apis = append(c.apis, start(t, fmt.Sprintf("api-%d", i+1), c.Env, args))
		c.programs = append(c.programs, runatest.At(t, "http://"+listen))
	}
	for i := range max(o.workers, 1) {
		args := append([]string{"worker"}, o.worker...)
		c.workers = append(c.workers, start(t, fmt.Sprintf("worker-%d", i+1), c.Env, args))
	}
	c.awaitReady()
	return c
}

// parts are all processes.
func (c *cluster) parts() []*part {
	return append(append(append([]*part{}, c.engine...), c.apis...), c.workers...)
}

func (c *cluster) awaitReady() {
	c.t.Helper()
	for _, p := range c.parts() {
		require.NoError(c.t, p.awaitReady(), p.name)
	}
}

// next is one API after the other, as a balancer without health checks gives
// them.
func (c *cluster) next(ctx context.Context) *runatest.Runa {
	if ctx.Err() != nil {
		return nil
	}
	return c.programs[int(c.turn.Add(1))%len(c.programs)]
}

// world is the cluster under clients, whose customer has a site and tools.
func (c *cluster) world(tools *harness.Toolbox, site *harness.Site) *harness.World {
	return &harness.World{T: c.t, Tools: tools, Site: site, Alive: c.next}
}

// selfEnded says which processes ended without being told to, and their last
// words.
func (c *cluster) selfEnded() (words []string) {
	for _, p := range c.parts() {
		words = append(words, p.selfEnded()...)
	}
	return words
}

// logs are the last lines of all processes, for a failed test.
func (c *cluster) logs() string {
	var b strings.Builder
	for _, p := range c.parts() {
		fmt.Fprintf(&b, "--- %s\n%s\n", p.name, harness.Tail(p.log()))
	}
	return b.String()
}
