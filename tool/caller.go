package tool

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"runa/outbound"
	"runa/schemas"
)

// Config is what a Caller needs.
type Config struct {
	// Client sends the requests; required. It comes from outbound with fresh
	// connections (outbound.ClientConfig's zero value), so that Go sends
	// nothing twice. Its timeout and redirects are not used: the tool's are.
	Client *http.Client
	// MaxResponseBytes is the largest answer. Default 256 KB.
	MaxResponseBytes int64
	// UserAgent defaults to "Runa".
	UserAgent string
	// Now is the clock against which dates of Retry-After are read. Default
	// time.Now.
	Now func() time.Time
}

// Caller makes calls. It is safe for concurrent use.
type Caller struct {
	transport http.RoundTripper
	maxBytes  int64
	userAgent string
	now       func() time.Time
}

// New makes a Caller.
func New(cfg Config) *Caller {
	c := &Caller{
		// The transport alone sends one request and follows nothing.
		transport: cfg.Client.Transport,
		maxBytes:  cmp.Or(cfg.MaxResponseBytes, 256<<10),
		userAgent: cmp.Or(cfg.UserAgent, "Runa"),
		now:       cfg.Now,
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// Request is one call of a tool. Empty ids are not sent.
type Request struct {
	Tool schemas.Tool
	// Headers are the tool's secret headers.
	Headers map[string]string
	// Arguments are what the model gave.
	Arguments json.RawMessage
	// IdempotencyKey is the same for every attempt of the call.
	IdempotencyKey string
	Product        string
	Session        string
	Turn           string
	Call           string
}

// Call sends the request once and waits for its answer, no longer than the
// tool's timeout. Arguments that the tool does not take are not sent.
func (c *Caller) Call(ctx context.Context, r Request) Outcome {
	to, err := checkArguments(r.Tool, r.Arguments)
	if err != nil {
		return failed(CodeBadArguments, schemas.MessageOf(err))
	}
	timeout := cmp.Or(r.Tool.TimeoutMs, schemas.DefaultToolTimeoutMs)
	bounded, cancel := context.WithTimeout(ctx, time.Duration(timeout)*time.Millisecond)
	defer cancel()

	var seen trace
	req, err := c.request(seen.follow(bounded), r, to)
	if err != nil {
		return failed(CodeBadArguments, "the arguments do not make a valid address")
	}
	resp, err := c.transport.RoundTrip(req) //nolint:bodyclose // answered closes it
	if err != nil {
		return unanswered(ctx, err, &seen)
	}
	return c.answered(ctx, r, resp, &seen)
}

// trace is how far a request came.
type trace struct {
	// sent is set once there is a connection, TLS included: the first moment
	// at which a byte of the request may leave.
	sent atomic.Bool
	// tlsFailed is set when a handshake ended in an error.
	tlsFailed atomic.Bool
}

func (t *trace) follow(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { t.sent.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				t.tlsFailed.Store(true)
			}
		},
	})
}

func (c *Caller) request(ctx context.Context, r Request, to *target) (*http.Request, error) {
	var body io.Reader
	if to.body != nil {
		body = bytes.NewReader(to.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Tool.Method, to.url, body)
	if err != nil {
		return nil, err
	}
	// Without GetBody, and with the connection closed after its one request,
	// net/http has no way to send again.
	req.GetBody = nil
	req.Close = true
	c.setHeaders(req.Header, r, to.body != nil)
	return req, nil
}

// setHeaders sets Runa's own headers last: no header of a tool replaces them.
func (c *Caller) setHeaders(h http.Header, r Request, hasBody bool) {
	h.Set("Accept", "application/json")
	h.Set("User-Agent", c.userAgent)
	for name, value := range r.Headers {
		h.Set(name, value)
	}
	if hasBody {
		h.Set("Content-Type", "application/json")
	}
	for name, value := range map[string]string{
		"Idempotency-Key": r.IdempotencyKey,
		"Runa-Product":    r.Product,
		"Runa-Session":    r.Session,
		"Runa-Turn":       r.Turn,
		"Runa-Call":       r.Call,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// unanswered is the outcome of a request without a whole answer.
func unanswered(ctx context.Context, err error, seen *trace) Outcome {
	if errors.Is(err, outbound.ErrBlocked) {
		return failed(CodeBlocked, "the tool's address is not allowed")
	}
	out := Outcome{Kind: NotSent, Err: err}
	if seen.sent.Load() {
		out.Kind = Lost
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		out.Err = fmt.Errorf("%w: %w", ended, err)
	}
	code, message := reasonOf(ctx, err, seen)
	out.Error = &schemas.CallError{Code: code, Message: message}
	return out
}

func reasonOf(ctx context.Context, err error, seen *trace) (code, message string) {
	var timeout interface{ Timeout() bool }
	switch {
	case ctx.Err() != nil:
		return CodeCanceled, "the call was given up before the tool answered"
	case !seen.sent.Load() && seen.tlsFailed.Load():
		return CodeTLS, "there is no secure connection to the tool: its certificate or TLS setup is wrong"
	case !seen.sent.Load():
		return CodeUnreachable, "the tool cannot be reached"
	case errors.As(err, &timeout) && timeout.Timeout():
		return CodeTimeout, "the tool did not answer in time; whether it did what was asked is not known"
	}
	return CodeConnectionLost, "the connection to the tool was lost; whether it did what was asked is not known"
}
