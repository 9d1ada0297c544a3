package clickhouse

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/analytics"
	"runa/schemas"
)

// What a proxy does to the connection of the next insert of events.
const (
	passOn      = iota
	dropAnswer  // the server has stored it; the writer does not hear
	dropRequest // the server gets the head of the request and a part of the rows
	stall       // nothing comes back
)

// proxy stands between the store and the server and harms one insert.
type proxy struct {
	listener net.Listener
	server   string
	harm     atomic.Int32
	harmed   atomic.Int32
	wait     sync.WaitGroup
}

func startProxy(t *testing.T, cfg Config) (*proxy, Config) {
	t.Helper()
	u, err := url.Parse(cfg.URL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, server: u.Host}
	p.wait.Go(func() { p.serve(t.Context()) })
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		p.wait.Wait()
	})
	u.Host = listener.Addr().String()
	cfg.URL = u.String()
	return p, cfg
}

func (p *proxy) serve(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.join(ctx, client) })
	}
}

// join carries one connection until either side or the test ends.
func (p *proxy) join(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var harm atomic.Int32
	p.wait.Go(func() {
		defer func() { _ = client.Close() }()
		p.answers(client, server, &harm)
	})
	p.requests(client, server, &harm)
}

func (p *proxy) requests(client, server net.Conn, harm *atomic.Int32) {
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		if bytes.Contains(buf[:n], []byte("INSERT+INTO+events")) {
			harm.Store(p.harm.Swap(passOn))
		}
		if harm.Load() != passOn {
			p.harmed.Add(1)
		}
		if harm.Load() == dropRequest {
			_, _ = server.Write(buf[:n-n/4])
			return
		}
		if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (p *proxy) answers(client, server net.Conn, harm *atomic.Int32) {
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		switch {
		case err != nil, harm.Load() == dropAnswer:
			return
		case harm.Load() == stall:
			_, _ = io.Copy(io.Discard, server)
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// overMonths is a batch of several parts.
func overMonths(id string) analytics.Batch {
	batch := messages("prod_1", id, 60)
	for i := range batch.Events {
		batch.Events[i].At = schemas.Millis(now.AddDate(0, -i%5, 0))
		if i%2 == 0 {
			batch.Events[i].Product = "prod_2"
		}
	}
	return batch
}

func TestCutWritesCountOnce(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]int32{"answer is lost": dropAnswer, "request is cut": dropRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := migrated(t)
			direct := open(t, cfg)
			p, cut := startProxy(t, cfg)
			s := open(t, cut)
			p.harm.Store(harm)
			err := s.Write(t.Context(), overMonths("b1"))
			require.Error(t, err)
			require.NotContains(t, err.Error(), "INSERT", "no statement and no URL")
			require.Positive(t, p.harmed.Load())
			if harm == dropAnswer {
				require.Equal(t, 30, count(t, direct, "prod_1"), "it was stored")
			}
			for range 2 {
				require.NoError(t, s.Write(t.Context(), overMonths("b1")))
				require.Equal(t, 30, count(t, direct, "prod_1"))
				require.Equal(t, 30, count(t, direct, "prod_2"))
			}
		})
	}
}

func TestWriteWaitsNoLongerThanItsTimeout(t *testing.T) {
	t.Parallel()
	cfg := migrated(t)
	direct := open(t, cfg)
	p, cut := startProxy(t, cfg)
	cut.Timeout = 2 * time.Second
	s := open(t, cut)
	p.harm.Store(stall)
	began := time.Now()
	require.ErrorIs(t, s.Write(t.Context(), overMonths("b1")), context.DeadlineExceeded)
	require.Less(t, time.Since(began), 10*time.Second)

	require.NoError(t, direct.Write(t.Context(), overMonths("b1")))
	require.Equal(t, 30, count(t, direct, "prod_1"))
}

// TestPartlyStoredBatchIsCompleted begins with what a server that died between
// two parts of a batch leaves.
func TestPartlyStoredBatchIsCompleted(t *testing.T) {
	t.Parallel()
	s := open(t, migrated(t))
	whole := overMonths("b1")
	require.NoError(t, s.Write(t.Context(), whole))
	lost := analytics.Period{From: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	require.NoError(t, s.conn.Exec(t.Context(), `ALTER TABLE events DROP PARTITION 202602`))
	f, err := s.Figures(t.Context(), "prod_1", lost)
	require.NoError(t, err)
	require.Zero(t, f.MessagesTotal)

	require.NoError(t, s.Write(t.Context(), whole))
	require.Equal(t, 30, count(t, s, "prod_1"))
	require.Equal(t, 30, count(t, s, "prod_2"))
}
