package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"runa/embedded"
	"runa/llm"
	"runa/llm/extractive"
	"runa/telemetry/provider"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that serve needs, and say the fix for what is wrong",
		Args:  cobra.NoArgs,
		RunE: withConfig(func(cmd *cobra.Command, cfg Config) error {
			return doctor(cmd.Context(), cmd, cfg)
		}),
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
	{"records", checkRecords, "restore the database from a backup or free disk space; with RUNA_DATABASE_URL, see that the server is reachable, and run runa migrate"},
	{"search", checkSearch, "see that RUNA_ELASTICSEARCH_URL is reachable, and run runa migrate"},
	{"analytics", checkAnalytics, "see that RUNA_CLICKHOUSE_URL is reachable, and run runa migrate"},
	{"engine", checkEngine, "free some memory and disk space, and see that loopback connections are allowed; with RUNA_TEMPORAL_ADDRESS, that it is reachable"},
	{"model", checkModel, "set RUNA_MODEL to extractive"},
}

// quietLog is for checks: what is wrong is in their errors.
var quietLog = slog.New(slog.DiscardHandler)

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
	if _, err := openSealer(cfg, roleServe); err != nil {
		return "", err
	}
	if cfg.Keyset != "" {
		return "RUNA_KEYSET opens", nil
	}
	return filepath.Join(cfg.DataDir, "keyset.json") + " opens", nil
}

func checkRecords(ctx context.Context, cfg Config) (string, error) {
	st, _, err := openStore(ctx, cfg, roleRecords, quietLog)
	if err != nil {
		return "", err
	}
	return opens(cfg.Database, filepath.Join(cfg.DataDir, "runa.db")), errors.Join(st.Ping(ctx), st.Close())
}

// checkSearch leaves a file alone: it belongs to a server that may run.
func checkSearch(ctx context.Context, cfg Config) (string, error) {
	if cfg.Elasticsearch == "" {
		return "an index in the data folder", nil
	}
	x, err := openIndex(ctx, cfg, roleRecords, quietLog)
	if err != nil {
		return "", err
	}
	return opens(cfg.Elasticsearch, ""), errors.Join(x.Ping(ctx), x.Close())
}

// checkAnalytics leaves files alone, as checkSearch does.
func checkAnalytics(ctx context.Context, cfg Config) (string, error) {
	if cfg.ClickHouse == "" {
		return "files in the data folder", nil
	}
	figures, err := openFigures(ctx, cfg, roleRecords, quietLog)
	if err != nil {
		return "", err
	}
	return opens(cfg.ClickHouse, ""), errors.Join(figures.Ping(ctx), figures.Close())
}

// opens says what was opened, without a password.
func opens(address, path string) string {
	if u, err := url.Parse(address); err == nil && address != "" {
		return u.Redacted() + " opens"
	}
	return path + " opens"
}

func checkEngine(ctx context.Context, cfg Config) (string, error) {
	if cfg.Temporal.Address != "" {
		return checkRemoteEngine(ctx, cfg)
	}
	return checkOwnEngine(ctx, cfg)
}

func checkRemoteEngine(ctx context.Context, cfg Config) (string, error) {
	sealer, err := openSealer(cfg, roleServe)
	if err != nil {
		return "", err
	}
	told, err := provider.New(ctx, provider.Config{})
	if err != nil {
		return "", err
	}
	c, err := dialEngine(ctx, cfg.Temporal, sealer, told, quietLog)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return fmt.Sprintf("%s answers in namespace %s", cfg.Temporal.Address, cfg.Temporal.Namespace), useNamespace(ctx, c)
}

// checkOwnEngine starts an engine in a folder of its own: the files of a
// running one belong to it.
func checkOwnEngine(ctx context.Context, cfg Config) (string, error) {
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
