package workflows

import "go.temporal.io/sdk/workflow"

// ExportWorkflowID names the one export of an installation. It paces only: the
// fence is in the rows.
const ExportWorkflowID = "export"

// Export sends events to the analytics store for ever, shift by shift.
func Export(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, exporting)
	for range exportShifts {
		if err := workflow.ExecuteActivity(ctx, a.ExportEvents).Get(ctx, nil); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(ctx, Export)
}
