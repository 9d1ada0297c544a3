package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring every schema up to date, and make the first keys", Args: cobra.NoArgs,
		Long: `Bring the schemas of the records, the index and the analytics up to date, make
the engine's namespace, and the default product with its keys if there is none.
Run it before the processes of a new version start; run again, it changes nothing.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return migrate(cmd.Context(), cmd, cfg)
		},
	}
	addSettings(cmd.Flags(), roleMigrate)
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
	for _, step := range []func(context.Context) error{p.openStorage, p.firstKeys, p.openNamespace} {
		if err := step(ctx); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	fmt.Fprintln(cmd.OutOrStdout(), "everything is up to date")
	return p.Close()
}

// openNamespace makes the namespace of an engine that is not ours; the
// embedded one makes its own.
func (p *Program) openNamespace(ctx context.Context) error {
	if p.cfg.Temporal.Address == "" {
		return nil
	}
	return p.openEngine(ctx)
}

// ensureNamespace registers the namespace unless it is there. A cluster that
// is just starting refuses for a while.
func ensureNamespace(ctx context.Context, c client.Client, cfg Config, log *slog.Logger) error {
	_, err := await(ctx, log, "the namespace "+cfg.Temporal.Namespace, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, registerNamespace(ctx, c.WorkflowService(), cfg)
	}, true)
	return err
}

func registerNamespace(ctx context.Context, service workflowservice.WorkflowServiceClient, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
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
