package cluster

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"runa/test/harness"
	"runa/test/runatest"
)

// part is a process under a supervisor, which starts it again whenever it
// ends.
type part struct {
	t         testing.TB
	name      string
	env, args []string
	over      chan struct{}

	mu      sync.Mutex
	current *runatest.Process
	told    bool // to end
	ending  bool // the test is over
	ended   []string
}

// restartPause is how long the supervisor rests between two starts.
const restartPause = 100 * time.Millisecond

// start starts a process and its supervisor; they end with the test.
func start(t testing.TB, name string, env, args []string) *part {
	p := &part{t: t, name: name, env: env, args: args, over: make(chan struct{})}
	p.spawn()
	go p.supervise()
	t.Cleanup(p.end)
	return p
}

// spawn starts the process unless the test is over.
func (p *part) spawn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending {
		return false
	}
	p.current, p.told = runatest.Spawn(p.t, p.env, p.args...), false
	return true
}

func (p *part) supervise() {
	defer close(p.over)
	for {
		process := p.process()
		<-process.Exited()
		p.mu.Lock()
		if !p.told && !p.ending {
			p.ended = append(p.ended, fmt.Sprintf("%s: %s", p.name, harness.Tail(process.Log())))
		}
		p.mu.Unlock()
		harness.Pause(restartPause)
		if !p.spawn() {
			return
		}
	}
}

func (p *part) process() *runatest.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *part) end() {
	p.mu.Lock()
	p.ending = true
	p.mu.Unlock()
	p.process().Kill()
	<-p.over
}

// kill ends the process as a power cut would; ready says whether it had come
// to work.
func (p *part) kill() (ready bool) {
	process := p.tell()
	ready = process.Ready()
	process.Kill()
	return ready
}

// replace ends the process as a deployment would, and waits for the next one
// to be ready.
func (p *part) replace() (code int, took time.Duration, err error) {
	began := time.Now()
	process := p.tell()
	code, took = process.Stop(), time.Since(began)
	for p.process() == process {
		harness.Pause(10 * time.Millisecond)
	}
	return code, took, p.awaitReady()
}

// tell notes that the current process is told to end.
func (p *part) tell() *runatest.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = true
	return p.current
}

// awaitReady waits until the process works, or for another when it ends
// before.
func (p *part) awaitReady() error {
	const attempts = 5
	var err error
	for range attempts {
		process := p.process()
		if err = process.AwaitReady(); err == nil {
			return nil
		}
		harness.Pause(2 * restartPause)
	}
	return err
}

func (p *part) log() string { return p.process().Log() }

func (p *part) selfEnded() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.ended...)
}
