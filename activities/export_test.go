package activities_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"runa/activities"
	"runa/activities/activitiestest"
	"runa/analytics"
	"runa/schemas"
)

// figures is an analytics.Store that tells of each batch it has written, and
// may then fail.
type figures struct {
	analytics.Store
	wrote func(batch analytics.Batch) error
}

func (f *figures) Write(ctx context.Context, batch analytics.Batch) error {
	if err := f.Store.Write(ctx, batch); err != nil {
		return err
	}
	return f.wrote(batch)
}

// export works until the outbox is empty: its worker stops then.
func export(t *testing.T, b *activitiestest.Bench, stopping chan struct{}) error {
	t.Helper()
	env := environment(t.Context(), b)
	env.SetWorkerStopChannel(stopping)
	_, err := env.ExecuteActivity(b.ExportEvents)
	return err
}

func TestExportCountsEachEventOnce(t *testing.T) {
	t.Parallel()
	var batches []string
	stopping := make(chan struct{})
	fails := errors.New("no answer, though it was written")
	b := activitiestest.New(t, func(cfg *activities.Config) {
		cfg.Analytics = &figures{Store: cfg.Analytics, wrote: func(batch analytics.Batch) error {
			batches = append(batches, batch.ID)
			if fails == nil {
				close(stopping)
			}
			return fails
		}}
	})
	for _, turn := range []string{"msg_1", "msg_2"} {
		key := b.Opened(t, "s", turn, "how do I export my invoices?")
		_, err := b.CloseTurn(t.Context(), activities.CloseTurnInput{TurnKey: key, Status: schemas.TurnCompleted})
		require.NoError(t, err)
	}
	require.ErrorContains(t, export(t, b, stopping), "no answer")
	b.Opened(t, "other", "msg_3", "this comes too late for the batch")
	fails = nil
	require.NoError(t, export(t, b, stopping), "a worker that stops ends the shift")
	require.Equal(t, batches[0], batches[1], "the batch that is open is sent again")

	got, err := b.Analytics.Figures(t.Context(), product, analytics.Period{})
	require.NoError(t, err)
	require.Equal(t, 1, got.Conversations)
	require.Equal(t, 2, got.MessagesTotal)
	left, err := b.Store.OutboxDepth(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, left, "the event that came later waits for the next batch")
}

func TestExportEndsWithItsWorker(t *testing.T) {
	t.Parallel()
	b := activitiestest.New(t, nil)
	stopping := make(chan struct{})
	close(stopping)
	require.NoError(t, export(t, b, stopping))
}

func TestExportCanceled(t *testing.T) {
	t.Parallel()
	b := activitiestest.New(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := environment(ctx, b).ExecuteActivity(b.ExportEvents)
	require.ErrorContains(t, err, context.Canceled.Error())
}
