package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is well below the shortest heartbeat timeout of
// workflows/options.go; the SDK sends fewer of them.
const heartbeatEvery = time.Second

// heartbeat beats until stop is called; the start of the activity counts as a
// beat, so a short one costs none. It is the first statement of every activity
// that may last: work before it is work that a dead worker's timeout does not
// see, and a cancel arrives only with a beat.
func heartbeat(ctx context.Context) (stop func()) {
	beating, end := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		for sleep(beating, heartbeatEvery) == nil {
			activity.RecordHeartbeat(ctx)
		}
	})
	return func() {
		end()
		ended.Wait()
	}
}

// sleep waits, or returns early with the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
