package check

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// program is the source that declares commands and settings: they are read from
// it, because the program's module is not this one's.
func program(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "cmd/runa/*.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		all.WriteString(read(t, strings.TrimPrefix(file, root+"/")))
	}
	return all.String()
}

// declaredSettings are the variables of the program.
func declaredSettings(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\t(?:\{|text\()"([a-z-]+)", role`).FindAllStringSubmatch(program(t), -1) {
		names = append(names, "RUNA_"+strings.ToUpper(strings.ReplaceAll(m[1], "-", "_")))
	}
	require.Greater(t, len(names), 20)
	return names
}

func checkCommand(t *testing.T, source, command string, variables []string) {
	t.Helper()
	if !strings.Contains(source, `"`+command+`"`) { // Contains of require would print the source
		t.Errorf("no command is named %q", command)
	}
	declared := declaredSettings(t)
	for _, name := range variables {
		if strings.HasPrefix(name, "RUNA_") {
			require.Contains(t, declared, name)
		}
	}
}

// TestComposeSettingsExist: a variable that the program does not know is ignored, in silence but for a line in the log.
func TestComposeSettingsExist(t *testing.T) {
	t.Parallel()
	source := program(t)
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if s.Build == nil {
			return
		}
		var names []string
		for name := range s.Environment {
			names = append(names, name)
		}
		checkCommand(t, source, s.Command[0], names)
	})
}

func TestChartSettingsExist(t *testing.T) {
	t.Parallel()
	source := program(t)
	eachPod(t, func(t *testing.T, pod corev1.PodTemplateSpec) {
		var names []string
		for _, env := range pod.Spec.Containers[0].Env {
			names = append(names, env.Name)
		}
		checkCommand(t, source, pod.Spec.Containers[0].Args[0], names)
	})
}
