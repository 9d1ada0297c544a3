package runatest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Command runs the program to its end, such as `runa keys list`, in a working
// folder of its own and with no variables but PATH, HOME and env.
func Command(t testing.TB, env []string, args ...string) Result {
	t.Helper()
	path, err := binary()
	require.NoError(t, err, "build the program")
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), path, args...)
	command.Dir = t.TempDir()
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return Result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}
