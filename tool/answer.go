package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"runa/outbound"
	"runa/schemas"
)

// maxErrorBody is how much of an error's body the model reads, in bytes.
const maxErrorBody = 500

// answered is the outcome of a request with an answer.
func (c *Caller) answered(ctx context.Context, r Request, resp *http.Response, seen *trace) Outcome {
	secrets := newRedactor(r.Headers)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.refused(r.Tool.Effect, resp, secrets)
	}
	// No rate is asked for: the tool's timeout ends a slow answer, and some
	// tools send the headers long before the rest.
	body, err := outbound.ReadBody(resp, outbound.Limits{Wire: c.maxBytes, Decoded: c.maxBytes, MinRate: -1})
	var out Outcome
	switch {
	case errors.Is(err, outbound.ErrTooLarge):
		out = failed(CodeTooLarge, fmt.Sprintf("the tool's answer is larger than %d bytes", c.maxBytes))
	case errors.Is(err, outbound.ErrEncoding):
		out = failed(CodeBadEncoding, "the tool's answer is compressed in a way that cannot be read")
	case err != nil:
		return unanswered(ctx, err, seen)
	default:
		out = result(resp.Header.Get("Content-Type"), body, secrets)
	}
	if out.Error != nil {
		out.Error.HTTPStatus = resp.StatusCode
	}
	return out
}

// result is the outcome of a success with its whole body.
func result(contentType string, body []byte, secrets *redactor) Outcome {
	if len(bytes.TrimSpace(body)) == 0 {
		return Outcome{Kind: Succeeded, Result: json.RawMessage("null")}
	}
	mediaType, _, _ := mime.ParseMediaType(contentType) // "" if it is none; wrong parameters do not matter
	switch {
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		if compact, ok := compactJSON(body); ok {
			return Outcome{Kind: Succeeded, Result: secrets.json(compact)}
		}
		return failed(CodeBadJSON, "the tool's answer is said to be JSON and is not")
	case strings.HasPrefix(mediaType, "text/"):
		return Outcome{Kind: Succeeded, Result: asText(body, secrets)}
	case contentType == "":
		return untyped(body, secrets)
	}
	return failed(CodeBadContentType, "the tool's answer is neither JSON nor text but "+secrets.plain(shorten(mediaType, 100)))
}

// untyped reads a body of no said type: JSON if it is, or text if it is.
func untyped(body []byte, secrets *redactor) Outcome {
	if compact, ok := compactJSON(body); ok {
		return Outcome{Kind: Succeeded, Result: secrets.json(compact)}
	}
	if utf8.Valid(body) && !bytes.ContainsRune(body, 0) {
		return Outcome{Kind: Succeeded, Result: asText(body, secrets)}
	}
	return failed(CodeBadContentType, "the tool's answer has no Content-Type and is neither JSON nor text")
}

func compactJSON(body []byte) ([]byte, bool) {
	var b bytes.Buffer
	body = bytes.TrimPrefix(body, []byte("\uFEFF")) // a byte order mark, which some servers send
	if err := json.Compact(&b, bytes.ToValidUTF8(body, []byte("\uFFFD"))); err != nil {
		return nil, false
	}
	return b.Bytes(), true
}

func asText(body []byte, secrets *redactor) json.RawMessage {
	return encode(secrets.plain(strings.ToValidUTF8(string(body), "\uFFFD")))
}

// refused is the outcome of an answer that is not a success.
func (c *Caller) refused(effect schemas.Effect, resp *http.Response, secrets *redactor) Outcome {
	status := resp.StatusCode
	if status >= 300 && status < 400 {
		_ = resp.Body.Close() // nothing of it is used
		out := failed(CodeRedirect, fmt.Sprintf("the tool answered %d, a redirect, which is not followed", status))
		out.Error.HTTPStatus = status
		return out
	}
	// The status says it all: what cannot be read of the body soon is left.
	body, _ := outbound.ReadBody(resp, outbound.Limits{Wire: c.maxBytes, Decoded: c.maxBytes, RateWindow: 2 * time.Second})
	wait, said := retryAfter(resp.Header.Get("Retry-After"), c.now())
	out := Outcome{
		Kind: kindOf(status, effect, said),
		Error: &schemas.CallError{
			Code:       CodeHTTPStatus,
			Message:    fmt.Sprintf("the tool answered %d%s", status, excerpt(body, secrets)),
			HTTPStatus: status,
		},
	}
	switch out.Kind {
	case Retry:
		out.RetryAfter = wait
	case Lost:
		out.Err = fmt.Errorf("the tool answered %d", status)
	}
	return out
}

// excerpt is the beginning of an error's body. Secrets go before it is cut: a
// part of one is no longer recognised.
func excerpt(body []byte, secrets *redactor) string {
	if compact, ok := compactJSON(body); ok {
		body = secrets.json(compact)
	}
	text := strings.TrimSpace(secrets.plain(strings.ToValidUTF8(string(body), "")))
	if text == "" {
		return ""
	}
	return ": " + shorten(text, maxErrorBody)
}
