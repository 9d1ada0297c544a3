package workflows

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"runa/schemas"
)

var reindexInput = schemas.ReindexInput{ID: "idx_1"}

// newReindex is a rebuild whose walk answers in turn.
func newReindex(t *testing.T, walk ...schemas.ReindexPosition) *scene {
	t.Helper()
	s := newScene(t)
	s.on(a.StartRebuild, func(_ context.Context, in schemas.ReindexInput) error {
		s.note("start %s", in.ID)
		return nil
	}).Maybe()
	s.on(a.FillIndex, func(_ context.Context, in schemas.ReindexInput) (schemas.ReindexPosition, error) {
		s.note("fill from %s", in.Position.Product)
		at := walk[0]
		walk = walk[1:]
		return at, nil
	}).Maybe()
	s.on(a.FinishRebuild, func(_ context.Context, in schemas.ReindexInput) error {
		s.note("finish %s after %d pages", in.ID, in.Position.Pages)
		return nil
	}).Maybe()
	s.on(a.AbortRebuild, func(_ context.Context, in schemas.ReindexInput) error {
		s.note("abort %s", in.ID)
		return nil
	}).Maybe()
	return s
}

func (s *scene) runReindex(t *testing.T, in schemas.ReindexInput) error {
	t.Helper()
	s.ExecuteWorkflow(Reindex, in)
	require.True(t, s.IsWorkflowCompleted())
	return s.GetWorkflowError()
}

func TestReindexWalks(t *testing.T) {
	t.Parallel()
	s := newReindex(t,
		schemas.ReindexPosition{Product: "prod_a", Pages: 50}, schemas.ReindexPosition{Pages: 73, Done: true})
	require.NoError(t, s.runReindex(t, reindexInput))
	require.Equal(t, []string{"0s start idx_1", "0s fill from ", "0s fill from prod_a", "0s finish idx_1 after 73 pages"}, s.log)
}

func TestReindexGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	s := newReindex(t, schemas.ReindexPosition{Pages: 90, Done: true})
	in := schemas.ReindexInput{ID: "idx_1", Begun: true, Position: schemas.ReindexPosition{Product: "prod_b", Pages: 60}}
	require.NoError(t, s.runReindex(t, in))
	require.Equal(t, []string{"0s fill from prod_b", "0s finish idx_1 after 90 pages"}, s.log, "it begins once")
}

func TestReindexContinuesAsNew(t *testing.T) {
	t.Parallel()
	s := newReindex(t, schemas.ReindexPosition{Product: "prod_a", Pages: 50})
	s.SetContinueAsNewSuggested(true)
	err := s.runReindex(t, reindexInput)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &again)
	var next schemas.ReindexInput
	require.NoError(t, s.decode(again, &next))
	require.Equal(t, schemas.ReindexInput{ID: "idx_1", Begun: true}, next)
	require.Equal(t, []string{"0s start idx_1"}, s.log, "nothing is given up")
}

func TestReindexThatFailsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.on(a.StartRebuild, func(context.Context, schemas.ReindexInput) error {
		return temporal.NewNonRetryableApplicationError("another is under way", "", errors.New("no"))
	})
	s.on(a.AbortRebuild, func(context.Context, schemas.ReindexInput) error {
		s.note("abort")
		return nil
	})
	require.Error(t, s.runReindex(t, reindexInput))
	require.Equal(t, []string{"0s abort"}, s.log)
}

func TestReindexThatIsCanceledIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.on(a.StartRebuild, func(context.Context, schemas.ReindexInput) error {
		s.CancelWorkflow()
		return temporal.NewCanceledError()
	})
	s.on(a.AbortRebuild, func(context.Context, schemas.ReindexInput) error {
		s.note("abort")
		return nil
	})
	err := s.runReindex(t, reindexInput)
	require.True(t, temporal.IsCanceledError(err), "%v", err)
	require.Equal(t, []string{"0s abort"}, s.log)
}
