// Package runatest starts the real program for tests and talks to it as a
// client would: a folder of its own, ports of its own, and every answer held
// against openapi.yaml.
package runatest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas/schemastest"
)

// BinaryVariable names a program that is built already.
const BinaryVariable = "RUNA_TEST_BINARY"

// binary builds the program once per test process.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "runa-test-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "runa")
	build := exec.Command("go", "build", "-o", path, "runa/cmd/runa")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// RemoveBinary removes what was built; for TestMain.
func RemoveBinary() {
	if path, err := binary(); err == nil && os.Getenv(BinaryVariable) == "" {
		_ = os.RemoveAll(filepath.Dir(path)) // a folder that stays in the temporary folder harms nobody
	}
}

// Options say how the program is started.
type Options struct {
	// Dir is the data folder; "" is a new one.
	Dir string
	// Args are flags behind those that every start has.
	Args []string
	// Env are variables beside PATH and HOME, such as "RUNA_FAILPOINT=…".
	Env []string
	// KillAfter kills the program so long after its start, whether it is ready
	// by then or not; 0 never does.
	KillAfter time.Duration
}

// Runa is a running program.
type Runa struct {
	t       testing.TB
	command *exec.Cmd
	exited  chan struct{}
	check   *schemastest.Validator
	log     *buffer

	// URL is its address; DemoURL the demo's, if it has one.
	URL, DemoURL string
	// Key and Operator are the keys that it printed, or that Options set.
	Key, Operator string
	Dir           string
}

// Fixed keys, so that a restarted program knows its callers.
const (
	Key      = "test-product-key-0123456789abcdefghij"
	Operator = "test-operator-key-0123456789abcdefghi"
)

// Start starts the program and waits until it is ready. It is killed when the
// test ends.
func Start(t testing.TB, o Options) *Runa {
	t.Helper()
	r, err := TryStart(t, o)
	require.NoError(t, err)
	return r
}

// TryStart is Start for a program that may die before it is ready.
func TryStart(t testing.TB, o Options) (*Runa, error) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err, "build the program")
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r := &Runa{t: t, Dir: o.Dir, Key: Key, Operator: Operator, exited: make(chan struct{}), check: schemastest.NewValidator(t), log: &buffer{}}
	args := append([]string{"serve", "--data-dir", o.Dir, "--listen", "127.0.0.1:0", "--demo-listen", "127.0.0.1:0"}, o.Args...)
	r.command = exec.Command(path, args...)
	r.command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "RUNA_API_KEY=" + Key, "RUNA_OPERATOR_KEY=" + Operator, "RUNA_RATE_LIMIT=100000",
	}, o.Env...)
	r.command.Stderr = r.log
	stdout, err := r.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.command.Start())
	t.Cleanup(r.Kill)
	if o.KillAfter > 0 {
		time.AfterFunc(o.KillAfter, func() { _ = r.command.Process.Kill() }) // it may have ended already
	}
	ready := make(chan bool, 1)
	go r.read(stdout, ready)
	select {
	case ok := <-ready:
		if ok {
			return r, nil
		}
		<-r.exited
		return r, &Died{Log: r.log.String()}
	case <-time.After(60 * time.Second):
		t.Fatalf("the program was not ready in 60 s; its log:\n%s", r.log)
		return nil, nil
	}
}

// Died says that the program ended before it was ready.
type Died struct{ Log string }

// Error implements error.
func (d *Died) Error() string { return "the program ended before it was ready; its log:\n" + d.Log }

var (
	readyLine = regexp.MustCompile(`^Runa is ready at (\S+)`)
	demoLine  = regexp.MustCompile(`^Demo: the help centre is at (\S+)/help/`)
)

// read takes the addresses from what the program prints, then waits for its
// end.
func (r *Runa) read(stdout io.Reader, ready chan<- bool) {
	defer close(r.exited)
	demo := false
	for _, arg := range r.command.Args {
		demo = demo || arg == "--demo"
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			r.URL = m[1]
		}
		if m := demoLine.FindStringSubmatch(lines.Text()); m != nil {
			r.DemoURL = m[1]
		}
		if r.URL != "" && (r.DemoURL != "" || !demo) {
			select {
			case ready <- true:
			default:
			}
		}
	}
	_ = r.command.Wait() // its state is in ProcessState
	select {
	case ready <- false:
	default:
	}
}

// For is the same program for another test, such as a parallel subtest, and
// with another key; "" keeps the key.
func (r *Runa) For(t testing.TB, key string) *Runa {
	other := *r
	other.t = t
	if key != "" {
		other.Key = key
	}
	return &other
}

// Kill ends the program as a power cut would, and waits for its end.
func (r *Runa) Kill() {
	_ = r.command.Process.Kill() // it may have ended already
	<-r.exited
}

// Stop asks the program to end, as a supervisor would, and returns its exit
// code and how long it took.
func (r *Runa) Stop() (code int, took time.Duration) {
	began := time.Now()
	_ = r.command.Process.Signal(syscall.SIGTERM) // it may have ended already
	<-r.exited
	return r.command.ProcessState.ExitCode(), time.Since(began)
}

// Exited is closed when the program has ended.
func (r *Runa) Exited() <-chan struct{} { return r.exited }

// PID is the program's process id.
func (r *Runa) PID() int { return r.command.Process.Pid }

// Log is what the program has logged.
func (r *Runa) Log() string { return r.log.String() }

// Request is a call to the API.
type Request struct {
	Method, Path string
	// Key is sent as the bearer; "" is the product's, "none" sends none.
	Key    string
	Header map[string]string
	// Body is sent as it is when it is a string, else as JSON; nil is none.
	Body any
}

// Answer is what the API said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON reads the answer into dest.
func (a Answer) JSON(t testing.TB, dest any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.Body, dest), "%s", a.Body)
}

// Do makes a call and holds the answer against openapi.yaml.
func (r *Runa) Do(req Request) Answer {
	r.t.Helper()
	answer, err := r.Try(req)
	require.NoError(r.t, err)
	r.Check(req, answer)
	return answer
}

// Check holds an answer that Try got against openapi.yaml.
func (r *Runa) Check(req Request, answer Answer) {
	r.t.Helper()
	r.check.CheckResponse(r.t, req.Method, req.Path, answer.Status, answer.Header, answer.Body)
}

// client keeps no connection, so that a killed program is not asked twice.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 150 * time.Second}

// Try makes a call that may find nobody there.
func (r *Runa) Try(req Request) (Answer, error) {
	httpReq, err := http.NewRequest(req.Method, r.URL+req.Path, bodyOf(r.t, req.Body))
	require.NoError(r.t, err)
	if req.Body != nil {
		httpReq.Header.Set("Content-Type", "application/json")
	}
	switch req.Key {
	case "":
		httpReq.Header.Set("Authorization", "Bearer "+r.Key)
	case "none":
	default:
		httpReq.Header.Set("Authorization", "Bearer "+req.Key)
	}
	for name, value := range req.Header {
		httpReq.Header.Set(name, value)
	}
	resp, err := client.Do(httpReq)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

func bodyOf(t testing.TB, body any) io.Reader {
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(b)
	}
	text, err := json.Marshal(body)
	require.NoError(t, err)
	return bytes.NewReader(text)
}

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
