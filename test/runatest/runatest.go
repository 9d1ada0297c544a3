// Package runatest starts the real program for tests and talks to it as a
// client would: a folder of its own, ports of its own, and every answer held
// against openapi.yaml.
package runatest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// Cleanup ends what all tests shared and removes what was built; for TestMain.
func Cleanup() {
	stopEngine()
	if path, err := binary(); err == nil && os.Getenv(BinaryVariable) == "" {
		_ = os.RemoveAll(filepath.Dir(path)) // a folder that stays in the temporary folder harms nobody
	}
}

// Options say how the program is started.
type Options struct {
	// Layout is how it is spread over processes; "" is that of LayoutVariable.
	Layout Layout
	// Dir is the data folder; "" is a new one. In any layout, programs of one
	// folder are one installation.
	Dir string
	// Args are flags behind those that every start has; of a layout of several
	// processes, the API gets them.
	Args []string
	// Env are variables beside PATH and HOME, such as "RUNA_FAILPOINT=…"; all
	// processes get them.
	Env []string
	// KillAfter kills the program so long after its start, whether it is ready
	// by then or not; 0 never does.
	KillAfter time.Duration
}

// Runa is a running program, of one process or of several.
type Runa struct {
	t     testing.TB
	api   *Process
	parts []*Process
	check *schemastest.Validator

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

// keys are the variables by which every start knows its callers, and lets them
// call as often as they like.
var keys = []string{"RUNA_API_KEY=" + Key, "RUNA_OPERATOR_KEY=" + Operator, "RUNA_RATE_LIMIT=100000"}

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
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Layout == "" {
		o.Layout = defaultLayout(t)
	}
	r := &Runa{t: t, Dir: o.Dir, Key: Key, Operator: Operator, check: schemastest.NewValidator(t)}
	env := append(slices.Clone(keys), o.Env...)
	listen := append([]string{"--listen", "127.0.0.1:0", "--demo-listen", "127.0.0.1:0"}, o.Args...)
	switch o.Layout {
	case Separate:
		env = append(installationOf(t, o.Dir).env(t, o.Layout), env...)
		r.api = Spawn(t, env, append([]string{"api"}, listen...)...)
		// A worker has no settings of the API's.
		r.parts = []*Process{r.api, Spawn(t, env, "worker")}
	case Mixed:
		env = append(installationOf(t, o.Dir).env(t, o.Layout), env...)
		fallthrough
	default:
		r.api = Spawn(t, env, append([]string{"serve", "--data-dir", o.Dir}, listen...)...)
		r.parts = []*Process{r.api}
	}
	if o.KillAfter > 0 {
		for _, part := range r.parts {
			time.AfterFunc(o.KillAfter, part.Kill)
		}
	}
	for _, part := range r.parts {
		if err := part.AwaitReady(); err != nil {
			return r, err
		}
	}
	r.URL, r.DemoURL = r.api.urls()
	return r, nil
}

// At is a program that the test starts and stops by itself, by its address. It
// has no log here and cannot be ended through it.
func At(t testing.TB, url string) *Runa {
	return &Runa{t: t, URL: url, Key: Key, Operator: Operator, check: schemastest.NewValidator(t)}
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
	for _, part := range r.parts {
		part.Kill()
	}
}

// Stop asks the program to end, as a supervisor would, and returns its exit
// code and how long it took.
func (r *Runa) Stop() (code int, took time.Duration) {
	began := time.Now()
	for _, part := range r.parts {
		part.signal(syscall.SIGTERM)
	}
	for _, part := range r.parts {
		<-part.exited
		if exit := part.command.ProcessState.ExitCode(); code == 0 {
			code = exit
		}
	}
	return code, time.Since(began)
}

// Exited is closed when the program's API has ended.
func (r *Runa) Exited() <-chan struct{} { return r.api.exited }

// PID is the process id of the program's API.
func (r *Runa) PID() int { return r.api.PID() }

// Log is what the program has logged.
func (r *Runa) Log() string {
	var log strings.Builder
	for _, part := range r.parts {
		log.WriteString(part.Log())
	}
	return log.String()
}

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
