package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"runa/outbound"
	"runa/schemas"
)

// Config is what the process is started with.
type Config struct {
	Listen              string
	HealthListen        string
	DataDir             string
	Database            string
	Elasticsearch       string
	ElasticsearchPrefix string
	ClickHouse          string
	Temporal            TemporalConfig
	APIKey              string
	OperatorKey         string
	Keyset              string
	Model               string
	OutboundAllow       []string
	RateLimit           float64
	MaxOpenTurns        int
	AllowedOrigins      []string
	Queues              []string
	TurnSlots           int
	CrawlSlots          int
	History             time.Duration
	Events              time.Duration
	LogLevel            slog.Level
	// Tracing sends traces to where OpenTelemetry\'s own variables say.
	Tracing    bool
	Demo       bool
	DemoListen string
	// Failpoint ends the process at a named point; for tests of crashes.
	Failpoint string
	// Unknown are variables that look like settings and are none.
	Unknown []string
}

// TemporalConfig is where the durable engine is and how to enter.
type TemporalConfig struct {
	// Address is host:port of a frontend; "" is the embedded engine.
	Address, Namespace string
	// Cert, Key and CA are files; TLS is on if one is named or APIKey is set.
	Cert, Key, CA, ServerName string
	APIKey                    string
	// Listen and Broadcast are for a process that is a part of the engine.
	Listen, Broadcast string
	// Services are those that the process runs; DatabasePrefix is before the
	// names of their databases.
	Services       []string
	DatabasePrefix string
}

// role is what a process is; a setting says in which roles it has a meaning.
type role uint

const (
	roleServe role = 1 << iota
	roleAPI
	roleWorker
	roleTemporal
	roleMigrate
	// roleRecords are the commands that open the records only.
	roleRecords

	rolesOfStorage = roleServe | roleAPI | roleWorker | roleMigrate
)

// setting is one setting: its flag, its variable and its key in the file are
// the same name, written as each of them is.
type setting struct {
	name     string // as a flag: "data-dir"; RUNA_DATA_DIR; dataDir
	roles    role
	fallback string
	help     string
	set      func(*Config, string) error
}

