package check

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/dns" // a scrape configuration names it
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(filepath.Join(root, "deploy/prometheus/alerts.yml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	require.NotEmpty(t, groups.Groups)
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

func TestPrometheusLoads(t *testing.T) {
	t.Parallel()
	c, err := config.LoadFile(filepath.Join(root, "deploy/prometheus/prometheus.yml"), false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Len(t, c.ScrapeConfigs, 3)
}

func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, rule := range alerts(t) {
		require.NotEmpty(t, rule.Alert)
		require.Contains(t, []string{"page", "ticket"}, rule.Labels["severity"], rule.Alert)
		require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
		require.Positive(t, rule.For, rule.Alert)
	}
}

// TestAlertsReadWhatIsShown holds the metrics of the alerts to those that the
// program declares.
func TestAlertsReadWhatIsShown(t *testing.T) {
	t.Parallel()
	declared := read(t, "telemetry/names.go")
	part := regexp.MustCompile(`_(bucket|count|sum)$`)
	for _, rule := range alerts(t) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
		require.NoError(t, err, rule.Alert)
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok && v.Name != "up" {
				require.Contains(t, declared, `"`+part.ReplaceAllString(v.Name, "")+`"`, rule.Alert)
			}
			return nil
		})
	}
}
