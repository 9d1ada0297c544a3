// Package faults puts what an operator fears between the real program and its
// services: connections that are cut, refused, slow or dead, answers that never
// come, and answers that say no. It counts afterwards what became of the work.
// It needs no control over the services themselves.
package faults

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/test/runatest"
)

// Fault is what a Proxy does to what passes it; the zero value does nothing.
type Fault struct {
	// Stall lets nothing pass, as a server that hangs: connections are taken
	// and held. What was held passes when the stall is over.
	Stall bool
	// Delay is how long each piece of an answer waits.
	Delay time.Duration
	// Rate is how many bytes of answers pass in a second, on each connection;
	// 0 is all.
	Rate int
	// Truncate cuts a connection after so many bytes of answers; 0 never does.
	Truncate int
	// HalfClose ends the answers of a connection and goes on to take requests.
	HalfClose bool
	// DropAnswer delivers requests that hold this text and cuts their
	// connection in place of the answer.
	DropAnswer string
}

// Proxy stands between processes and a service, and harms what passes it. It is
// safe for concurrent use.
type Proxy struct {
	// Address is where it listens.
	Address string
	server  string
	t       testing.TB

	mu       sync.Mutex
	listener net.Listener // nil while it refuses
	served   chan struct{}
	links    map[*link]struct{}
	fault    Fault
	changed  chan struct{}
	dropped  int
}

// link is a connection with its other half.
type link struct {
	client, server net.Conn
	over           chan struct{}
	once           sync.Once
	// Of a link that is dead, nothing passes any more and nobody is told.
	dead bool
	// passed is how much of the answers went through; drop says that the next
	// one does not.
	passed int
	drop   bool
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.over)
		_, _ = l.client.Close(), l.server.Close() // their other ends hear of it
	})
}

// NewProxy starts a proxy for a service at an address; it ends with the test.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	p := &Proxy{Address: runatest.FreeAddress(t), server: server, t: t, links: map[*link]struct{}{}, changed: make(chan struct{})}
	p.listen()
	t.Cleanup(p.Refuse)
	return p
}

func (p *Proxy) listen() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.Address)
	require.NoError(p.t, err)
	p.listener, p.served = listener, make(chan struct{})
	go p.serve(listener, p.served)
}

// Set changes what the proxy does, to connections that are open too. A proxy
// that refused listens again.
func (p *Proxy) Set(f Fault) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	if p.listener == nil {
		p.listen()
	}
}

// Pass ends all faults.
func (p *Proxy) Pass() {
	p.t.Helper()
	p.Set(Fault{})
}

// Refuse cuts all connections and takes no more, as a server that is down.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close() // it ends serve, with which the port is closed
		<-p.served
		p.listener = nil
	}
	p.mu.Unlock()
	p.Cut(1)
}

// Cut cuts this share of the connections, chosen at random, and says how many
// that were.
func (p *Proxy) Cut(share float64) (cut int) {
	for _, l := range p.open() {
		if rand.Float64() < share {
			l.close()
			cut++
		}
	}
	return cut
}

// Deaden leaves the connections that are open without a word, as a machine
// that lost its power; new ones work.
func (p *Proxy) Deaden() (n int) {
	for _, l := range p.open() {
		p.mu.Lock()
		l.dead = true
		p.mu.Unlock()
		n++
	}
	return n
}

// Dropped is how many answers were dropped.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

func (p *Proxy) open() (links []*link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

func (p *Proxy) serve(listener net.Listener, served chan<- struct{}) {
	defer close(served)
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go p.join(client)
	}
}

// join carries a connection until either side ends it.
func (p *Proxy) join(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close() // which is how the caller hears of it
		return
	}
	l := &link{client: client, server: server, over: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = struct{}{}
	refused := p.listener == nil
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	if refused {
		l.close()
	}
	go func() {
		defer l.close()
		l.carry(client, server, p.request)
	}()
	defer l.close()
	l.carry(server, client, p.answer)
}

// carry copies one direction. pass says how much of a piece goes on, and false
// when the connection ends after it.
func (l *link) carry(from io.Reader, to io.Writer, pass func(*link, []byte) (int, bool)) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			m, more := pass(l, buf[:n])
			if _, err := to.Write(buf[:m]); err != nil || !more {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits while nothing may pass, and returns the fault of now; false says
// that the connection was cut meanwhile.
func (p *Proxy) hold(l *link) (Fault, bool) {
	for {
		p.mu.Lock()
		f, changed, dead := p.fault, p.changed, l.dead
		p.mu.Unlock()
		if dead {
			<-l.over
		} else if f.Stall {
			select {
			case <-changed:
				continue
			case <-l.over:
			}
		}
		select {
		case <-l.over:
			return f, false
		default:
			return f, true
		}
	}
}

func (p *Proxy) request(l *link, piece []byte) (int, bool) {
	f, open := p.hold(l)
	if f.DropAnswer != "" && bytes.Contains(piece, []byte(f.DropAnswer)) {
		p.mu.Lock()
		l.drop = true
		p.mu.Unlock()
	}
	return len(piece), open
}

func (p *Proxy) answer(l *link, piece []byte) (int, bool) {
	f, open := p.hold(l)
	if !open {
		return 0, false
	}
	if wait := f.Delay + f.slowness(len(piece)); wait > 0 {
		select {
		case <-time.After(wait):
		case <-l.over:
			return 0, false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.drop:
		p.dropped++
		return 0, false
	case f.HalfClose:
		if client, ok := l.client.(*net.TCPConn); ok {
			_ = client.CloseWrite() // the caller sees the end of the answers
		}
		l.dead = true
		return 0, true
	case f.Truncate > 0 && l.passed+len(piece) >= f.Truncate:
		return max(0, f.Truncate-l.passed), false
	}
	l.passed += len(piece)
	return len(piece), true
}

// slowness is how long n bytes take at the fault's rate.
func (f Fault) slowness(n int) time.Duration {
	if f.Rate == 0 {
		return 0
	}
	return time.Duration(n) * time.Second / time.Duration(f.Rate)
}
