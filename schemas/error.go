package schemas

import (
	"errors"
	"fmt"
	"time"
)

// Code names a failure for the caller. The set is closed: openapi.yaml lists
// it, and the API maps each code to one HTTP status.
type Code string

// The error codes of the API.
const (
	InvalidRequest      Code = "invalid_request"
	UnknownField        Code = "unknown_field"
	Unauthenticated     Code = "unauthenticated"
	Forbidden           Code = "forbidden"
	ProductMismatch     Code = "product_mismatch"
	NotFound            Code = "not_found"
	MethodNotAllowed    Code = "method_not_allowed"
	Conflict            Code = "conflict"
	ConversationBusy    Code = "conversation_busy"
	Gone                Code = "gone"
	TooLarge            Code = "too_large"
	UnsupportedMedia    Code = "unsupported_media_type"
	IdempotencyMismatch Code = "idempotency_mismatch"
	TurnLimit           Code = "turn_limit"
	RateLimited         Code = "rate_limited"
	ModelUnavailable    Code = "model_unavailable"
	ModelRefused        Code = "model_refused"
	Unavailable         Code = "unavailable"
	Interrupted         Code = "interrupted"
	Internal            Code = "internal"
)

// Error is a failure that may be told to the caller. Every other error is
// reported as Internal: its text goes to the operator's log and nowhere else.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Param is the field or parameter at fault, if there is one.
	Param string `json:"param,omitempty"`
	// TurnID is the turn that failed, if there is one.
	TurnID string `json:"-"`
	// RetryAfter is how long the caller should wait; 0 is unsaid.
	RetryAfter time.Duration `json:"-"`
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf makes an Error with a formatted message for the caller.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid is an InvalidRequest that names the field at fault.
func Invalid(param, format string, args ...any) *Error {
	return &Error{Code: InvalidRequest, Message: fmt.Sprintf(format, args...), Param: param}
}

// CodeOf returns the code of the Error in err's chain, Internal for any other
// error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e := AsError(err); e != nil {
		return e.Code
	}
	return Internal
}

// AsError returns the Error in err's chain, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// MessageOf is an error as a person or a model reads it: without the code that
// the API sends beside it.
func MessageOf(err error) string {
	if e := AsError(err); e != nil {
		return e.Message
	}
	return err.Error()
}
