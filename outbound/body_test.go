package outbound_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/stretchr/testify/require"

	"runa/outbound"
)

// compressor makes a compressed body, piece by piece.
type compressor func(io.Writer) flushCloser

type flushCloser interface {
	io.WriteCloser
	Flush() error
}

func gzipped(w io.Writer) flushCloser { return gzip.NewWriter(w) }

func zlibbed(w io.Writer) flushCloser { return zlib.NewWriter(w) }

func brotlied(w io.Writer) flushCloser { return brotli.NewWriter(w) }

func flated(w io.Writer) flushCloser {
	f, err := flate.NewWriter(w, flate.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	return f
}

var compressors = []struct {
	coding string
	make   compressor
}{
	{"gzip", gzipped},
	{"X-GZip", gzipped},
	{"deflate", zlibbed},
	{"deflate", flated},
	{"br", brotlied},
}

// fetch reads what handler answers, within limits.
func fetch(t *testing.T, limits outbound.Limits, handler http.HandlerFunc) ([]byte, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	require.NoError(t, err)
	resp, err := mustPolicy(t, inside).Client(outbound.ClientConfig{}).Do(req)
	require.NoError(t, err)
	return outbound.ReadBody(resp, limits)
}

func compressed(t *testing.T, c compressor, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := c(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestReadBodyDecodes(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("a plain text, ", 100))
	for _, c := range compressors {
		got, err := fetch(t, outbound.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", c.coding)
			_, _ = w.Write(compressed(t, c.make, text))
		})
		require.NoError(t, err, c.coding)
		require.Equal(t, text, got, c.coding)
	}
	got, err := fetch(t, outbound.Limits{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	require.NoError(t, err)
	require.Equal(t, text, got)
}

func TestReadBodyWithoutBody(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"", "gzip", "deflate", "br"} {
		got, err := fetch(t, outbound.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			w.WriteHeader(http.StatusNotModified)
		})
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

func TestReadBodyRefusesEncodings(t *testing.T) {
	t.Parallel()
	good := compressed(t, gzipped, []byte("text"))
	for _, c := range []struct {
		coding string
		body   []byte
	}{
		{"gzip, gzip", compressed(t, gzipped, good)},
		{"br, gzip", good},
		{"zstd", good},
		{"gzip", []byte("no gzip at all")},
		{"gzip", good[:len(good)-6]},
		{"deflate", []byte("\xff\xff\xff\xff")},
		{"deflate", []byte("x")},
		{"br", []byte("\xff\xff\xff\xff")},
	} {
		_, err := fetch(t, outbound.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", c.coding)
			_, _ = w.Write(c.body)
		})
		require.ErrorIs(t, err, outbound.ErrEncoding, c.coding)
	}
}

func TestBombsEndInsideLimits(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 64<<10)
	for _, c := range compressors {
		for name, limits := range map[string]outbound.Limits{
			"decoded": {Decoded: 256 << 10, Ratio: 1 << 40},
			"ratio":   {Decoded: 1 << 40},
		} {
			got, err := fetch(t, limits, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", c.coding)
				z := c.make(w)
				for r.Context().Err() == nil { // without end, unless the client leaves
					if _, err := z.Write(zeros); err != nil || z.Flush() != nil {
						return
					}
					w.(http.Flusher).Flush()
				}
			})
			require.ErrorIs(t, err, outbound.ErrTooLarge, "%s %s", c.coding, name)
			require.LessOrEqual(t, len(got), 2<<20, "%s %s", c.coding, name)
		}
	}
}

func TestEndlessBodyEndsAtTheWireLimit(t *testing.T) {
	t.Parallel()
	got, err := fetch(t, outbound.Limits{Wire: 100_000}, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	require.ErrorIs(t, err, outbound.ErrTooLarge)
	require.LessOrEqual(t, len(got), 100_000+16<<10)
	require.NotEmpty(t, got, "what was read is returned")
}

func TestBodyAtTheLimitIsRead(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), 1000)
	write := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	got, err := fetch(t, outbound.Limits{Wire: 1000, Decoded: 1000}, write)
	require.NoError(t, err)
	require.Equal(t, body, got)
	_, err = fetch(t, outbound.Limits{Wire: 999}, write)
	require.ErrorIs(t, err, outbound.ErrTooLarge)
	_, err = fetch(t, outbound.Limits{Decoded: 999}, write)
	require.ErrorIs(t, err, outbound.ErrTooLarge)
}

// drip writes a byte now and then until the client leaves.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, _ = io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"a byte now and then": drip,
		"nothing after the headers": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		start := time.Now()
		_, err := fetch(t, outbound.Limits{RateWindow: 200 * time.Millisecond}, handler)
		require.ErrorIs(t, err, outbound.ErrTooSlow, name)
		require.Less(t, time.Since(start), 3*time.Second, name)
	}
}

func TestSlowEnoughBodiesAreRead(t *testing.T) {
	t.Parallel()
	for _, limits := range []outbound.Limits{
		{MinRate: 1, RateWindow: time.Second},
		{MinRate: -1, RateWindow: time.Millisecond},
	} {
		got, err := fetch(t, limits, func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(30 * time.Millisecond)
			defer tick.Stop()
			for range 5 {
				<-tick.C
				_, _ = io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			}
		})
		require.NoError(t, err)
		require.Equal(t, "xxxxx", string(got))
	}
}

func TestCutBodyIsAnError(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"", "gzip"} {
		_, err := fetch(t, outbound.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Content-Encoding", coding)
			_, _ = w.Write(compressed(t, gzipped, []byte("text"))[:12])
		})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotErrorIs(t, err, outbound.ErrEncoding)
	}
}

func FuzzReadBody(f *testing.F) {
	f.Add("gzip", []byte("\x1f\x8b\x08"))
	f.Add("deflate", []byte("x\x9cK\x04\x00\x00b\x00b"))
	f.Add("", []byte("text"))
	f.Fuzz(func(t *testing.T, coding string, body []byte) {
		resp := &http.Response{Header: http.Header{"Content-Encoding": {coding}}, Body: io.NopCloser(bytes.NewReader(body))}
		got, err := outbound.ReadBody(resp, outbound.Limits{Wire: 1 << 10, Decoded: 4 << 10, MinRate: -1})
		require.LessOrEqual(t, len(got), 4<<10)
		if err != nil {
			require.True(t, errors.Is(err, outbound.ErrTooLarge) || errors.Is(err, outbound.ErrEncoding), err)
		}
	})
}
