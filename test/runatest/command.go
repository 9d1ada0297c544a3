package runatest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// commandTimeout is longer than any command takes.
const commandTimeout = 40 * time.Second

// Command runs the program to its end, such as `runa keys list`, in a working
// folder of its own and with no variables but PATH, HOME and env.
func Command(t testing.TB, env []string, args ...string) Result {
	t.Helper()
	path, err := binary()
	require.NoError(t, err, "build the program")
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Dir = t.TempDir()
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	require.NoError(t, ctx.Err(), "%v did not end; it said:\n%s%s", args, &stdout, &stderr)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return Result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}
