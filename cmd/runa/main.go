// Command runa is the durable, self-hosted backend of the AI agent inside a
// SaaS product. serve is everything in one process; api, worker and temporal
// are its parts; the other commands look after what they keep.
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
	root.AddCommand(serveCommand(), apiCommand(), workerCommand(), temporalCommand(), migrateCommand(),
		keysCommand(), keysetCommand(), productsCommand(), reindexCommand(), doctorCommand(), healthCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// roleCommand runs a process in a role until it is told to stop.
func roleCommand(as role, use, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Long: short + ".\n\n" + long + `

Each setting can stand in a YAML file (--config, by default runa.yaml if it is
there), in the environment, or be given as a flag; the later wins. SIGTERM
drains: what was accepted is finished or goes on elsewhere or at the next start.`,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			return runRole(cmd.Context(), cfg, as, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	addSettings(cmd.Flags(), as)
	return cmd
}

func serveCommand() *cobra.Command {
	return roleCommand(roleServe, "serve", "Run everything in one process: API, worker, durable engine, storage",
		"Each service that a URL names is used in place of the embedded one.")
}

func apiCommand() *cobra.Command {
	return roleCommand(roleAPI, "api", "Run the API only, as many processes as wanted",
		"It needs the addresses of what it shares with the workers, waits for them up to\na minute, and for \"runa migrate\".")
}

func workerCommand() *cobra.Command {
	return roleCommand(roleWorker, "worker", "Run a worker of turns, crawls or both, as many processes as wanted",
		"It needs the addresses of what it shares with the API, waits for them up to a\nminute, and for \"runa migrate\".")
}

// runRole opens the program, runs it until the context ends, and closes it.
func runRole(ctx context.Context, cfg Config, as role, stdout, stderr io.Writer) error {
	p, err := openProgram(ctx, cfg, as, stdout, stderr)
	if err != nil {
		return err
	}
	p.announce()
	return errors.Join(p.Run(ctx), p.Close())
}