func (s setting) variable() string {
	return "RUNA_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

func (s setting) key() string {
	words := strings.Split(s.name, "-")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

var allSettings = slices.Concat(storageSettings, engineSettings, apiSettings, workSettings, processSettings)

var storageSettings = []setting{
	{"data-dir", roleServe | roleRecords | roleMigrate, "./data", "folder of everything that is kept in this process", func(c *Config, v string) error {
		c.DataDir = v
		return nonEmpty(v)
	}},
	{"keyset", rolesOfStorage | roleRecords, "", "base64 of a tink JSON keyset that encrypts secrets, as \"runa keyset\" prints; serve makes one in the data folder when empty", func(c *Config, v string) error {
		c.Keyset = v
		return nil
	}},
	{"database-url", rolesOfStorage | roleRecords | roleTemporal, "", "PostgreSQL that keeps the records, postgres://user:password@host/database; a file in the data folder when empty", func(c *Config, v string) error {
		return serviceURL(&c.Database, v, "postgres", "postgresql")
	}},
	{"elasticsearch-url", rolesOfStorage, "", "Elasticsearch 8 for retrieval, https://user:password@host:9200; a file in the data folder when empty", func(c *Config, v string) error {
		return serviceURL(&c.Elasticsearch, v, "http", "https")
	}},
	{"elasticsearch-prefix", rolesOfStorage, "runa", "what the names of indices begin with, so that several installations can share a cluster", func(c *Config, v string) error {
		c.ElasticsearchPrefix = v
		return nonEmpty(v)
	}},
	{"clickhouse-url", rolesOfStorage, "", "ClickHouse for analytics, clickhouse://user:password@host:9000/database or http(s)://…:8123/database; files in the data folder when empty", func(c *Config, v string) error {
		return serviceURL(&c.ClickHouse, v, "clickhouse", "http", "https")
	}},
	{"retention-events", roleServe | roleMigrate, "", "how long events of analytics are kept, 24h or more; for ever when empty", func(c *Config, v string) error {
		if v == "" {
			return nil
		}
		return duration(&c.Events, v, 24*time.Hour)
	}},
}

var engineSettings = []setting{
	{"temporal-address", rolesOfStorage, "", "host:port of a Temporal frontend; the embedded engine when empty", func(c *Config, v string) error {
		if v == "" {
			return nil
		}
		return address(&c.Temporal.Address, v)
	}},
	{"temporal-namespace", rolesOfStorage | roleTemporal, "runa", "Temporal namespace", func(c *Config, v string) error {
		c.Temporal.Namespace = v
		return nonEmpty(v)
	}},
	text("temporal-tls-cert", rolesOfStorage, "file of the client's certificate for Temporal, PEM", func(c *Config) *string { return &c.Temporal.Cert }),
	text("temporal-tls-key", rolesOfStorage, "file of the client's key for Temporal, PEM", func(c *Config) *string { return &c.Temporal.Key }),
	text("temporal-tls-ca", rolesOfStorage, "file of the certificates that Temporal's is checked against, PEM; the system's when empty", func(c *Config) *string { return &c.Temporal.CA }),
	text("temporal-tls-server-name", rolesOfStorage, "name in Temporal's certificate, if it is not the address's", func(c *Config) *string { return &c.Temporal.ServerName }),
	text("temporal-api-key", rolesOfStorage, "API key of Temporal; turns TLS on", func(c *Config) *string { return &c.Temporal.APIKey }),
	{"temporal-listen", roleTemporal, "127.0.0.1:7233", "address of the engine's frontend, host:port", func(c *Config, v string) error { return address(&c.Temporal.Listen, v) }},
	text("temporal-broadcast", roleTemporal, "host by which other processes of the engine reach this one; needed when it listens on all addresses", func(c *Config) *string { return &c.Temporal.Broadcast }),
	{"service", roleTemporal, "frontend,history,matching,worker", "services of the engine that this process runs, comma separated", func(c *Config, v string) error {
		c.Temporal.Services = list(v)
		return someOf(c.Temporal.Services, "frontend", "history", "matching", "worker")
	}},
	text("temporal-database-prefix", roleTemporal, "put before the names of the engine's two databases, so that several engines can share a server", func(c *Config) *string { return &c.Temporal.DatabasePrefix }),
	{"retention-history", roleServe | roleTemporal | roleMigrate, "72h", "how long histories of finished workflows are kept, 1h or more", func(c *Config, v string) error {
		return duration(&c.History, v, time.Hour)
	}},
}

var apiSettings = []setting{
	{"listen", roleServe | roleAPI, "127.0.0.1:8080", "address of the API, host:port", func(c *Config, v string) error { return address(&c.Listen, v) }},
	{"api-key", roleServe | roleAPI | roleMigrate, "", "key of the default product, 32 characters or more, in place of the one that the first start makes and prints", func(c *Config, v string) error {
		return givenKey(&c.APIKey, v)
	}},
	{"operator-key", roleServe | roleAPI | roleMigrate, "", "the operator's key, 32 characters or more, in place of the one that the first start makes and prints", func(c *Config, v string) error {
		return givenKey(&c.OperatorKey, v)
	}},
	{"rate-limit", roleServe | roleAPI, "100", "requests a second that a key may make, with bursts of twice that", func(c *Config, v string) error {
		return positive(&c.RateLimit, v)
	}},
	{"allowed-origins", roleServe | roleAPI, "", "origins whose pages may call the API from a browser, comma separated, such as https://app.example.com", func(c *Config, v string) error {
		c.AllowedOrigins = list(v)
		return origins(c.AllowedOrigins)
	}},
	{"max-open-turns", roleServe | roleAPI, "10000", "turns that may be open before products beyond their share are told to wait (429)", func(c *Config, v string) error {
		return count(&c.MaxOpenTurns, v)
	}},
}

var workSettings = []setting{
	{"model", roleServe | roleWorker, "extractive", `model that answers: "extractive" works offline, quotes the knowledge and calls matching tools`, func(c *Config, v string) error {
		c.Model = v
		return oneOf(v, "extractive")
	}},
	{"outbound-allow", roleServe | roleAPI | roleWorker, "", "private addresses that crawls and tools may reach, comma separated: CIDRs, hosts, host:port", func(c *Config, v string) error {
		c.OutboundAllow = list(v)
		_, err := outbound.NewPolicy(c.OutboundAllow)
		return err
	}},
	{"queues", roleWorker, "turns,crawls", "what this worker does: turns, crawls, or both", func(c *Config, v string) error {
		c.Queues = list(v)
		return someOf(c.Queues, "turns", "crawls")
	}},
	{"turn-slots", roleServe | roleWorker, "0", "model and tool calls that run at a time; 0 is 100 for each processor, 200 or more", func(c *Config, v string) error {
		return countOrZero(&c.TurnSlots, v)
	}},
	{"crawl-slots", roleServe | roleWorker, "0", "batches of pages that are crawled at a time; 0 is 2 for each processor", func(c *Config, v string) error {
		return countOrZero(&c.CrawlSlots, v)
	}},
}

var processSettings = []setting{
	{"health-listen", roleWorker | roleTemporal, "", "address of /livez, /readyz and /metrics, host:port; none when empty", func(c *Config, v string) error {
		if v == "" {
			return nil
		}
		return address(&c.HealthListen, v)
	}},
	{"log-level", rolesOfStorage | roleTemporal, "info", "what is logged: debug, info, warn or error", func(c *Config, v string) error {
		if err := oneOf(v, "debug", "info", "warn", "error"); err != nil {
			return err
		}
		return c.LogLevel.UnmarshalText([]byte(v))
	}},
	{"demo", roleServe | roleAPI, "false", "serve the help centre and the tools of a made-up product, and register them", func(c *Config, v string) (err error) {
		if c.Demo, err = strconv.ParseBool(v); err != nil {
			return errors.New("must be true or false")
		}
		return nil
	}},
	{"demo-listen", roleServe | roleAPI, "127.0.0.1:8090", "address of the demo's help centre and tools, host:port", func(c *Config, v string) error { return address(&c.DemoListen, v) }},
}

// text is a setting that is taken as it is.
func text(name string, roles role, help string, field func(*Config) *string) setting {
	return setting{name, roles, "", help, func(c *Config, v string) error {
		*field(c) = v
		return nil
	}}
}

func nonEmpty(v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func address(to *string, v string) error {
	*to = v
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not host:port, such as 127.0.0.1:8080", v)
	}
	return nil
}

func givenKey(to *string, v string) error {
	*to = v
	if v != "" && (len(v) < schemas.MinSetKey || strings.ContainsAny(v, " \t\r\n")) {
		return fmt.Errorf("must be %d characters or more, without spaces", schemas.MinSetKey)
	}
	return nil
}

func oneOf(v string, allowed ...string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%q is not one of: %s", v, strings.Join(allowed, ", "))
	}
	return nil
}

func list(v string) []string {
	var items []string
	for _, item := range strings.Split(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func positive(to *float64, v string) (err error) {
	if *to, err = strconv.ParseFloat(v, 64); err != nil || !(*to > 0) || *to > 1e6 {
		return fmt.Errorf("%q is not a number above 0, at most a million", v)
	}
	return nil
}

func duration(to *time.Duration, v string, least time.Duration) (err error) {
	if *to, err = time.ParseDuration(v); err != nil || *to < least {
		return fmt.Errorf("%q is not a duration of %s or more, such as 72h", v, least)
	}
	return nil
}

func count(to *int, v string) (err error) {
	if *to, err = strconv.Atoi(v); err != nil || *to < 1 || *to > 1e6 {
		return fmt.Errorf("%q is not a whole number from 1 to a million", v)
	}
	return nil
}

func countOrZero(to *int, v string) error {
	if v == "0" {
		return nil
	}
	return count(to, v)
}

func someOf(items []string, allowed ...string) error {
	if len(items) == 0 {
		return fmt.Errorf("must be one or more of: %s", strings.Join(allowed, ", "))
	}
	for _, item := range items {
		if err := oneOf(item, allowed...); err != nil {
			return err
		}
	}
	return nil
}

// serviceURL takes a URL with one of the schemes. What is wrong with it is
// said without it, since it may hold a password.
func serviceURL(to *string, v string, schemes ...string) error {
	*to = v
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
		return fmt.Errorf("must be a URL that begins with %s://", strings.Join(schemes, ":// or "))
	}
	return nil
}

// origins are scheme://host[:port] each, as a browser sends them.
func origins(items []string) error {
	for _, item := range items {
		u, err := url.Parse(item)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Scheme+"://"+u.Host != item {
			return fmt.Errorf("%q is not an origin, such as https://app.example.com", item)
		}
	}
	return nil
}
