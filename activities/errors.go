package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"runa/llm"
	"runa/schemas"
)

// engineError is the one place where an activity's error becomes Temporal's: the code
// becomes the type, and what cannot get better by waiting is not retried.
// Errors without a code are retried as they are.
func engineError(err error) error {
	var model *llm.Error
	if errors.As(err, &model) {
		return applicationError(model.Code, model.Message, !model.Retryable, model.RetryAfter)
	}
	if e := schemas.AsError(err); e != nil {
		return applicationError(e.Code, e.Message, e.Code != schemas.Unavailable, e.RetryAfter)
	}
	return err
}

func applicationError(code schemas.Code, message string, final bool, delay time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(message, string(code), temporal.ApplicationErrorOptions{
		NonRetryable: final, NextRetryDelay: delay,
	})
}

// interrupted reports whether the activity was told to stop, and if so what to
// return: a worker that shuts down is tried again elsewhere and says nothing
// of the work, a cancel is the workflow's wish.
func interrupted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), worker.ErrWorkerShutdown) {
		return applicationError(schemas.Unavailable, "the worker is shutting down", false, 0)
	}
	return ctx.Err()
}
