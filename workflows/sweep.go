package workflows

import "go.temporal.io/sdk/workflow"

// Sweep looks once for what was left behind; a schedule starts it again and
// again.
func Sweep(ctx workflow.Context) error {
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, sweeping), a.Sweep).Get(ctx, nil)
}
