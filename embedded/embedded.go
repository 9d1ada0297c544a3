// Package embedded runs the Temporal server inside this process. Start runs all
// of it on two SQLite files and the loopback interface, so that `runa serve`
// needs nothing beside itself. StartCluster runs all of it or single services on
// PostgreSQL, as one of the processes of a cluster.
//
// It is not a way to reach a Temporal cluster (a client with an address is
// enough for that), it starts no workers of Runa, and Start does not guard its
// folder against a second process: the caller holds a lock on it.
//
// # Files
//
// temporal.db holds histories, timers and task queues, and is the truth:
// journal WAL, synchronous FULL, upgraded at start by the schema's own
// numbered updates. visibility.db holds the list of workflows for searching:
// synchronous NORMAL, checked at start and made anew if it is damaged or its
// schema changed. Nothing that must be right may depend on it.
//
// # Settings
//
// Temporal's defaults are made for clusters of many hosts; here they make a
// step of a workflow wait up to 50 ms for the next poll. The function tuned
// lists every setting that differs, each with its reason. The shape of the
// server differs too: four history shards (fixed when the folder is made; the
// number changes no latency, but leaves room for parallel work), and visibility
// in a file of its own, because Temporal's SQLite plugin holds one connection
// per file and all that shares a file waits in one line.
//
// # Clusters
//
// The processes of a cluster find each other through a table of the database and
// then by Temporal's membership protocol. MigrateCluster and StartCluster make
// and upgrade the databases under a lock of PostgreSQL. What a cluster's
// settings leave as Temporal has it, and why, is said at clusterTuned; they
// stand in deploy/temporal/dynamicconfig.yaml for a cluster that is not run by
// this package.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/server/temporal"
)

// stopTimeout bounds Stop. The server's own drains take about 4 s.
const stopTimeout = 9 * time.Second

// Profile chooses the settings of the server.
type Profile int

const (
	// Tuned is what Runa runs with.
	Tuned Profile = iota
	// StartDev is what `temporal server start-dev` runs with: the default
	// dynamic configuration, one shard, one file. It is there for the benchmark
	// to compare with, and for nothing else.
	StartDev
)

// Config says where and how the server runs.
type Config struct {
	// Dir is the existing folder of the database files. Required.
	Dir string
	// Namespace is made if it does not exist. Default: runa.
	Namespace string
	// Retention is how long histories of closed workflows are kept, at least
	// an hour; a change is applied at the next start. Default: 72 h.
	Retention time.Duration
	// Logger gets what the server logs at Warn and above. Default: discarded.
	Logger *slog.Logger
	// Profile chooses the settings. Default: Tuned.
	Profile Profile
	// HistoryEvents is the length of a history from which on its workflow is
	// told to go on in a new one. Default: Temporal's 4,096; what records
	// histories takes fewer.
	HistoryEvents int
}

func (c Config) withDefaults() Config {
	if c.Namespace == "" {
		c.Namespace = "runa"
	}
	if c.Retention == 0 {
		c.Retention = 72 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.Retention < time.Hour {
		return fmt.Errorf("embedded: Retention is %s, the least is 1h", c.Retention)
	}
	if c.Profile != Tuned && c.Profile != StartDev {
		return fmt.Errorf("embedded: Profile %d is unknown", c.Profile)
	}
	info, err := os.Stat(c.Dir)
	if err != nil {
		return fmt.Errorf("embedded: Dir: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("embedded: Dir %s is not a folder", c.Dir)
	}
	return nil
}

// Server is a running Temporal server.
type Server struct {
	address string
	server  temporal.Server
	client  client.Client
	ping    func(context.Context) error
	log     *serverLogger
	logger  *slog.Logger
	stop    sync.Once
}

// Start prepares the files, starts the server and returns once its namespace
// can be used; ctx bounds the start only. The server runs until Stop.
func Start(ctx context.Context, config Config) (*Server, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	stores, err := openStores(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := createNamespace(stores.main, config); err != nil {
		return nil, err
	}
	server, err := launch(config, stores)
	if err != nil {
		return nil, err
	}
	if err := server.connect(ctx, config); err != nil {
		server.Stop()
		return nil, err
	}
	return server, nil
}

// Address is the host and port of the frontend: on loopback, or where others
// reach it in a cluster. It is empty if no frontend runs here.
func (s *Server) Address() string { return s.address }

// Failed delivers the error that the server cannot go on after, if there ever
// is one. What was accepted is in the database; a restart of the process goes on.
func (s *Server) Failed() <-chan error { return s.log.failed }

// Ping asks the frontend whether it is healthy, or, in a process without one,
// each service that runs here.
func (s *Server) Ping(ctx context.Context) error {
	if err := s.ping(ctx); err != nil {
		return fmt.Errorf("Temporal server: %w", err) //nolint:staticcheck // a name begins with a capital
	}
	return nil
}

func (s *Server) pingFrontend(ctx context.Context) error {
	_, err := s.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// Stop ends the server and returns when it has ended, or after 9 s, logging
// that it did not. Workers must be stopped before. Running workflows go on at
// the next start.
func (s *Server) Stop() {
	s.stop.Do(s.end)
}

func (s *Server) end() {
	s.log.quiet()
	if s.client != nil {
		s.client.Close()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.server.Stop() }()
	select {
	case err := <-ended:
		if err != nil {
			s.logger.Warn("Temporal server stopped with an error", "error", err)
		}
	case <-time.After(stopTimeout):
		s.logger.Warn("Temporal server did not stop in time; its data is whole", "timeout", stopTimeout)
	}
}

// launch starts the server on free ports. Another process may take a port
// between its choice and its use; then other ports are tried.
func launch(config Config, stores stores) (*Server, error) {
	const attempts = 5
	var errs []error
	for range attempts {
		server, err := launchOnce(config, stores)
		if err == nil {
			return server, nil
		}
		errs = append(errs, err)
		if !errors.Is(err, errFatal) {
			break
		}
	}
	return nil, fmt.Errorf("start embedded Temporal server: %w", errors.Join(errs...))
}

func launchOnce(config Config, stores stores) (*Server, error) {
	addresses, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	return launchAt(addresses, config, stores)
}

func launchAt(addresses addresses, config Config, stores stores) (*Server, error) {
	log := newServerLogger(config.Logger)
	return launchWith(log, config, addresses.frontend(), options(config, stores, addresses, log))
}

func launchWith(log *serverLogger, config Config, frontend string, options []temporal.ServerOption) (*Server, error) {
	var server temporal.Server
	err := log.run(func() (err error) {
		server, err = temporal.NewServer(options...)
		if err != nil {
			return err
		}
		return server.Start()
	})
	if err != nil {
		return nil, err
	}
	return &Server{address: frontend, server: server, log: log, logger: config.Logger}, nil
}

// pathOf names a file of the server's folder.
func (c Config) pathOf(name string) string {
	return filepath.Join(c.Dir, name)
}
