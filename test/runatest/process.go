package runatest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is one process of the program.
type Process struct {
	command *exec.Cmd
	log     *buffer
	exited  chan struct{}
	ready   chan struct{}

	mu           sync.Mutex
	url, demoURL string
}

// readyWithin is longer than any start takes on a busy machine.
const readyWithin = 90 * time.Second

// Spawn starts the program with arguments and no variables but PATH, HOME and
// env. It is killed when the test ends.
func Spawn(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	p := spawn(t, env, args...)
	t.Cleanup(p.Kill)
	return p
}

func spawn(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err, "build the program")
	p := &Process{command: exec.Command(path, args...), log: &buffer{}, exited: make(chan struct{}), ready: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	p.command.Stderr = p.log
	stdout, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	go p.read(stdout)
	return p
}

var (
	readyLine = regexp.MustCompile(`^Runa is ready(?: at (\S+))?`)
	demoLine  = regexp.MustCompile(`^Demo: the help centre is at (\S+)/help/`)
)

// read takes the addresses from what the process prints, then waits for its
// end.
func (p *Process) read(stdout io.Reader) {
	defer close(p.exited)
	demo, ready := slices.Contains(p.command.Args, "--demo"), false
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		p.mu.Lock()
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			p.url, ready = m[1], true
		}
		if m := demoLine.FindStringSubmatch(lines.Text()); m != nil {
			p.demoURL = m[1]
		}
		told := ready && (p.demoURL != "" || !demo)
		p.mu.Unlock()
		if told {
			close(p.ready)
			ready, demo = false, true
		}
	}
	_ = p.command.Wait() // its state is in ProcessState
}

// AwaitReady waits until the process says that it is ready.
func (p *Process) AwaitReady() error {
	select {
	case <-p.ready:
		select {
		case <-p.exited: // it was ready once
			return &Died{Log: p.Log()}
		default:
			return nil
		}
	case <-p.exited:
		return &Died{Log: p.Log()}
	case <-time.After(readyWithin):
		return errors.New("the program was not ready in time; its log:\n" + p.Log())
	}
}

// Ready says whether the process has said that it is ready.
func (p *Process) Ready() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

func (p *Process) urls() (url, demo string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url, p.demoURL
}

// Kill ends the process as a power cut would, and waits for its end.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// Pause stops the process where it is, as a machine that hangs; Resume lets it
// go on.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

// Stop asks the process to end and returns its exit code.
func (p *Process) Stop() int {
	p.signal(syscall.SIGTERM)
	<-p.exited
	return p.command.ProcessState.ExitCode()
}

func (p *Process) signal(s syscall.Signal) {
	_ = p.command.Process.Signal(s) // it may have ended already
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// PID is the process's id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Log is what the process has logged.
func (p *Process) Log() string { return p.log.String() }

// URL is the address that the process said it is at.
func (p *Process) URL() string {
	url, _ := p.urls()
	return url
}

// Died says that the program ended before it was ready.
type Died struct{ Log string }

// Error implements error.
func (d *Died) Error() string { return "the program ended before it was ready; its log:\n" + d.Log }

// buffer is a log that is written and read at once.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String implements fmt.Stringer.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
