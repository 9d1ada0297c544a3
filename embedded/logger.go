package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// errFatal marks an error that the server reported as one it cannot survive,
// such as a port that is taken.
var errFatal = errors.New("fatal")

// serverLogger takes the server's log. Temporal ends the process on what it
// calls fatal; a library must not, so here the calling goroutine ends and the
// error is delivered to the owner of the server.
type serverLogger struct {
	slog   *slog.Logger
	level  *slog.LevelVar
	failed chan error
}

var (
	_ log.Logger      = (*serverLogger)(nil)
	_ log.SLogWrapper = (*serverLogger)(nil)
)

func newServerLogger(logger *slog.Logger) *serverLogger {
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	handler := minimum{Handler: logger.Handler(), level: level}
	return &serverLogger{slog: slog.New(handler), level: level, failed: make(chan error, 1)}
}

// quiet drops all from now on: the parts of a server that is being stopped
// complain that the others are gone.
func (l *serverLogger) quiet() { l.level.Set(slog.LevelError + 1) }

// SLog gives the server's own SDK workers the same log.
func (l *serverLogger) SLog() *slog.Logger { return l.slog }

// Debug is dropped: a healthy server is quiet.
func (l *serverLogger) Debug(string, ...tag.Tag) {}

// Info is dropped: a healthy server is quiet.
func (l *serverLogger) Info(string, ...tag.Tag) {}

// expected begins the one warning of a server that is set up as this one is.
const expected = "HTTP API port has not been set"

// Warn logs at Warn, except what is expected.
func (l *serverLogger) Warn(message string, tags ...tag.Tag) {
	if strings.HasPrefix(message, expected) {
		return
	}
	l.log(slog.LevelWarn, message, tags)
}

// Error logs at Error.
func (l *serverLogger) Error(message string, tags ...tag.Tag) {
	l.log(slog.LevelError, message, tags)
}

// DPanic logs at Error: it panics in development builds of the server only.
func (l *serverLogger) DPanic(message string, tags ...tag.Tag) {
	l.log(slog.LevelError, message, tags)
}

// Panic logs and panics.
func (l *serverLogger) Panic(message string, tags ...tag.Tag) {
	l.log(slog.LevelError, message, tags)
	panic(message)
}

// Fatal delivers the error and ends the calling goroutine.
func (l *serverLogger) Fatal(message string, tags ...tag.Tag) {
	select {
	case l.failed <- fmt.Errorf("%w: %s%s", errFatal, message, text(tags)):
	default:
	}
	runtime.Goexit()
}

func (l *serverLogger) log(level slog.Level, message string, tags []tag.Tag) {
	ctx := context.Background()
	if !l.slog.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, len(tags))
	for i, t := range tags {
		attrs[i] = slog.Any(t.Key(), t.Value())
	}
	l.slog.LogAttrs(ctx, level, message, attrs...)
}

func text(tags []tag.Tag) (list string) {
	for _, t := range tags {
		list += fmt.Sprintf(", %s=%v", t.Key(), t.Value())
	}
	return list
}

// run calls f on a goroutine of its own, so that Fatal may end it, and returns
// f's error or the fatal one.
func (l *serverLogger) run(f func() error) error {
	result := make(chan error, 1)
	go func() {
		finished := false
		defer func() {
			// A sync.Once between f and Fatal turns the end of the goroutine into
			// a panic.
			if p := recover(); p != nil && len(l.failed) == 0 {
				panic(p)
			}
			if !finished {
				result <- nil
			}
		}()
		err := f()
		finished = true
		result <- err
	}()
	err := <-result
	select {
	case fatal := <-l.failed:
		return errors.Join(fatal, err)
	default:
		return err
	}
}

// minimum is a slog handler that drops what is below a level.
type minimum struct {
	slog.Handler
	level *slog.LevelVar
}

func (m minimum) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= m.level.Level() && m.Handler.Enabled(ctx, level)
}

func (m minimum) WithAttrs(attrs []slog.Attr) slog.Handler {
	return minimum{Handler: m.Handler.WithAttrs(attrs), level: m.level}
}

func (m minimum) WithGroup(name string) slog.Handler {
	return minimum{Handler: m.Handler.WithGroup(name), level: m.level}
}
