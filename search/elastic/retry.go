package elastic

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// attempts is how often a write is sent before its caller hears of it:
	// with the waits between them about five seconds.
	attempts  = 8
	firstWait = 50 * time.Millisecond
	maxWait   = 2 * time.Second
)

// retry runs f until it succeeds, fails for good, or was run often enough. All
// that is retried may be sent twice: a chunk has one id.
func retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == attempts || !passing(err) {
			return err
		}
		if err := sleep(ctx, wait(n)); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// passing reports whether an error may be gone when the same is sent again.
// That is so of all but what Elasticsearch has understood.
func passing(err error) bool {
	var f *failure
	if errors.As(err, &f) {
		return passingStatus(f.Status)
	}
	return !errors.Is(err, errNoIndex)
}

func passingStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// wait grows with n, by half at random so that many writers do not come back
// at once.
func wait(n int) time.Duration {
	most := min(firstWait<<(n-1), maxWait)
	return most/2 + rand.N(most/2) //nolint:gosec // spreads retries, hides nothing
}

// sleep waits, and returns the context's error when it ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
