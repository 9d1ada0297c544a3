package outbound

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/andybalholm/brotli"
)

// Why a body was not read to its end.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrTooSlow  = errors.New("the body comes too slowly")
	// ErrEncoding is a Content-Encoding that is broken or not read.
	ErrEncoding = errors.New("the body's encoding cannot be read")
)

// AcceptEncoding is the Accept-Encoding of what ReadBody decodes. A request
// without the header is answered without compression.
const AcceptEncoding = "gzip, deflate, br"

// ratioFloor is how much may be decoded before the ratio is looked at: small
// bodies of one repeated character are no bombs.
const ratioFloor = 64 << 10

// Limits bound the reading of a body. A field of 0 is its default.
type Limits struct {
	// Wire is the most bytes as sent. Default 5 MB.
	Wire int64
	// Decoded is the most bytes after decompression. Default 10 MB.
	Decoded int64
	// Ratio is the most decoded bytes per byte as sent. Default 100.
	Ratio int64
	// MinRate is the fewest bytes per second as sent, over each RateWindow.
	// Default 1 KB; negative: no such limit.
	MinRate int64
	// RateWindow defaults to 10 s.
	RateWindow time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Wire = cmp.Or(l.Wire, 5<<20)
	l.Decoded = cmp.Or(l.Decoded, 10<<20)
	l.Ratio = cmp.Or(l.Ratio, 100)
	l.MinRate = cmp.Or(l.MinRate, 1<<10)
	l.RateWindow = cmp.Or(l.RateWindow, 10*time.Second)
	return l
}

// ReadBody reads and decodes the body of an answer, and closes it. The error
// is ErrTooLarge, ErrTooSlow, ErrEncoding, or that of the connection or
// context; what was decoded before it is returned with it.
func ReadBody(resp *http.Response, limits Limits) ([]byte, error) {
	l := limits.withDefaults()
	wire := &wireReader{src: resp.Body, limit: l.Wire}
	slow := wire.watch(resp.Body, l)
	data, err := readDecoded(wire, resp.Header, l)
	switch {
	case slow.stop():
		err = ErrTooSlow
	case wire.err != nil:
		err = wire.err // a decoder may have wrapped or replaced it
	}
	if closeErr := resp.Body.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	return data, err
}

// wireReader counts bytes as they were sent, and ends at a limit.
type wireReader struct {
	src   io.Reader
	limit int64
	n     atomic.Int64
	// err is the first failure that is not the end.
	err error
}

// Read implements io.Reader.
func (w *wireReader) Read(p []byte) (int, error) {
	n, err := w.src.Read(p)
	if w.n.Add(int64(n)) > w.limit {
		err = ErrTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) && w.err == nil {
		w.err = err
	}
	return n, err
}

// watchdog closes a body that comes too slowly, which ends a blocked Read.
type watchdog struct {
	timer *time.Timer
	slow  atomic.Bool
	done  atomic.Bool
}

func (w *wireReader) watch(body io.Closer, l Limits) *watchdog {
	d := &watchdog{}
	if l.MinRate < 0 {
		return d
	}
	need := int64(float64(l.MinRate) * l.RateWindow.Seconds())
	ready := make(chan struct{})
	var last int64
	d.timer = time.AfterFunc(l.RateWindow, func() {
		<-ready // d.timer is set
		now := w.n.Load()
		if d.done.Load() {
			return
		}
		if now-last < need {
			d.slow.Store(true)
			_ = body.Close() // ErrTooSlow says more
			return
		}
		last = now
		d.timer.Reset(l.RateWindow)
	})
	close(ready)
	return d
}

// stop ends the watch and tells whether the body was too slow.
func (d *watchdog) stop() bool {
	d.done.Store(true)
	if d.timer != nil {
		d.timer.Stop()
	}
	return d.slow.Load()
}

func readDecoded(wire *wireReader, header http.Header, l Limits) ([]byte, error) {
	decoded, err := decoder(wire, header)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	buf := make([]byte, 16<<10)
	for {
		n, err := decoded.Read(buf)
		size := int64(out.Len() + n)
		if size > l.Decoded || (size > ratioFloor && size > l.Ratio*wire.n.Load()) {
			return out.Bytes(), ErrTooLarge
		}
		out.Write(buf[:n])
		switch {
		case errors.Is(err, io.EOF):
			return out.Bytes(), nil
		case err != nil && decoded == io.Reader(wire):
			return out.Bytes(), err
		case err != nil:
			return out.Bytes(), fmt.Errorf("%w: %w", ErrEncoding, err)
		}
	}
}

// decoder undoes the one Content-Encoding that an answer may have. Several, one
// inside the other, are what bombs use.
func decoder(wire io.Reader, header http.Header) (io.Reader, error) {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(header.Values("Content-Encoding"), ",")))
	var r io.Reader
	var err error
	switch coding {
	case "", "identity":
		return wire, nil
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(wire)
	case "deflate":
		r, err = inflate(wire)
	case "br":
		r, err = unbrotli(wire)
	default:
		return nil, fmt.Errorf("%w: Content-Encoding is not one of %s", ErrEncoding, AcceptEncoding)
	}
	if errors.Is(err, io.EOF) {
		return bytes.NewReader(nil), nil // no body at all, such as of a 304
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return r, nil
}

// inflate reads "deflate", which is zlib by the standard and bare flate by
// some servers.
func inflate(wire io.Reader) (io.Reader, error) {
	r := bufio.NewReader(wire)
	head, err := r.Peek(2)
	switch {
	case len(head) == 1:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

// unbrotli reads "br". Unlike the others it would take no body for a cut one.
func unbrotli(wire io.Reader) (io.Reader, error) {
	r := bufio.NewReader(wire)
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	return brotli.NewReader(r), nil
}
