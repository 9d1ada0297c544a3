package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"runa/analytics"
)

const (
	// exportDestination fences the batches of the analytics store.
	exportDestination = "analytics"
	exportBatch       = 2000
	// exportPause is how long the export rests when there is nothing to do;
	// figures lag by it.
	exportPause = 500 * time.Millisecond
	// exportShift is how long one run of the activity works, so that its
	// history stays short and the next may run elsewhere.
	exportShift = 10 * time.Minute
)

// ExportEvents sends the outbox to the analytics store, batch by batch, for a
// while, or until its worker stops. A second run goes on with the batch that
// is open: its events are fixed and its id is known to the store, so none
// counts twice.
func (a *Activities) ExportEvents(ctx context.Context) error {
	defer heartbeat(ctx)()
	stopping := activity.GetWorkerStopChannel(ctx)
	for end := time.Now().Add(exportShift); time.Now().Before(end); {
		select {
		case <-stopping:
			return nil
		default:
		}
		sent, err := a.exportBatch(ctx)
		if err == nil && sent == 0 {
			err = sleep(ctx, exportPause)
		}
		if stop := interrupted(ctx); err != nil && stop != nil {
			return stop
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Activities) exportBatch(ctx context.Context) (sent int, err error) {
	batch, err := a.config.Store.StampBatch(ctx, exportDestination, exportBatch)
	if err != nil || batch.ID == "" {
		return 0, err
	}
	a.config.Fail("batch stamped")
	if err := a.config.Analytics.Write(ctx, analytics.Batch{ID: batch.ID, Events: batch.Events}); err != nil {
		return 0, err
	}
	a.config.Fail("batch sent")
	err = a.config.Store.AckBatch(ctx, exportDestination, batch.ID)
	a.config.Fail("batch acknowledged")
	return len(batch.Events), err
}
