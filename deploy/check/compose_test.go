// Package check holds the files of deploy to their schemas, their linters and
// rules of our own. It runs nothing of them: that needs Docker or Kubernetes.
package check

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// root is the top of the repository.
const root = "../.."

// secrets are the variables that deploy/compose/secrets.sh makes.
var secrets = []string{
	"CLICKHOUSE_GRAFANA_PASSWORD", "CLICKHOUSE_PASSWORD", "ELASTIC_PASSWORD", "GRAFANA_ADMIN_PASSWORD", "POSTGRES_PASSWORD",
	"RUNA_API_KEY", "RUNA_DB_PASSWORD", "RUNA_KEYSET", "RUNA_OPERATOR_KEY", "TEMPORAL_DB_PASSWORD",
}

// layouts are the files of each way to start.
var layouts = map[string][]string{
	"compose":              {"docker-compose.yml"},
	"compose own temporal": {"docker-compose.yml", "deploy/compose/own-temporal.yml"},
}

// loadCompose checks against the compose schema and its rules, as compose itself does.
func loadCompose(t *testing.T, files []string, env map[string]string) (*types.Project, error) {
	t.Helper()
	var paths, assignments []string
	for _, f := range files {
		paths = append(paths, filepath.Join(root, f))
	}
	for name, value := range env {
		assignments = append(assignments, name+"="+value)
	}
	options, err := cli.NewProjectOptions(paths, cli.WithWorkingDirectory(root), cli.WithEnv(assignments))
	require.NoError(t, err)
	return options.LoadProject(context.Background())
}

func secretValues() map[string]string {
	env := map[string]string{}
	for _, name := range secrets {
		env[name] = "value-of-" + strings.ToLower(name)
	}
	return env
}

// eachService runs a check on every service of every layout.
func eachService(t *testing.T, check func(t *testing.T, s types.ServiceConfig)) {
	t.Helper()
	for name, files := range layouts {
		project, err := loadCompose(t, files, secretValues())
		require.NoError(t, err, name)
		require.Greater(t, len(project.Services), 9)
		for _, s := range project.Services {
			t.Run(name+" "+s.Name, func(t *testing.T) { check(t, s) })
		}
	}
}

func TestComposeNamesEachMissingSecret(t *testing.T) {
	t.Parallel()
	for name, files := range layouts {
		for _, secret := range secrets {
			env := secretValues()
			delete(env, secret)
			_, err := loadCompose(t, files, env)
			require.ErrorContains(t, err, secret, name)
			require.ErrorContains(t, err, "run deploy/compose/secrets.sh first", name)
		}
	}
}

// TestComposeSecretsAreMade holds the script to the variables that the files want.
func TestComposeSecretsAreMade(t *testing.T) {
	t.Parallel()
	script := read(t, "deploy/compose/secrets.sh")
	for _, files := range layouts {
		for _, file := range files {
			for _, m := range regexp.MustCompile(`\$\{(\w+):\?`).FindAllStringSubmatch(read(t, file), -1) {
				require.Contains(t, secrets, m[1])
				require.Regexp(t, `\b`+m[1]+`\b`, script)
			}
		}
	}
}

// TestComposeHasNoDefaultSecret: a variable that is secret by its name has no default, and none has its value in the file.
func TestComposeHasNoDefaultSecret(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`(?i)(PASSWORD|PWD|SECRET|KEYSET|_KEY)$`)
	for _, files := range layouts {
		for _, file := range files {
			for _, m := range regexp.MustCompile(`\$\{(\w+):?-`).FindAllStringSubmatch(read(t, file), -1) {
				require.NotRegexp(t, secret, m[1], file)
			}
		}
	}
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		for name, value := range s.Environment {
			if secret.MatchString(name) {
				require.NotNil(t, value, name)
				require.True(t, strings.HasPrefix(*value, "value-of-"), "%s is written in the file", name)
			}
		}
	})
}

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		require.NotEqual(t, "host", s.NetworkMode)
		require.False(t, s.Privileged)
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "port %s", port.Published)
		}
	})
}

func TestComposeServicesAreBounded(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		require.NotNil(t, s.Deploy)
		require.NotNil(t, s.Deploy.Resources.Limits)
		limits := s.Deploy.Resources.Limits
		require.Positive(t, limits.MemoryBytes)
		require.Positive(t, limits.NanoCPUs)
		require.Positive(t, limits.Pids)
		require.NotNil(t, s.Logging)
		require.NotEmpty(t, s.Logging.Options["max-size"])
		require.Contains(t, s.SecurityOpt, "no-new-privileges:true")
	})
}

