package tool

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"runa/schemas"
)

// Kind says what became of a call, and so what may be done next.
type Kind string

// The kinds of outcomes.
const (
	// Succeeded: the tool answered; Result is set.
	Succeeded Kind = "succeeded"
	// Failed is definitive: the same call again would fail again.
	Failed Kind = "failed"
	// Retry: the tool did not do it, or doing it again is harmless by the
	// tool's effect.
	Retry Kind = "retry"
	// NotSent: not a byte of the request left, so it may be sent later
	// whatever its effect.
	NotSent Kind = "not_sent"
	// Lost: the request may have taken effect and its answer is not known.
	// The caller decides by the tool's effect.
	Lost Kind = "lost"
)

// The codes of errors, as the model reads them.
const (
	CodeBadArguments   = "bad_arguments"    // they do not fit the tool's schema
	CodeBlocked        = "blocked"          // the address is not allowed
	CodeUnreachable    = "unreachable"      // no such host, or it does not accept connections
	CodeTLS            = "tls"              // no secure connection, such as a wrong certificate
	CodeTimeout        = "timeout"          // no answer, or not all of it, in the tool's time
	CodeCanceled       = "canceled"         // the caller gave up
	CodeConnectionLost = "connection_lost"  // cut, or answered with something that is not HTTP
	CodeHTTPStatus     = "http_status"      // an answer of 4xx or 5xx
	CodeRedirect       = "redirect"         // an answer of 3xx: they are not followed
	CodeTooLarge       = "too_large"        // an answer above the limit
	CodeBadJSON        = "bad_json"         // said to be JSON, and is not
	CodeBadContentType = "bad_content_type" // neither JSON nor text
	CodeBadEncoding    = "bad_encoding"     // compressed in a way that is not read
)

// Outcome is what became of one call.
type Outcome struct {
	Kind Kind
	// Result is JSON: the tool's, compacted; its text as a string; or null
	// for an empty answer. Nil unless Succeeded.
	Result json.RawMessage
	// Error is for the model and the API; nil if Succeeded. It holds no value
	// of the secret headers.
	Error *schemas.CallError
	// RetryAfter is how long a tool that answered Retry asked to be left
	// alone, at most a day; 0 is unsaid.
	RetryAfter time.Duration
	// Err is the cause of NotSent and Lost, for the log only; with a context
	// that ended before the call did, its error is in the chain.
	Err error
}

func failed(code, message string) Outcome {
	return Outcome{Kind: Failed, Error: &schemas.CallError{Code: code, Message: message}}
}

// kindOf says what an answer that is not a success means for a tool of the
// effect.
func kindOf(status int, effect schemas.Effect, retryAfter bool) Kind {
	repeatable := effect == schemas.EffectRead || effect == schemas.EffectIdempotent
	switch status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return Retry
	case http.StatusBadGateway, http.StatusGatewayTimeout,
		520, 522, 524: // Cloudflare's words for the same: the tool may have done it
		return Lost
	case http.StatusServiceUnavailable:
		if retryAfter || repeatable {
			return Retry
		}
	case http.StatusInternalServerError:
		if repeatable {
			return Retry
		}
	}
	return Failed
}

// maxRetryAfter keeps a mistaken header from stopping a call for years.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads a Retry-After header: seconds or a date.
func retryAfter(header string, now time.Time) (wait time.Duration, ok bool) {
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil {
		limit := uint64(maxRetryAfter / time.Second)
		return time.Duration(min(seconds, limit)) * time.Second, true
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), maxRetryAfter), true
}
