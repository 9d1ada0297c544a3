package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"runa/schemas"
	"runa/store"
	"runa/telemetry"
)

const requestIDKey = "runa.requestId"

// givenID is a request id that a caller may choose.
var givenID = regexp.MustCompile(`^[A-Za-z0-9_.:/+=-]{1,128}$`)

// requestID names the request in its answer and in the log.
func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }

// observe names, traces, counts and times each request, and survives its
// panic.
func (s *Server) observe(c *gin.Context) {
	id := c.GetHeader("X-Request-Id")
	if !givenID.MatchString(id) {
		id = schemas.NewID(schemas.RequestPrefix)
	}
	c.Set(requestIDKey, id)
	c.Header("X-Request-Id", id)
	c.Header("X-Content-Type-Options", "nosniff")
	began := time.Now()
	traced := s.trace(c)
	defer func() {
		if p := recover(); p != nil {
			s.fail(c, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
		s.metrics.request(c, time.Since(began))
		traced()
	}()
	c.Next()
}

// trace begins the span of a request, as a child of the caller's if it names
// one, and returns what ends it. Probes and scrapes are not traced.
func (s *Server) trace(c *gin.Context) (end func()) {
	if s.Traces == nil || !strings.HasPrefix(c.FullPath(), "/v1/") {
		return func() {}
	}
	ctx, span := s.Traces.Tracer(telemetry.Scope).Start(callersTrace(c.Request), telemetry.HTTPSpan(c.Request.Method, c.FullPath()),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			telemetry.KeyHTTPMethod.String(c.Request.Method), telemetry.KeyHTTPRoute.String(c.FullPath()),
			telemetry.KeyRequest.String(requestID(c))))
	c.Request = c.Request.WithContext(ctx)
	return func() {
		if p, ok := c.Get(principalKey); ok {
			span.SetAttributes(telemetry.KeyProduct.String(p.(store.Principal).Product))
		}
		status := c.Writer.Status()
		span.SetAttributes(telemetry.KeyHTTPStatus.Int(status))
		if status >= http.StatusInternalServerError {
			span.SetAttributes(telemetry.KeyErrorType.String(strconv.Itoa(status)))
			span.SetStatus(otelcodes.Error, "")
		}
		span.End()
	}
}

// callersTrace is the request's context with the trace that the caller's
// traceparent names. Its tracestate is left out: it is text of others, which
// would be carried through every workflow.
func callersTrace(r *http.Request) context.Context {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	caller := trace.SpanContextFromContext(ctx)
	return trace.ContextWithRemoteSpanContext(ctx, caller.WithTraceState(trace.TraceState{}))
}
