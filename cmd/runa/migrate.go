package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"runa/store"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring every schema up to date, and make the first keys", Args: cobra.NoArgs,
		Long: `Bring the schemas of the records, the index and the analytics up to date, make
the engine's namespace, and the default product with its keys if there is none.
Run it before the processes of a new version start; run again, it changes nothing.`,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			return migrate(cmd.Context(), cmd, cfg)
		}),
	}
	addSettings(cmd.Flags(), roleMigrate)
	status := &cobra.Command{
		Use: "status", Short: "List the migrations of the records and when each was applied", Args: cobra.NoArgs,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			return migrationStatus(cmd.Context(), cmd.OutOrStdout(), cfg)
		}),
	}
	addSettings(status.Flags(), roleRecords)
	cmd.AddCommand(status)
	return cmd
}

// migrate opens each part in turn, which brings it up to date.
func migrate(ctx context.Context, cmd *cobra.Command, cfg Config) error {
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: cfg.LogLevel}))
	p := &Program{cfg: cfg, role: roleMigrate, log: log, out: cmd.OutOrStdout()}
	if cfg.Database == "" || cfg.Elasticsearch == "" || cfg.ClickHouse == "" {
		if err := p.lockData(ctx); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	for _, step := range []func(context.Context) error{p.openTelemetry, p.openStorage, p.firstKeys, p.migrateEngine} {
		if err := step(ctx); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	fmt.Fprintln(cmd.OutOrStdout(), "everything is up to date")
	return p.Close()
}

// migrateEngine makes the namespace of an engine that is not ours; the embedded
// one makes its own.
func (p *Program) migrateEngine(ctx context.Context) error {
	if p.cfg.Temporal.Address == "" {
		return nil
	}
	return p.openEngine(ctx)
}

// openNamespace waits until the namespace can be used, and registers it if it
// may. A frontend learns of a new one after some seconds.
func openNamespace(ctx context.Context, c client.Client, cfg Config, register bool, log *slog.Logger) error {
	_, err := await(ctx, log, "the namespace "+cfg.Temporal.Namespace, func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if register {
			if err := registerNamespace(ctx, c.WorkflowService(), cfg); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, useNamespace(ctx, c)
	}, true)
	return err
}

// useNamespace asks for a workflow that there is not, as any caller would.
func useNamespace(ctx context.Context, c client.Client) error {
	_, err := c.DescribeWorkflowExecution(ctx, "no-such-workflow", "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

// registerNamespace registers the namespace unless it is there.
func registerNamespace(ctx context.Context, service workflowservice.WorkflowServiceClient, cfg Config) error {
	name := cfg.Temporal.Namespace
	_, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
	var missing *serviceerror.NamespaceNotFound
	if !errors.As(err, &missing) {
		return err
	}
	_, err = service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(cfg.History),
	})
	var other *serviceerror.NamespaceAlreadyExists
	if errors.As(err, &other) {
		return nil
	}
	return err
}

// migrationStatus lists what was applied and what would be.
func migrationStatus(ctx context.Context, out io.Writer, cfg Config) error {
	list, err := store.Status(ctx, storeConfig(cfg, nil))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tNAME\tAPPLIED")
	for _, m := range list {
		applied := "-"
		if !m.AppliedAt.IsZero() {
			applied = m.AppliedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", m.Version, m.Name, applied)
	}
	return w.Flush()
}
