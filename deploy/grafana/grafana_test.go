// Package grafana holds the dashboards against what they show: their SQL runs
// on a migrated ClickHouse, their metrics are those that the program has.
package grafana

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	clickHouse = "grafana-clickhouse-datasource"
	prometheus = "prometheus"
)

// source names a data source by its type and the uid that provisioning gives.
type source struct{ Type, UID string }

type target struct {
	RefID      string
	Datasource source
	RawSQL     string
	Expr       string
	QueryType  string
	Format     any // a number of the ClickHouse plugin, a word of Prometheus
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource source
	GridPos    struct{ H, W, X, Y int }
	Targets    []target
}

type variable struct {
	Name       string
	Datasource source
	Query      struct{ RawSQL, Query string }
}

type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct{ List []variable }
}

// read returns the dashboards by the names of their files.
func read(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	boards := make(map[string]dashboard)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var board dashboard
		require.NoError(t, json.Unmarshal(text, &board), file)
		boards[strings.TrimSuffix(filepath.Base(file), ".json")] = board
	}
	return boards
}

// targets are the queries of a dashboard, with the panel and its title.
func (d dashboard) targets() (queries map[string]target) {
	queries = make(map[string]target)
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			queries[fmt.Sprintf("%s %d %s %s", d.UID, p.ID, p.Title, q.RefID)] = q
		}
	}
	return queries
}

func TestDashboardsAreWhole(t *testing.T) {
	t.Parallel()
	sources := provisioned(t)
	uids := make(map[string]bool)
	for name, board := range read(t) {
		require.Equal(t, "runa-"+name, board.UID)
		require.False(t, uids[board.UID])
		uids[board.UID] = true
		require.NotEmpty(t, board.Title)
		for _, v := range board.Templating.List {
			require.Equal(t, sources[v.Datasource.UID], v.Datasource.Type, "variable %s", v.Name)
		}
		requirePanels(t, board, sources)
	}
	require.Contains(t, uids, "runa-product")
	require.Contains(t, uids, "runa-operations")
}

func requirePanels(t *testing.T, board dashboard, sources map[string]string) {
	t.Helper()
	ids, taken := make(map[int]bool), make(map[[2]int]string)
	for _, p := range board.Panels {
		require.False(t, ids[p.ID], "%s: two panels %d", board.UID, p.ID)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "%s: %q lies over another", board.UID, p.Title)
				require.Less(t, x, 24, p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Targets, p.Title)
		for _, q := range p.Targets {
			require.Equal(t, p.Datasource, q.Datasource, p.Title)
			require.Equal(t, sources[q.Datasource.UID], q.Datasource.Type, p.Title)
		}
	}
}

type provisioning struct {
	Datasources []struct {
		Name, UID, Type, URL string
		SecureJSONData       map[string]string `yaml:"secureJsonData"`
		JSONData             map[string]any    `yaml:"jsonData"`
	}
	Providers []struct {
		Name, Type string
		Options    struct{ Path string }
	}
}

func readYAML(t *testing.T, file string) (p provisioning) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &p))
	return p
}

// provisioned are the types of the data sources by their uids.
func provisioned(t *testing.T) map[string]string {
	t.Helper()
	types := make(map[string]string)
	for _, s := range readYAML(t, "provisioning/datasources/runa.yaml").Datasources {
		types[s.UID] = s.Type
	}
	return types
}

func TestProvisioningHasNoSecret(t *testing.T) {
	t.Parallel()
	fromEnvironment := regexp.MustCompile(`^\$[A-Z_]+$`)
	file := readYAML(t, "provisioning/datasources/runa.yaml")
	require.Len(t, file.Datasources, 2)
	for _, s := range file.Datasources {
		require.Contains(t, []string{clickHouse, prometheus}, s.Type)
		for name, value := range s.SecureJSONData {
			require.Regexp(t, fromEnvironment, value, name)
		}
		require.NotContains(t, s.JSONData, "password")
		require.NotContains(t, s.URL, "@")
	}
	providers := readYAML(t, "provisioning/dashboards/runa.yaml").Providers
	require.Len(t, providers, 1)
	require.Equal(t, "file", providers[0].Type)
	require.NotEmpty(t, providers[0].Options.Path)
}
