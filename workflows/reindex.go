package workflows

import (
	"go.temporal.io/sdk/workflow"

	"runa/schemas"
)

// Reindex fills the index anew from the records while the old one serves, and
// puts it in the old one's place. The records are walked in shifts; what
// changes meanwhile is written to both by whoever changes it.
func Reindex(ctx workflow.Context, in schemas.ReindexInput) error {
	ctx = workflow.WithActivityOptions(ctx, reindexing)
	err := reindex(ctx, in)
	if err == nil || workflow.IsContinueAsNewError(err) {
		return err
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if abort := workflow.ExecuteActivity(ctx, a.AbortRebuild, in).Get(ctx, nil); abort != nil {
		workflow.GetLogger(ctx).Warn("the rebuild could not be given up", "error", abort)
	}
	return err
}

func reindex(ctx workflow.Context, in schemas.ReindexInput) error {
	if !in.Begun {
		if err := workflow.ExecuteActivity(ctx, a.StartRebuild, in).Get(ctx, nil); err != nil {
			return err
		}
		in.Begun = true
	}
	for !in.Position.Done {
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Reindex, in)
		}
		if err := workflow.ExecuteActivity(ctx, a.FillIndex, in).Get(ctx, &in.Position); err != nil {
			return err
		}
	}
	return workflow.ExecuteActivity(ctx, a.FinishRebuild, in).Get(ctx, nil)
}
