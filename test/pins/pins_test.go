// Package pins holds the versions of libraries that are known to break the
// build or the program, and the test that fails when go.mod reaches one. It
// is not a list of everything the project uses: a module is here because an
// upgrade of it looked harmless and was not.
package pins

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	movedKeyValue = "it needs OpenTelemetry 1.47, which moved log.KeyValue: go.temporal.io/server v1.32.1 no longer compiles"
	sameGoMod     = "the Temporal server, its API and its SDK are taken together: v1.32.1 is the newest server that Go 1.26.8 builds"
)

// pin is a rule for the version of one module. A module that go.mod does not
// name passes every rule.
type pin struct {
	module string
	// below is the first version that breaks; empty if exact is set.
	below string
	// exact is the only version that works; empty if below is set.
	exact  string
	reason string
}

var pins = []pin{
	{module: "go.opentelemetry.io/otel", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/otel/log", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/otel/sdk", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/otel/trace", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/otel/metric", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/otel/exporters/otlp/otlptrace", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", below: "v1.47.0", reason: movedKeyValue},
	{module: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", below: "v0.72.0", reason: movedKeyValue},
	{module: "github.com/ClickHouse/clickhouse-go/v2", below: "v2.50.0", reason: movedKeyValue},
	{module: "github.com/pressly/goose/v3", below: "v3.29.0", reason: movedKeyValue},
	{module: "google.golang.org/api", below: "v0.311.0", reason: movedKeyValue},
	{module: "cloud.google.com/go/ai", below: "v0.13.0", reason: "generative-ai-go v0.20.1 does not build with it; v0.12.0 is the last that does"},
	{module: "go.temporal.io/server", exact: "v1.32.1", reason: sameGoMod + "; v1.32.2 needs Go 1.26.10, v1.31.4 misses a dependency"},
	{module: "go.temporal.io/sdk", exact: "v1.50.0", reason: sameGoMod},
}

// check says what is wrong with version, or returns nil.
func (p pin) check(version string) error {
	if p.exact != "" && version == p.exact || p.below != "" && older(version, p.below) {
		return nil
	}
	return fmt.Errorf("go.mod has %s %s, allowed is %s: %s", p.module, version, p.allowed(), p.reason)
}

// older compares major, minor and patch; what follows them is left out, so a
// pre-release counts as its release. A version it cannot read is not older.
func older(version, bound string) bool {
	number, ok := numbers(version)
	limit, _ := numbers(bound)
	return ok && slices.Compare(number, limit) < 0
}

func numbers(version string) (parts []int, ok bool) {
	parts = make([]int, 3)
	_, err := fmt.Sscanf(version, "v%d.%d.%d", &parts[0], &parts[1], &parts[2])
	return parts, err == nil
}

func (p pin) allowed() string {
	if p.exact != "" {
		return p.exact + " only"
	}
	return "below " + p.below
}

func TestGoMod(t *testing.T) {
	t.Parallel()
	for _, err := range violations(t, "../../go.mod") {
		t.Error(err)
	}
}

func TestRulesFire(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		module, version string
		broken          bool
	}{
		{"github.com/ClickHouse/clickhouse-go/v2", "v2.49.9", false},
		{"github.com/ClickHouse/clickhouse-go/v2", "v2.50.0", true},
		{"github.com/pressly/goose/v3", "v3.28.1", false},
		{"github.com/pressly/goose/v3", "v3.100.0", true},
		{"go.opentelemetry.io/otel", "v1.46.0", false},
		{"go.opentelemetry.io/otel", "v1.47.1", true},
		{"go.opentelemetry.io/otel", "v1.47.0-rc.1", true},
		{"go.opentelemetry.io/otel", "latest", true},
		{"go.temporal.io/server", "v1.32.1", false},
		{"go.temporal.io/server", "v1.32.2", true},
		{"go.temporal.io/server", "v1.31.4", true},
	} {
		require.Equal(t, test.broken, ruleFor(t, test.module).check(test.version) != nil, "%s %s", test.module, test.version)
	}
}

func TestRulesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rule := range pins {
		require.False(t, seen[rule.module], "%s stands twice", rule.module)
		seen[rule.module] = true
		_, valid := numbers(rule.below + rule.exact)
		require.True(t, valid && (rule.below == "" || rule.exact == ""), "%s has one valid bound", rule.module)
		require.NotEmpty(t, rule.reason, rule.module)
	}
}

func ruleFor(tb testing.TB, module string) pin {
	tb.Helper()
	for _, rule := range pins {
		if rule.module == module {
			return rule
		}
	}
	require.Fail(tb, "no rule", module)
	return pin{}
}

// module is a path and a version, as "go mod edit -json" prints them.
type module struct{ Path, Version string }

// violations checks the versions a module file requires, and those it replaces
// them with.
func violations(tb testing.TB, path string) []error {
	tb.Helper()
	text, err := exec.CommandContext(tb.Context(), "go", "mod", "edit", "-json", path).Output()
	require.NoError(tb, err)
	var file struct {
		Require []module
		Replace []struct{ New module }
	}
	require.NoError(tb, json.Unmarshal(text, &file))
	require.NotEmpty(tb, file.Require)
	versions := map[string]string{}
	for _, required := range file.Require {
		versions[required.Path] = required.Version
	}
	for _, replaced := range file.Replace {
		versions[replaced.New.Path] = replaced.New.Version
	}
	return broken(versions)
}

func broken(versions map[string]string) []error {
	var errs []error
	for _, rule := range pins {
		version, used := versions[rule.module]
		if !used {
			continue
		}
		if err := rule.check(version); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
