// Command runa is the durable, self-hosted backend of the AI agent inside a
// SaaS product. serve is everything in one process; the other commands look
// after what it keeps.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"runa/schemas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "runa:", schemas.MessageOf(err))
		os.Exit(1)
	}
}

// build names this build: the module's version, or the commit it was made of.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return s.Value
		}
	}
	return info.Main.Version
}

// run is the program: arguments in, text out, an error for a non-zero exit.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:           "runa",
		Short:         "The durable, self-hosted backend of the AI agent inside a SaaS product",
		Version:       build(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(serveCommand(), keysCommand(), productsCommand(), doctorCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run everything in one process: API, worker, durable engine, storage",
		Long: `Run everything in one process: API, worker, durable engine, storage.

Each setting can stand in a YAML file (--config, by default runa.yaml if it is
there), in the environment, or be given as a flag; the later wins. SIGTERM
drains: what was accepted is finished or goes on at the next start.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addSettings(cmd.Flags(), allSettings)
	return cmd
}

// serve opens the program, runs it until the context ends, and closes it.
func serve(ctx context.Context, cfg Config, stdout, stderr io.Writer) error {
	p, err := openProgram(ctx, cfg, stdout, stderr)
	if err != nil {
		return err
	}
	p.announce()
	return errors.Join(p.Run(ctx), p.Close())
}
