package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// ClusterConfig says how this process takes part in a cluster. All processes of
// a cluster are given the same databases, namespace and shards.
type ClusterConfig struct {
	// DatabaseURL is a URL of PostgreSQL with all that pgx knows. The databases
	// temporal and temporal_visibility on its server are made and upgraded; the
	// database that it names is used only to do so. Required.
	DatabaseURL string
	// DatabasePrefix is put before the names of the two databases, so that
	// several clusters can share a server; small letters, digits and
	// underscores. Default: none.
	DatabasePrefix string
	// MaxConns bounds the connections of each service to temporal; a quarter of
	// it goes to temporal_visibility. Default: 12, so at most 60 for all four
	// services in one process or in four; 64 workflows at a time took 35.
	// Connections are closed after a minute without use.
	MaxConns int
	// Services are those that run here: frontend, history, matching, worker.
	// Default: all.
	Services []string
	// Listen is the host and port of the frontend. The other services are at
	// the port plus 1 (history), 2 (matching) and 6 (worker), and each listens
	// for the other processes at its own port less 300. A process without the
	// frontend listens as if it had one; two that run the same service on one
	// host need different ports. Port 0 takes free ports. Default:
	// 127.0.0.1:7233.
	Listen string
	// Broadcast is the host by which the other processes reach this one.
	// Default: the host of Listen, if that is one address.
	Broadcast string
	// TLS protects all calls to and between the services. Default: none; then
	// the network must keep others out.
	TLS TLS
	// Namespace is made if it does not exist. Default: runa.
	Namespace string
	// Retention is how long histories of closed workflows are kept, at least an
	// hour; a change is applied at the next start. Default: 72 h.
	Retention time.Duration
	// NumHistoryShards bounds how many history processes can share the work. It
	// is fixed when the database is made; later values are ignored. Measured
	// against 4: 64 cost 15 MB and half a second of the start, 512 cost 80 MB and
	// five seconds; latency is the same. Default: 64.
	NumHistoryShards int
	// Logger gets what the server logs at Warn and above. Default: discarded.
	Logger *slog.Logger
}

func (c ClusterConfig) withDefaults() ClusterConfig {
	base := Config{Namespace: c.Namespace, Retention: c.Retention, Logger: c.Logger}.withDefaults()
	c.Namespace, c.Retention, c.Logger = base.Namespace, base.Retention, base.Logger
	if len(c.Services) == 0 {
		c.Services = temporal.DefaultServices
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:7233"
	}
	if c.NumHistoryShards == 0 {
		c.NumHistoryShards = 64
	}
	if c.MaxConns == 0 {
		c.MaxConns = 12
	}
	return c
}

func (c ClusterConfig) validate() error {
	if err := c.validateDatabase(); err != nil {
		return err
	}
	for _, service := range c.Services {
		if !slices.Contains(services, primitives.ServiceName(service)) {
			return fmt.Errorf("embedded: service %q is unknown: frontend, history, matching, worker", service)
		}
	}
	switch {
	case c.Retention < time.Hour:
		return fmt.Errorf("embedded: Retention is %s, the least is 1h", c.Retention)
	case c.NumHistoryShards < 1 || c.NumHistoryShards > 16384:
		return fmt.Errorf("embedded: NumHistoryShards is %d, it must be between 1 and 16384", c.NumHistoryShards)
	case c.MaxConns < 2:
		return fmt.Errorf("embedded: MaxConns is %d, the least is 2", c.MaxConns)
	}
	return c.TLS.validate()
}

var prefixPattern = regexp.MustCompile(`^[a-z0-9_]{0,40}$`)

func (c ClusterConfig) validateDatabase() error {
	if c.DatabaseURL == "" {
		return errors.New("embedded: DatabaseURL is empty")
	}
	if !prefixPattern.MatchString(c.DatabasePrefix) {
		return fmt.Errorf("embedded: DatabasePrefix %q: at most 40 small letters, digits and underscores", c.DatabasePrefix)
	}
	return nil
}

func (c ClusterConfig) runs(service primitives.ServiceName) bool {
	return slices.Contains(c.Services, string(service))
}

// StartCluster starts the services of this process on PostgreSQL and returns
// once they are healthy and, where the frontend runs, the namespace is there.
// It makes and upgrades the databases before. A process with only the worker
// waits for a frontend. ctx bounds the start: without a database it fails after
// 10 s at most, but it waits for other processes until ctx ends. The services
// run until Stop.
func StartCluster(ctx context.Context, c ClusterConfig) (*Server, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	db, err := parseDatabase(c)
	if err != nil {
		return nil, err
	}
	server, at, err := launchCluster(ctx, c, db)
	if err != nil {
		return nil, fmt.Errorf("start Temporal server: %w", err)
	}
	if err := server.join(ctx, c, at); err != nil {
		server.Stop()
		return nil, fmt.Errorf("start Temporal server: %w", err)
	}
	return server, nil
}

// launchCluster tries other ports as launch does, if it may choose them.
func launchCluster(ctx context.Context, c ClusterConfig, db database) (*Server, listening, error) {
	const attempts = 5
	_, port, err := splitListen(c.Listen)
	if err != nil {
		return nil, listening{}, err
	}
	var errs []error
	for range attempts {
		at, err := listen(ctx, c)
		if err != nil {
			return nil, listening{}, err
		}
		server, err := launchClusterAt(ctx, c, db, at)
		if err == nil {
			return server, at, nil
		}
		errs = append(errs, err)
		if port != 0 || !errors.Is(err, errFatal) {
			break
		}
	}
	return nil, listening{}, errors.Join(errs...)
}

// launchClusterAt makes the server under the lock of the databases: on new ones
// it writes what the cluster is, and of several processes that do so at once
// all but one fail. It is started without the lock, because a worker waits for
// a frontend.
func launchClusterAt(ctx context.Context, c ClusterConfig, db database, at listening) (*Server, error) {
	log := newServerLogger(c.Logger)
	var server temporal.Server
	err := db.locked(ctx, func(connection *pgx.Conn) error {
		if err := db.migrate(ctx, connection); err != nil {
			return err
		}
		if err := db.forgetDead(ctx); err != nil {
			return err
		}
		return log.run(func() (err error) {
			server, err = temporal.NewServer(clusterOptions(c, db, at, log)...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if c.runs(primitives.WorkerService) && !c.runs(primitives.FrontendService) {
		if err := db.awaitFrontend(ctx); err != nil {
			return nil, err
		}
	}
	started := &Server{server: server, log: log, logger: c.Logger}
	if c.runs(primitives.FrontendService) {
		started.address = at.address(primitives.FrontendService)
	}
	if err := log.run(server.Start); err != nil {
		started.Stop()
		return nil, err
	}
	return started, nil
}
