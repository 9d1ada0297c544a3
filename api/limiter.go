package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"runa/schemas"
)

// limiter limits the requests of each key.
type limiter struct {
	mu      sync.Mutex
	rate    rate.Limit
	burst   int
	buckets map[string]*bucket
	cleaned time.Time
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

// bucketAge is how long an unused bucket is kept: it is full again long before.
const bucketAge = 10 * time.Minute

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, buckets: map[string]*bucket{}, cleaned: time.Now()}
}

// take counts a request, or refuses it and says when to come again.
func (l *limiter) take(key string) error {
	now := time.Now()
	reservation := l.bucket(key, now).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reservation.CancelAt(now)
	return &schemas.Error{Code: schemas.RateLimited, Message: "too many requests with this key", RetryAfter: wait}
}

func (l *limiter) bucket(key string, now time.Time) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.cleaned) > bucketAge {
		l.clean(now)
	}
	b := l.buckets[key]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(l.rate, l.burst)}
		l.buckets[key] = b
	}
	b.used = now
	return b
}

func (l *limiter) clean(now time.Time) {
	l.cleaned = now
	for key, b := range l.buckets {
		if now.Sub(b.used) > bucketAge {
			delete(l.buckets, key)
		}
	}
}
