package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"

	"runa/analytics"
	"runa/analytics/clickhouse"
	analyticssqlite "runa/analytics/sqlite"
	"runa/embedded"
	"runa/seal"
	"runa/search"
	"runa/search/elastic"
	searchsqlite "runa/search/sqlite"
	"runa/store"
	"runa/telemetry/provider"
)

// serviceWait is how long a start waits for a service that is not there yet:
// on a cluster, all of them start together.
const serviceWait = 60 * time.Second

// migrates are the roles that bring schemas up to date; the others wait until
// it is done.
const migrates = roleServe | roleMigrate

// openStore opens the keyset and the records under it, which commands do beside
// a running server.
func openStore(ctx context.Context, cfg Config, as role, log *slog.Logger) (*store.Store, *seal.Sealer, error) {
	sealer, err := openSealer(cfg, as)
	if err != nil {
		return nil, nil, err
	}
	records := storeConfig(cfg, log)
	records.Sealer, records.Migrate = sealer, as&migrates != 0 || cfg.Database == ""
	st, err := await(ctx, log, "the database", func(ctx context.Context) (*store.Store, error) {
		return store.Open(ctx, records)
	}, cfg.Database != "")
	return st, sealer, err
}

func storeConfig(cfg Config, log *slog.Logger) store.Config {
	return store.Config{URL: cfg.Database, Path: filepath.Join(cfg.DataDir, "runa.db"), Log: log}
}

// openSealer reads the keyset, or makes it for a data folder that is new: in
// an old one, a new keyset could open nothing. Of a database that others may
// share, only serve makes it, in the folder that it keeps.
func openSealer(cfg Config, as role) (*seal.Sealer, error) {
	path := filepath.Join(cfg.DataDir, "keyset.json")
	switch {
	case cfg.Keyset != "" || exists(path):
	case exists(filepath.Join(cfg.DataDir, "runa.db")):
		return nil, fmt.Errorf("RUNA_KEYSET: %s is missing and runa.db was made with it: restore it from a backup", path)
	case cfg.Database != "" && as != roleServe:
		return nil, errors.New(`RUNA_KEYSET must be set beside RUNA_DATABASE_URL: all processes of a database share it; "runa keyset" prints a new one`)
	}
	return seal.Load(path, cfg.Keyset)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// index is an index of the knowledge that can be filled anew.
type index interface {
	search.Index
	search.Rebuilder
}

// openIndex opens the index of the knowledge.
func openIndex(ctx context.Context, cfg Config, as role, log *slog.Logger) (index, error) {
	if cfg.Elasticsearch == "" {
		return searchsqlite.Open(ctx, searchsqlite.Config{Path: filepath.Join(cfg.DataDir, "search.db"), Logger: log})
	}
	at := elastic.Config{URL: cfg.Elasticsearch, Prefix: cfg.ElasticsearchPrefix, Logger: log}
	return await(ctx, log, "Elasticsearch", func(ctx context.Context) (index, error) {
		if as&migrates != 0 {
			if err := elastic.Migrate(ctx, at); err != nil {
				return nil, err
			}
		}
		return elastic.Open(ctx, at)
	}, true)
}

// openFigures opens the store of analytics.
func openFigures(ctx context.Context, cfg Config, as role, log *slog.Logger) (analytics.Store, error) {
	if cfg.ClickHouse == "" {
		return analyticssqlite.Open(ctx, analyticssqlite.Config{Dir: filepath.Join(cfg.DataDir, "analytics"), Retention: cfg.Events, Logger: log})
	}
	at := clickhouse.Config{URL: cfg.ClickHouse, Retention: cfg.Events, Logger: log}
	return await(ctx, log, "ClickHouse", func(ctx context.Context) (analytics.Store, error) {
		if as&migrates != 0 {
			if err := clickhouse.Migrate(ctx, at); err != nil {
				return nil, err
			}
		}
		return clickhouse.Open(ctx, at)
	}, true)
}

// dialEngine connects to a Temporal frontend, whose payloads only we can read.
func dialEngine(ctx context.Context, cfg TemporalConfig, sealer *seal.Sealer, told *provider.Telemetry, log *slog.Logger) (client.Client, error) {
	options := client.Options{
		HostPort: cfg.Address, Namespace: cfg.Namespace,
		DataConverter: sealer.DataConverter(), FailureConverter: sealer.FailureConverter(),
		Logger:       temporallog.NewStructuredLogger(slog.New(quiet{log.Handler()})),
		Interceptors: told.Interceptors(), MetricsHandler: told.MetricsHandler(),
	}
	if cfg.APIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(cfg.APIKey)
	}
	var err error
	if options.ConnectionOptions.TLS, err = temporalTLS(cfg); err != nil {
		return nil, err
	}
	return await(ctx, log, "the durable engine", func(ctx context.Context) (client.Client, error) {
		return client.DialContext(ctx, options)
	}, true)
}

