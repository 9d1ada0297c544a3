package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"runa/api"
	"runa/embedded"
	"runa/telemetry"
)

func temporalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "temporal", Short: "Run the durable engine on PostgreSQL, whole or some services of it", Args: cobra.NoArgs,
		Long: `Run the real Temporal server in this process, on two databases of its own
(temporal, temporal_visibility) on the server of RUNA_DATABASE_URL, which it
makes and upgrades. Several processes form a cluster; --service says
which of its services a process runs. There is no authentication: keep others
out of its network.`,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			return runEngine(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	addSettings(cmd.Flags(), roleTemporal)
	return cmd
}

// runEngine runs a process of the engine until the context ends or it fails.
func runEngine(ctx context.Context, cfg Config, out, logTo io.Writer) (err error) {
	if cfg.Database == "" {
		return errors.New("RUNA_DATABASE_URL must be set: the engine keeps its databases on that server")
	}
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: cfg.LogLevel}))
	probes, err := listenProbes(cfg.HealthListen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probes.close()) }()
	engine, err := await(ctx, log, "the database of the engine", func(ctx context.Context) (*embedded.Server, error) {
		return embedded.StartCluster(ctx, embedded.ClusterConfig{
			DatabaseURL: cfg.Database, DatabasePrefix: cfg.Temporal.DatabasePrefix, Services: cfg.Temporal.Services,
			Listen: cfg.Temporal.Listen, Broadcast: cfg.Temporal.Broadcast,
			Namespace: cfg.Temporal.Namespace, Retention: cfg.History, Logger: log,
		})
	}, true)
	if err != nil {
		return err
	}
	defer engine.Stop()
	probes.serve(map[string]api.Check{"engine": {Ask: engine.Ping}}, log)
	fmt.Fprintf(out, "Runa is ready at %s (durable engine)\n", engine.Address())
	select {
	case <-ctx.Done():
		return nil
	case err := <-engine.Failed():
		return fmt.Errorf("durable engine: %w", err)
	}
}

// probes is the server of a process's probes; without an address it is none.
type probes struct{ listener net.Listener }

func listenProbes(address string) (probes, error) {
	if address == "" {
		return probes{}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return probes{}, fmt.Errorf("RUNA_HEALTH_LISTEN: %w", err)
	}
	return probes{listener}, nil
}

func (p probes) serve(checks map[string]api.Check, log *slog.Logger) {
	if p.listener != nil {
		go func() { _ = api.ProbeServer(checks, telemetry.NewRegistry(build()), log).Serve(p.listener) }() // it ends with close
	}
}

func (p probes) close() error {
	if p.listener == nil {
		return nil
	}
	return ignoreClosed(p.listener.Close())
}
