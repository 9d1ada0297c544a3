package grafana

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/telemetry"
)

// words of PromQL that the dashboards use and that are no metrics.
var words = []string{
	"sum", "max", "min", "count", "by", "rate", "histogram_quantile", "label_values",
}

// scraped are the labels that Prometheus adds.
var scraped = []string{"instance", "job"}

var (
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	selector = regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)(?:=|!=|=~|!~)"[^"]*"`)
	duration = regexp.MustCompile(`\[[^]]*\]`)
	name     = regexp.MustCompile(`[A-Za-z_:][A-Za-z0-9_:]*`)
)

// series are the names that /metrics shows, with their labels.
func series(t *testing.T) map[string][]string {
	t.Helper()
	shown := make(map[string][]string)
	for _, m := range telemetry.Metrics() {
		if m.Kind != telemetry.Histogram {
			shown[m.Name] = m.Labels
			continue
		}
		shown[m.Name+"_bucket"] = append(slices.Clone(m.Labels), "le")
		shown[m.Name+"_sum"], shown[m.Name+"_count"] = m.Labels, m.Labels
	}
	families, err := telemetry.NewRegistry("test").Gather()
	require.NoError(t, err)
	for _, family := range families {
		if shown[family.GetName()] == nil {
			shown[family.GetName()] = nil
		}
	}
	return shown
}

// metricsOf are the metrics of an expression with the labels that it needs of
// them.
func metricsOf(expr string) map[string][]string {
	labels := make(map[string][]string)
	for _, found := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			labels[found[1]] = append(labels[found[1]], m[1])
		}
	}
	var grouped []string
	for _, found := range grouping.FindAllStringSubmatch(expr, -1) {
		grouped = append(grouped, strings.Split(found[1], ", ")...)
	}
	bare := grouping.ReplaceAllString(selector.ReplaceAllString(duration.ReplaceAllString(expr, ""), "$1"), "")
	metrics := make(map[string][]string)
	for _, word := range name.FindAllString(bare, -1) {
		if !slices.Contains(words, word) {
			metrics[word] = append(slices.Clone(grouped), labels[word]...)
		}
	}
	return metrics
}

func TestMetricsExist(t *testing.T) {
	t.Parallel()
	shown := series(t)
	used := make(map[string]bool)
	for _, board := range read(t) {
		for panel, q := range board.targets() {
			if q.Datasource.Type != prometheus {
				continue
			}
			found := metricsOf(q.Expr)
			require.NotEmpty(t, found, panel)
			for metric, labels := range found {
				_, known := shown[metric]
				require.True(t, known, "%s: nobody tells %s: %s", panel, metric, q.Expr)
				used[metric] = true
				for _, label := range labels {
					require.Contains(t, append(slices.Clone(scraped), shown[metric]...), label, "%s: %s", panel, q.Expr)
				}
			}
		}
		for _, v := range board.Templating.List {
			if v.Datasource.Type == prometheus {
				require.Contains(t, shown, strings.Split(strings.TrimPrefix(v.Query.Query, "label_values("), ",")[0])
			}
		}
	}
	requireAllShown(t, used)
}

// requireAllShown holds the other way: what Runa itself tells, a dashboard
// shows.
func requireAllShown(t *testing.T, used map[string]bool) {
	t.Helper()
	for _, m := range telemetry.Metrics() {
		if strings.HasPrefix(m.Name, "runa_") && m.Name != telemetry.DBWaits.Name {
			require.True(t, used[m.Name] || used[m.Name+"_bucket"], "no dashboard shows %s", m.Name)
		}
	}
}

func TestMetricsAreFoundInExpressions(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string][]string{"a_bucket": {"le", "route", "instance", "status"}, "b": {"le", "route"}},
		metricsOf(`histogram_quantile(0.9, sum by (le, route) (rate(a_bucket{instance=~"$instance", status!="5.."}[$__rate_interval]))) / b`))
}
