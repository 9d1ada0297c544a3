package tool_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runa/schemas"
	"runa/tool"
)

// mustRaw starts a server that hands each connection to serve.
func mustRaw(t testing.TB, serve func(net.Conn)) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func readRequest(conn net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

func call(t testing.TB, ctx context.Context, method, endpoint string, timeoutMs int, allow ...string) tool.Outcome {
	t.Helper()
	start := time.Now()
	out := mustCaller(t, allow...).Call(ctx, tool.Request{
		Tool:           schemas.Tool{Endpoint: endpoint, Method: method, Effect: schemas.EffectUnsafe, TimeoutMs: timeoutMs},
		IdempotencyKey: "turn/1/0",
	})
	requireWhole(t, out)
	require.Less(t, time.Since(start), 5*time.Second)
	return out
}

func requireOutcome(t testing.TB, out tool.Outcome, kind tool.Kind, code string) {
	t.Helper()
	require.Equal(t, kind, out.Kind, "%+v %v", out.Error, out.Err)
	require.Equal(t, code, out.Error.Code, "%+v %v", out.Error, out.Err)
}

func TestACutAfterTheRequestIsLostAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST", "DELETE"} {
		var requests atomic.Int64
		base := mustRaw(t, func(conn net.Conn) {
			if readRequest(conn) {
				requests.Add(1)
			}
		})
		requireOutcome(t, call(t, context.Background(), method, base, 2000, "127.0.0.1"), tool.Lost, tool.CodeConnectionLost)
		require.EqualValues(t, 1, requests.Load(), method)
	}
}

func TestBrokenAnswersAreLost(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":         "",
		"no HTTP":         "SSH-2.0-x\r\n\r\n",
		"half a head":     "HTTP/1.1 200 OK\r\nContent-",
		"half a body":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"half a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf",
		"a broken chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"too long a head": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
	} {
		base := mustRaw(t, func(conn net.Conn) {
			if readRequest(conn) {
				_, _ = io.WriteString(conn, answer)
			}
		})
		out := call(t, context.Background(), "POST", base, 2000, "127.0.0.1")
		require.Equal(t, tool.Lost, out.Kind, name)
		require.Equal(t, tool.CodeConnectionLost, out.Error.Code, name)
	}
}

func TestSlowAnswersAreLost(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"before the head": "",
		"in the head":     "HTTP/1.1 200 OK\r\n",
		"after the head":  "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
		"in chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		base := mustRaw(t, func(conn net.Conn) {
			if !readRequest(conn) {
				return
			}
			_, _ = io.WriteString(conn, head)
			_, _ = io.Copy(io.Discard, conn) // until the caller leaves
		})
		out := call(t, context.Background(), "POST", base, 150, "127.0.0.1")
		requireOutcome(t, out, tool.Lost, tool.CodeTimeout)
		require.ErrorIs(t, out.Err, context.DeadlineExceeded, name)
	}
}

func TestSlowLorisIsLost(t *testing.T) {
	t.Parallel()
	base := mustServe(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-tick.C
		}
	})
	requireOutcome(t, call(t, context.Background(), "POST", base, 200, "127.0.0.1"), tool.Lost, tool.CodeTimeout)
}

func TestErrorStatusWithASlowBodyIsKnown(t *testing.T) {
	t.Parallel()
	base := mustServe(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "no such thing")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	out := call(t, context.Background(), "POST", base, 150, "127.0.0.1")
	requireOutcome(t, out, tool.Failed, tool.CodeHTTPStatus)
	require.Equal(t, "the tool answered 404: no such thing", out.Error.Message)
}

func TestLargeAnswersAreCut(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"10 MB": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<20)) },
		"without end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		},
		"a bomb": func(w http.ResponseWriter, r *http.Request) {
			z := gzip.NewWriter(w)
			for r.Context().Err() == nil {
				if _, err := z.Write(make([]byte, 64<<10)); err != nil || z.Flush() != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		},
	} {
		for _, status := range []int{200, 400} {
			base := mustServe(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if name == "a bomb" {
					w.Header().Set("Content-Encoding", "gzip")
				}
				w.WriteHeader(status)
				handler(w, r)
			})
			code := tool.CodeTooLarge
			if status == 400 {
				code = tool.CodeHTTPStatus
			}
			out := call(t, context.Background(), "POST", base, 4000, "127.0.0.1")
			require.Equal(t, tool.Failed, out.Kind, "%s %d %+v %v", name, status, out.Error, out.Err)
			require.Equal(t, code, out.Error.Code, name)
		}
	}
}

func TestMemoryOfLargeAnswersIsBounded(t *testing.T) {
	base := mustServe(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 64<<10)
		for range 160 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	caller := mustCaller(t, "127.0.0.1")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		out := caller.Call(context.Background(), tool.Request{Tool: schemas.Tool{Endpoint: base, Method: "POST", TimeoutMs: 4000}})
		require.Equal(t, tool.CodeTooLarge, out.Error.Code)
	}
	runtime.ReadMemStats(&after)
	perCall := (after.TotalAlloc - before.TotalAlloc) / 20
	t.Logf("%d KB allocated per call that is answered with 10 MB", perCall>>10)
	require.Less(t, perCall, uint64(4<<20))
}

func TestWhatWasNotSent(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	plain := mustServe(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	t.Cleanup(secure.Close)
	hung := mustRaw(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, c := range []struct{ endpoint, code string }{
		{"http://" + closed.Addr().String(), tool.CodeUnreachable},
		{"http://nowhere.invalid/", tool.CodeUnreachable},
		{secure.URL, tool.CodeTLS},
		{strings.Replace(plain, "http:", "https:", 1), tool.CodeTLS},
		{strings.Replace(hung, "http:", "https:", 1), tool.CodeTLS},
	} {
		out := call(t, context.Background(), "POST", c.endpoint, 300, "127.0.0.1", "nowhere.invalid")
		require.Equal(t, tool.NotSent, out.Kind, "%s %v", c.endpoint, out.Err)
		require.Contains(t, []string{c.code, tool.CodeUnreachable}, out.Error.Code, c.endpoint)
	}
}

func TestBlockedAndRedirected(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	inner := mustServe(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	requireOutcome(t, call(t, context.Background(), "POST", inner, 2000), tool.Failed, tool.CodeBlocked)
	requireOutcome(t, call(t, context.Background(), "POST", "http://169.254.169.254/latest", 2000), tool.Failed, tool.CodeBlocked)
	for _, status := range []int{301, 302, 303, 304, 307, 308} {
		for _, location := range []string{inner, "http://169.254.169.254/", "%zz", ""} {
			outer := mustServe(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			out := call(t, context.Background(), "GET", outer, 2000, "127.0.0.1")
			requireOutcome(t, out, tool.Failed, tool.CodeRedirect)
			require.Equal(t, status, out.Error.HTTPStatus)
		}
	}
	require.Zero(t, hits.Load())
}

func TestCancelTellsWhatWasSent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	base := mustRaw(t, func(conn net.Conn) {
		if readRequest(conn) {
			cancel()
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	out := call(t, ctx, "POST", base, 2000, "127.0.0.1")
	requireOutcome(t, out, tool.Lost, tool.CodeCanceled)
	require.ErrorIs(t, out.Err, context.Canceled)

	out = call(t, ctx, "POST", base, 2000, "127.0.0.1") // already ended
	requireOutcome(t, out, tool.NotSent, tool.CodeCanceled)
	require.ErrorIs(t, out.Err, context.Canceled)
}
