package faults

import (
	"bufio"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a service that answers each line with the same.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }() // it ends with its caller
		}
	}()
	return listener.Addr().String()
}

// caller is a connection through a proxy.
type caller struct {
	net.Conn
	lines *bufio.Reader
}

func call(t *testing.T, p *Proxy) caller {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return caller{conn, bufio.NewReader(conn)}
}

const patience = 300 * time.Millisecond

// ask sends a line and returns what comes back in a while.
func (c caller) ask(line string, patience time.Duration) (string, error) {
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	return c.hear(patience)
}

func (c caller) hear(patience time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	return c.lines.ReadString('\n')
}

// silent says that nothing was heard, and the connection still stands.
func silent(t *testing.T, err error) {
	t.Helper()
	var network net.Error
	require.True(t, errors.As(err, &network) && network.Timeout(), "%v", err)
}

// cut says that the connection was cut.
func cut(t *testing.T, err error) {
	t.Helper()
	require.True(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), "%v", err)
}

func TestProxyPassesAndStalls(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	c := call(t, p)
	heard, err := c.ask("one", 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, "one\n", heard)
	p.Set(Fault{Stall: true})
	_, err = c.ask("two", patience)
	silent(t, err)
	late := call(t, p)
	_, err = late.ask("three", patience)
	silent(t, err)
	p.Pass()
	heard, err = c.hear(10 * time.Second)
	require.NoError(t, err)
	require.Equal(t, "two\n", heard)
	heard, err = late.hear(10 * time.Second)
	require.NoError(t, err)
	require.Equal(t, "three\n", heard)
}

func TestProxyRefusesAndCuts(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	c := call(t, p)
	_, err := c.ask("one", 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, 1, p.Cut(1))
	_, err = c.hear(10 * time.Second)
	cut(t, err)
	c = call(t, p)
	_, err = c.ask("two", 10*time.Second)
	require.NoError(t, err)
	p.Refuse()
	_, err = c.hear(10 * time.Second)
	cut(t, err)
	_, err = net.Dial("tcp", p.Address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	p.Pass()
	heard, err := call(t, p).ask("three", 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, "three\n", heard)
}

func TestProxyDeadens(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	c := call(t, p)
	_, err := c.ask("one", 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, 1, p.Deaden())
	_, err = c.ask("two", patience)
	silent(t, err)
	_, err = call(t, p).ask("three", 10*time.Second)
	require.NoError(t, err)
}

func TestProxySlowsAndSpoilsAnswers(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	for _, f := range []Fault{{Delay: patience}, {Rate: 10}} {
		p.Set(f)
		began := time.Now()
		_, err := call(t, p).ask("one two", 10*time.Second)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), patience)
	}
	p.Set(Fault{Truncate: 4})
	heard, err := call(t, p).ask("one two", 10*time.Second)
	cut(t, err)
	require.Equal(t, "one ", heard)
	p.Set(Fault{HalfClose: true})
	c := call(t, p)
	_, err = c.ask("one", 10*time.Second)
	require.ErrorIs(t, err, io.EOF)
	_, err = c.Write([]byte("two\n"))
	require.NoError(t, err)
	p.Set(Fault{DropAnswer: "two"})
	c = call(t, p)
	_, err = c.ask("one", 10*time.Second)
	require.NoError(t, err)
	_, err = c.ask("one two", 10*time.Second)
	cut(t, err)
	require.Equal(t, 1, p.Dropped())
}
