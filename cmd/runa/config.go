package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// failpointVariable is no setting: it is for tests of crashes only.
const failpointVariable = "RUNA_FAILPOINT"

// configFile is read when it is there and no other is named.
const configFile = "runa.yaml"

// addSettings gives a command the flags of the settings of its role.
func addSettings(flags *pflag.FlagSet, of role) {
	flags.String("config", "", "YAML file of settings (default "+configFile+" if it is there)")
	for _, s := range allSettings {
		if s.roles&of == 0 {
			continue
		}
		flags.String(s.name, s.fallback, s.help+" ("+s.variable()+")")
		if s.fallback == "false" {
			flags.Lookup(s.name).NoOptDefVal = "true"
		}
	}
}

// withConfig runs a command that takes no arguments with its settings.
func withConfig(do func(*cobra.Command, Config) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		cfg, err := loadConfig(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		return do(cmd, cfg)
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
	c := Config{Failpoint: env[failpointVariable], Tracing: tracing(env), Unknown: unknownVariables(env)}
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

// tracing is on when one of OpenTelemetry's variables names a collector, which
// the exporter reads by itself, and none turns it off.
func tracing(env map[string]string) bool {
	named := env["OTEL_EXPORTER_OTLP_ENDPOINT"] != "" || env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] != ""
	return named && env["OTEL_SDK_DISABLED"] != "true" && env["OTEL_TRACES_EXPORTER"] != "none"
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
