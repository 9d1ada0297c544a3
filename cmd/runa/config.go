package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"runa/outbound"
	"runa/schemas"
)

// Config is what the process is started with.
type Config struct {
	Listen        string
	DataDir       string
	APIKey        string
	OperatorKey   string
	Keyset        string
	Model         string
	OutboundAllow []string
	RateLimit     float64
	History       time.Duration
	LogLevel      slog.Level
	Demo          bool
	DemoListen    string
	// Failpoint ends the process at a named point; for tests of crashes.
	Failpoint string
	// Unknown are variables that look like settings and are none.
	Unknown []string
}

// setting is one setting: its flag, its variable and its key in the file are
// the same name, written as each of them is.
type setting struct {
	name     string // as a flag: "data-dir"; RUNA_DATA_DIR; dataDir
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

var (
	dataSettings = []setting{
		{"data-dir", "./data", "folder of everything that is kept", func(c *Config, v string) error {
			c.DataDir = v
			return nonEmpty(v)
		}},
		{"keyset", "", "base64 of a tink JSON keyset that encrypts secrets; made in the data folder when empty", func(c *Config, v string) error {
			c.Keyset = v
			return nil
		}},
	}
	allSettings = append(slices.Clone(dataSettings), []setting{
		{"listen", "127.0.0.1:8080", "address of the API, host:port", func(c *Config, v string) error { return address(&c.Listen, v) }},
		{"api-key", "", "key of the default product, 32 characters or more, in place of the one that the first start makes and prints", func(c *Config, v string) error {
			return givenKey(&c.APIKey, v)
		}},
		{"operator-key", "", "the operator's key, 32 characters or more, in place of the one that the first start makes and prints", func(c *Config, v string) error {
			return givenKey(&c.OperatorKey, v)
		}},
		{"model", "extractive", `model that answers: "extractive" works offline, quotes the knowledge and calls matching tools`, func(c *Config, v string) error {
			c.Model = v
			return oneOf(v, "extractive")
		}},
		{"outbound-allow", "", "private addresses that crawls and tools may reach, comma separated: CIDRs, hosts, host:port", func(c *Config, v string) error {
			c.OutboundAllow = list(v)
			_, err := outbound.NewPolicy(c.OutboundAllow)
			return err
		}},
		{"rate-limit", "100", "requests a second that a key may make, with bursts of twice that", func(c *Config, v string) error {
			return positive(&c.RateLimit, v)
		}},
		{"retention-history", "72h", "how long histories of finished workflows are kept, 1h or more", func(c *Config, v string) error {
			return duration(&c.History, v, time.Hour)
		}},
		{"log-level", "info", "what is logged: debug, info, warn or error", func(c *Config, v string) error {
			if err := oneOf(v, "debug", "info", "warn", "error"); err != nil {
				return err
			}
			return c.LogLevel.UnmarshalText([]byte(v))
		}},
		{"demo", "false", "serve the help centre and the tools of a made-up product, and register them", func(c *Config, v string) (err error) {
			if c.Demo, err = strconv.ParseBool(v); err != nil {
				return errors.New("must be true or false")
			}
			return nil
		}},
		{"demo-listen", "127.0.0.1:8090", "address of the demo's help centre and tools, host:port", func(c *Config, v string) error { return address(&c.DemoListen, v) }},
	}...)
)

// failpointVariable is no setting: it is for tests of crashes only.
const failpointVariable = "RUNA_FAILPOINT"

// configFile is read when it is there and no other is named.
const configFile = "runa.yaml"

func addSettings(flags *pflag.FlagSet, settings []setting) {
	flags.String("config", "", "YAML file of settings (default "+configFile+" if it is there)")
	for _, s := range settings {
		flags.String(s.name, s.fallback, s.help+" ("+s.variable()+")")
		if s.fallback == "false" {
			flags.Lookup(s.name).NoOptDefVal = "true"
		}
	}
}

// loadConfig reads the settings that the flags know, each from its default,
// the file, the environment and the flag; the later wins.
func loadConfig(flags *pflag.FlagSet, environ []string) (Config, error) {
	file, err := readConfigFile(flags)
	if err != nil {
		return Config{}, err
	}
	env := variables(environ)
	c := Config{Failpoint: env[failpointVariable], Unknown: unknownVariables(env)}
	for _, s := range allSettings {
		flag := flags.Lookup(s.name)
		if flag == nil {
			continue
		}
		value, from := s.value(flag, file, env)
		if err := s.set(&c, value); err != nil {
			return Config{}, fmt.Errorf("%s: %w", from, err)
		}
	}
	return c, nil
}

// value is the setting's value and where it comes from, as an error names it.
func (s setting) value(flag *pflag.Flag, file, env map[string]string) (value, from string) {
	value, from = s.fallback, s.variable()
	if v, ok := file[s.key()]; ok {
		value, from = v, "setting "+s.key()
	}
	if v, ok := env[s.variable()]; ok && v != "" {
		value, from = v, s.variable()
	}
	if flag.Changed {
		value, from = flag.Value.String(), "--"+s.name
	}
	return value, from
}

func readConfigFile(flags *pflag.FlagSet) (map[string]string, error) {
	path, err := flags.GetString("config")
	if err != nil {
		return nil, err
	}
	named := path != ""
	if !named {
		path = configFile
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	return parseConfigFile(path, text)
}

func parseConfigFile(path string, text []byte) (map[string]string, error) {
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	known := map[string]bool{}
	for _, s := range allSettings {
		known[s.key()] = true
	}
	values := map[string]string{}
	for key, value := range raw {
		if !known[key] {
			return nil, fmt.Errorf("%s: %q is not a setting; `runa serve --help` lists them", path, key)
		}
		if items, ok := value.([]any); ok {
			value = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(items)), ","), "[]")
		}
		values[key] = fmt.Sprint(value)
	}
	return values, nil
}

func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

// unknownVariables finds variables that were likely meant as settings. They
// are no error: a cluster sets variables of its own, such as RUNA_PORT.
func unknownVariables(env map[string]string) []string {
	known := map[string]bool{failpointVariable: true}
	for _, s := range allSettings {
		known[s.variable()] = true
	}
	var unknown []string
	for name := range env {
		if strings.HasPrefix(name, "RUNA_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
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
