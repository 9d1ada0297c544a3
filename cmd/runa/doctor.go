package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"runa/embedded"
	"runa/llm"
	"runa/llm/extractive"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that serve needs, and say the fix for what is wrong",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return doctor(cmd.Context(), cmd, cfg)
		},
	}
	addSettings(cmd.Flags(), roleServe)
	return cmd
}

// diagnosis is one thing that serve needs: what is well, or what to do.
type diagnosis struct {
	name  string
	check func(context.Context, Config) (well string, err error)
	fix   string
}

var diagnoses = []diagnosis{
	{"data folder", checkDataDir, "make the folder writable for this user, or set RUNA_DATA_DIR to one that is"},
	{"port", checkPort, "stop the program that listens there, or set RUNA_LISTEN to a free address"},
	{"keyset", checkKeyset, "restore keyset.json from a backup with mode 0600, or set RUNA_KEYSET; without it, sealed secrets are lost"},
	{"database", checkDatabase, "restore runa.db from a backup, or free disk space"},
	{"engine", checkEngine, "free some memory and disk space, and see that loopback connections are allowed"},
	{"model", checkModel, "set RUNA_MODEL to extractive"},
}

// doctorTimeout bounds each check.
const doctorTimeout = 30 * time.Second

func doctor(ctx context.Context, cmd *cobra.Command, cfg Config) error {
	sick := 0
	for _, d := range diagnoses {
		bounded, cancel := context.WithTimeout(ctx, doctorTimeout)
		well, err := d.check(bounded, cfg)
		cancel()
		if err != nil {
			sick++
			fmt.Fprintf(cmd.OutOrStdout(), "FAIL  %-12s %v\n      fix: %s\n", d.name, err, d.fix)
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "ok    %-12s %s\n", d.name, well)
	}
	if sick > 0 {
		return fmt.Errorf("%d of %d checks failed", sick, len(diagnoses))
	}
	return nil
}

func checkDataDir(_ context.Context, cfg Config) (string, error) {
	if err := makeDataDir(cfg.DataDir); err != nil {
		return "", err
	}
	probe, err := os.CreateTemp(cfg.DataDir, "doctor-*")
	if err != nil {
		return "", err
	}
	_, err = probe.WriteString("probe")
	if err = errors.Join(err, probe.Sync(), probe.Close(), os.Remove(probe.Name())); err != nil {
		return "", err
	}
	return cfg.DataDir + " is writable", nil
}

func checkPort(ctx context.Context, cfg Config) (string, error) {
	listener, err := net.Listen("tcp", cfg.Listen)
	if err == nil {
		return cfg.Listen + " is free", listener.Close()
	}
	if answersLivez(ctx, cfg.Listen) {
		return cfg.Listen + " is held by a running Runa", nil
	}
	return "", err
}

// livezTimeout is how long a running Runa may take to say that it is one.
const livezTimeout = 2 * time.Second

func answersLivez(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, livezTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/livez", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }() // only the status counts
	return resp.StatusCode == http.StatusOK && resp.Header.Get("X-Request-Id") != ""
}

func checkKeyset(_ context.Context, cfg Config) (string, error) {
	if _, err := openSealer(cfg); err != nil {
		return "", err
	}
	if cfg.Keyset != "" {
		return "RUNA_KEYSET opens", nil
	}
	return filepath.Join(cfg.DataDir, "keyset.json") + " opens", nil
}

func checkDatabase(ctx context.Context, cfg Config) (string, error) {
	st, _, err := openStore(ctx, cfg, slog.New(slog.DiscardHandler), false)
	if err != nil {
		return "", err
	}
	return filepath.Join(cfg.DataDir, "runa.db") + " opens", errors.Join(st.Ping(ctx), st.Close())
}

// checkEngine starts an engine in a folder of its own: the files of a running
// one belong to it.
func checkEngine(ctx context.Context, cfg Config) (string, error) {
	dir, err := os.MkdirTemp("", "runa-doctor-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it holds nothing
	began := time.Now()
	engine, err := embedded.Start(ctx, embedded.Config{Dir: dir, Namespace: cfg.Temporal.Namespace})
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	engine.Stop()
	return fmt.Sprintf("the embedded engine starts in %d ms", took.Milliseconds()), nil
}

func checkModel(ctx context.Context, cfg Config) (string, error) {
	req := &llm.Request{Messages: []llm.Message{{Role: llm.RoleUser, Text: "Are you there?"}}}
	if _, err := extractive.New().Generate(ctx, req, nil); err != nil {
		return "", err
	}
	return cfg.Model + " answers", nil
}
