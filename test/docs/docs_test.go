// Package docs holds the documents to the code: what a reader looks up must be
// there, and a link must lead somewhere. It says nothing of how they are
// written.
package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/telemetry"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}

var oneName = regexp.MustCompile("^`[A-Za-z_]+`$")

// rows are the lines of a document's tables whose first cell is a name, by it.
func rows(text string) map[string][]string {
	found := map[string][]string{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if oneName.MatchString(cells[0]) {
			found[strings.Trim(cells[0], "`")] = cells
		}
	}
	return found
}

// setting is a setting as cmd/runa declares it.
type setting struct {
	name, fallback string
	roles          []string
}

func (s setting) variable() string {
	return "RUNA_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// commands are the names by which the README calls the roles of settings.go.
var commands = []struct{ role, command string }{
	{"roleServe", "serve"},
	{"roleAPI", "api"},
	{"roleWorker", "worker"},
	{"roleTemporal", "temporal"},
	{"roleMigrate", "migrate"},
	{"roleRecords", "keys"},
}

// TestSettings holds the README's tables to the settings: each is there, with
// its flag, its default and the commands that know it, and no other is.
func TestSettings(t *testing.T) {
	t.Parallel()
	tables := rows(read(t, "README.md"))
	declared := settings(t)
	require.Greater(t, len(declared), 20)
	known := map[string]bool{}
	for _, s := range declared {
		known[s.variable()] = true
		row := tables[s.variable()]
		if !assertRow(t, row, s.variable(), 5) {
			continue
		}
		require.Equal(t, "`--"+s.name+"`", row[1], s.variable())
		if s.fallback != "" {
			require.Equal(t, "`"+s.fallback+"`", row[2], "the default of %s", s.variable())
		}
		require.Equal(t, strings.Join(s.roles, ", "), row[3], "the commands of %s", s.variable())
	}
	for name := range tables {
		if strings.HasPrefix(name, "RUNA_") && !known[name] {
			t.Errorf("the README lists %s, which is no setting", name)
		}
	}
}

func assertRow(t *testing.T, row []string, name string, cells int) bool {
	t.Helper()
	if len(row) != cells {
		t.Errorf("%s has a row of %d cells in a table; want %d", name, len(row), cells)
		return false
	}
	return true
}

// settings reads the declarations of cmd/runa/settings.go.
func settings(t *testing.T) (list []setting) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "cmd/runa/settings.go"), nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	names := map[string]ast.Expr{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				names[name.Name] = spec.Values[i]
			}
		}
		return true
	})
	for name, value := range names {
		group, ok := value.(*ast.CompositeLit)
		if !ok || !strings.HasSuffix(name, "Settings") {
			continue
		}
		for _, element := range group.Elts {
			list = append(list, settingOf(t, element, names))
		}
	}
	return list
}

// settingOf reads one declaration: {name, roles, fallback, …} or text(name,
// roles, …), which has no fallback.
func settingOf(t *testing.T, element ast.Expr, names map[string]ast.Expr) setting {
	t.Helper()
	switch e := element.(type) {
	case *ast.CompositeLit:
		return setting{literal(t, e.Elts[0]), literal(t, e.Elts[2]), rolesOf(e.Elts[1], names)}
	case *ast.CallExpr:
		return setting{literal(t, e.Args[0]), "", rolesOf(e.Args[1], names)}
	default:
		t.Fatalf("a setting is declared as %T", element)
		return setting{}
	}
}

func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	require.True(t, ok, "%T is no literal", e)
	text, err := strconv.Unquote(lit.Value)
	require.NoError(t, err)
	return text
}

// rolesOf are the commands of an expression of roles, in the order of commands.
func rolesOf(e ast.Expr, names map[string]ast.Expr) (found []string) {
	in := map[string]bool{}
	var walk func(ast.Expr)
	walk = func(e ast.Expr) {
		ast.Inspect(e, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok {
				in[ident.Name] = true
				if strings.HasPrefix(ident.Name, "rolesOf") {
					walk(names[ident.Name])
				}
			}
			return true
		})
	}
	walk(e)
	for _, c := range commands {
		if in[c.role] {
			found = append(found, c.command)
		}
	}
	return found
}

// TestMetrics holds the tables of the operations to the metrics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	tables := rows(read(t, "docs/operations.md"))
	for _, m := range telemetry.Metrics() {
		row := tables[m.Name]
		if !assertRow(t, row, m.Name, 4) {
			continue
		}
		require.Equal(t, string(m.Kind), row[1], m.Name)
		var labels []string
		for _, label := range m.Labels {
			labels = append(labels, "`"+label+"`")
		}
		require.Equal(t, strings.Join(labels, ", "), row[2], "the labels of %s", m.Name)
	}
	for name := range tables {
		ours := strings.HasPrefix(name, "runa_") || strings.HasPrefix(name, "temporal_")
		if ours && !slices.Contains(telemetry.MetricNames(), name) {
			t.Errorf("docs/operations.md lists %s, which is no metric", name)
		}
	}
}

var alertName = regexp.MustCompile(`(?m)^\s*- alert: (\w+)$`)

// TestAlerts holds the runbooks to the alerts.
func TestAlerts(t *testing.T) {
	t.Parallel()
	anchors := anchorsOf(read(t, "docs/operations.md"))
	alerts := alertName.FindAllStringSubmatch(read(t, "deploy/prometheus/alerts.yml"), -1)
	require.NotEmpty(t, alerts)
	for _, alert := range alerts {
		require.Contains(t, anchors, strings.ToLower(alert[1]), "docs/operations.md has no section %s", alert[1])
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	punct   = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchorsOf are the names by which a document's headings are linked to.
func anchorsOf(text string) (anchors []string) {
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.ReplaceAll(punct.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")
		anchors = append(anchors, name)
	}
	return anchors
}

// TestLinks follows each relative link of each document, to its heading too.
func TestLinks(t *testing.T) {
	t.Parallel()
	documents := markdown(t)
	require.Greater(t, len(documents), 10)
	for _, path := range documents {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, path), ""), -1) {
			if err := follow(path, found[1]); err != nil {
				t.Errorf("%s links to %s: %v", path, found[1], err)
			}
		}
	}
}

func markdown(t *testing.T) (paths []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "data"}, path):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			paths = append(paths, path)
		}
		return nil
	})
	require.NoError(t, err)
	return paths
}

func follow(from, to string) error {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return nil
	}
	path, anchor, _ := strings.Cut(to, "#")
	target := filepath.Join(root, from)
	if path != "" {
		target = filepath.Join(root, filepath.Dir(from), path)
	}
	if _, err := os.Stat(target); err != nil {
		return err
	}
	if anchor == "" || !strings.HasSuffix(target, ".md") {
		return nil
	}
	text, err := os.ReadFile(target)
	if err == nil && !slices.Contains(anchorsOf(string(text)), anchor) {
		err = fmt.Errorf("no heading makes #%s", anchor)
	}
	return err
}