// TestComposeServicesAreWatched: what runs has a health check and is started again; what ends by itself is tried again.
func TestComposeServicesAreWatched(t *testing.T) {
	t.Parallel()
	for name, files := range layouts {
		project, err := loadCompose(t, files, secretValues())
		require.NoError(t, err)
		once := oneShots(project)
		require.Contains(t, once, "migrate")
		for _, s := range project.Services {
			if slices.Contains(once, s.Name) {
				require.Equal(t, "on-failure:5", s.Restart, "%s %s", name, s.Name)
				continue
			}
			require.Equal(t, "unless-stopped", s.Restart, "%s %s", name, s.Name)
			require.NotNil(t, s.HealthCheck, "%s %s", name, s.Name)
			require.False(t, s.HealthCheck.Disable, "%s %s", name, s.Name)
			require.NotEmpty(t, s.HealthCheck.Test, "%s %s", name, s.Name)
		}
	}
}

// TestComposeStartOrder: nobody waits for a mere start, and nobody for the health of what ends.
func TestComposeStartOrder(t *testing.T) {
	t.Parallel()
	for name, files := range layouts {
		project, err := loadCompose(t, files, secretValues())
		require.NoError(t, err)
		once := oneShots(project)
		for _, s := range project.Services {
			for on, how := range s.DependsOn {
				want := types.ServiceConditionHealthy
				if slices.Contains(once, on) {
					want = types.ServiceConditionCompletedSuccessfully
				}
				require.Equal(t, want, how.Condition, "%s: %s on %s", name, s.Name, on)
			}
		}
		for _, s := range []string{"api", "worker"} {
			require.Contains(t, project.Services[s].DependsOn, "migrate", "%s: %s", name, s)
		}
	}
}

// oneShots are the services that another waits to end.
func oneShots(p *types.Project) []string {
	var names []string
	for _, s := range p.Services {
		for on, how := range s.DependsOn {
			if how.Condition == types.ServiceConditionCompletedSuccessfully && !slices.Contains(names, on) {
				names = append(names, on)
			}
		}
	}
	return names
}

func TestComposeImagesArePinned(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if s.Build != nil {
			require.Equal(t, "runa:local", s.Image)
			return
		}
		require.Regexp(t, `^[a-z/-]+:v?\d+\.\d+(\.\d+)*$`, s.Image)
	})
}

// TestComposeRunaIsLocked: our own containers write nowhere but to /tmp.
func TestComposeRunaIsLocked(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		if s.Build == nil {
			return
		}
		require.True(t, s.ReadOnly)
		require.Equal(t, []string{"ALL"}, s.CapDrop)
		require.Empty(t, s.Volumes)
	})
}

// TestComposeMountsExist: Docker makes a folder of a file that is not there, in silence.
func TestComposeMountsExist(t *testing.T) {
	t.Parallel()
	eachService(t, func(t *testing.T, s types.ServiceConfig) {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				_, err := os.Stat(v.Source)
				require.NoError(t, err)
				require.True(t, v.ReadOnly, v.Source)
			}
		}
	})
}

// TestGrafanaIsTold: a data source whose variable is missing does not connect.
func TestGrafanaIsTold(t *testing.T) {
	t.Parallel()
	project, err := loadCompose(t, layouts["compose"], secretValues())
	require.NoError(t, err)
	sources := read(t, "deploy/grafana/provisioning/datasources/runa.yaml")
	names := regexp.MustCompile(`: \$([A-Z_]+)`).FindAllStringSubmatch(sources, -1)
	require.NotEmpty(t, names)
	for _, m := range names {
		require.Contains(t, project.Services["grafana"].Environment, m[1])
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}

// TestImageIsLocked: nobody is root in it, and the user has a name and a home,
// without which the engine does not start.
func TestImageIsLocked(t *testing.T) {
	t.Parallel()
	_, image, found := strings.Cut(read(t, "Dockerfile"), "\nFROM scratch\n")
	require.True(t, found)
	require.Contains(t, image, "\nUSER 65532:65532\n")
	require.Regexp(t, `\nENV .*USER=\S+ HOME=\S+\n`, image)
	require.NotContains(t, image, "\nRUN ")
}