// temporalTLS is nil when nothing asks for TLS.
func temporalTLS(cfg TemporalConfig) (*tls.Config, error) {
	if cfg.Cert == "" && cfg.CA == "" && cfg.APIKey == "" && cfg.ServerName == "" {
		return nil, nil
	}
	conf := &tls.Config{ServerName: cfg.ServerName, MinVersion: tls.VersionTLS12}
	if cfg.Cert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("RUNA_TEMPORAL_TLS_CERT: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if cfg.CA != "" {
		text, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("RUNA_TEMPORAL_TLS_CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("RUNA_TEMPORAL_TLS_CA: %s holds no certificate", cfg.CA)
		}
	}
	return conf, nil
}

// await opens what other machines serve, again and again for a while. What is
// opened in this process either opens or never will.
func await[T any](ctx context.Context, log *slog.Logger, what string, open func(context.Context) (T, error), remote bool) (T, error) {
	deadline := time.Now().Add(serviceWait)
	for tries := 0; ; tries++ {
		opened, err := open(ctx)
		if err == nil || !remote || hopeless(err) || time.Now().After(deadline) || ctx.Err() != nil {
			return opened, err
		}
		if tries == 0 {
			log.Info("waiting for "+what, "error", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// hopeless reports errors that waiting does not mend: a keyset that is not the
// records', a URL that none can have, and a service that is there and does not let this process in.
func hopeless(err error) bool {
	for _, final := range []error{store.ErrKeyset, store.ErrURL, embedded.ErrURL, elastic.ErrRefused} {
		if errors.Is(err, final) {
			return true
		}
	}
	var postgres *pgconn.PgError
	if errors.As(err, &postgres) {
		return strings.HasPrefix(postgres.Code, "28") // invalid authorization, invalid password
	}
	var figures *clickhousego.Exception
	return errors.As(err, &figures) && slices.Contains(refusals, figures.Code)
}

// refusals are ClickHouse's codes for an unknown user, a wrong password, and
// either of them, not told which.
var refusals = []int32{192, 193, 516}

// requireShared refuses to start a role of its own on what only this process
// could see: two such processes would not work on the same things.
func requireShared(cfg Config) error {
	var missing []string
	for _, need := range []struct{ variable, value string }{
		{"RUNA_DATABASE_URL", cfg.Database},
		{"RUNA_ELASTICSEARCH_URL", cfg.Elasticsearch},
		{"RUNA_CLICKHOUSE_URL", cfg.ClickHouse},
		{"RUNA_TEMPORAL_ADDRESS", cfg.Temporal.Address},
		{"RUNA_KEYSET", cfg.Keyset},
	} {
		if need.value == "" {
			missing = append(missing, need.variable)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s must be set: processes of separate roles share these; \"runa serve\" needs none of them", strings.Join(missing, ", "))
	}
	return nil
}
