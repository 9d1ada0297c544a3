package workflows

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"runa/schemas"
)

var errEngine = errors.New("connection refused")

// mockEngine is an engine that answers what a test tells it to.
func mockEngine(t *testing.T) (*Client, *mocks.Client) {
	t.Helper()
	engine := &mocks.Client{}
	t.Cleanup(func() { engine.AssertExpectations(t) })
	return &Client{Temporal: engine}, engine
}

func starts(engine *mocks.Client) *mock.Call {
	return engine.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything)
}

func missingWorkflow() error { return serviceerror.NewNotFound("no such workflow") }

func TestStartTurnIsAFunctionOfTheTurn(t *testing.T) {
	t.Parallel()
	c, engine := mockEngine(t)
	starts(engine).Return(nil, nil).Run(func(args mock.Arguments) {
		options, ok := args.Get(1).(client.StartWorkflowOptions)
		require.True(t, ok)
		require.Equal(t, "turn/prod_a/msg_1", options.ID)
		require.Equal(t, TurnQueue, options.TaskQueue)
		require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, options.WorkflowIDReusePolicy)
		require.Zero(t, options.WorkflowExecutionTimeout, "a timeout would end the workflow without its row")
		require.Zero(t, options.WorkflowRunTimeout)
	})
	started, err := c.StartTurn(t.Context(), turnInput)
	require.NoError(t, err)
	require.True(t, started)
}

func TestEngineThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	c, engine := mockEngine(t)
	starts(engine).Return(nil, errEngine)
	_, err := c.StartTurn(t.Context(), turnInput)
	require.ErrorIs(t, err, errEngine)
	require.Equal(t, schemas.Unavailable, schemas.CodeOf(err))
	require.Positive(t, schemas.AsError(err).RetryAfter)
	require.Equal(t, schemas.Unavailable, schemas.CodeOf(c.StartCrawl(t.Context(), "prod_a", "ks_1", 1)))
	require.Equal(t, schemas.Unavailable, schemas.CodeOf(c.StartPurge(t.Context(), "prod_a", "ks_1")))
}

func TestOfferPlaceToATurnThatIsGone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, missingWorkflow(), errEngine} {
		c, engine := mockEngine(t)
		engine.On("SignalWorkflow", mock.Anything, "turn/prod_a/msg_1", "", placeSignal, nil).Return(err)
		offered := c.OfferPlace(t.Context(), "prod_a", "msg_1")
		require.Equal(t, errors.Is(err, errEngine), offered != nil, "%v", err)
	}
}

func TestTurnOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status enumspb.WorkflowExecutionStatus
		err    error
		open   bool
	}{
		"running":  {enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil, true},
		"ended":    {enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, nil, false},
		"ended by": {enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, nil, false},
		"missing":  {0, missingWorkflow(), false},
		"away":     {0, errEngine, false},
	} {
		client, engine := mockEngine(t)
		engine.On("DescribeWorkflowExecution", mock.Anything, "turn/prod_a/msg_1", "").Return(inStatus(c.status), c.err)
		open, err := client.TurnOpen(t.Context(), "prod_a", "msg_1")
		require.Equal(t, c.open, open, name)
		require.Equal(t, errors.Is(c.err, errEngine), err != nil, name)
	}
}

func inStatus(status enumspb.WorkflowExecutionStatus) *workflowservice.DescribeWorkflowExecutionResponse {
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status},
	}
}

func TestStopCrawlSaysWhetherItEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		canceled  error
		status    enumspb.WorkflowExecutionStatus
		described error
		ended     bool
		fails     bool
	}{
		"runs on":        {nil, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil, false, false},
		"ended":          {nil, enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, nil, true, false},
		"never was":      {missingWorkflow(), 0, missingWorkflow(), true, false},
		"engine is away": {nil, 0, errEngine, false, true},
	} {
		client, engine := mockEngine(t)
		engine.On("CancelWorkflow", mock.Anything, "crawl/prod_a/ks_1", "").Return(c.canceled)
		engine.On("DescribeWorkflowExecution", mock.Anything, "crawl/prod_a/ks_1", "").Return(inStatus(c.status), c.described)
		ended, err := client.StopCrawl(t.Context(), "prod_a", "ks_1")
		require.Equal(t, c.ended, ended, name)
		require.Equal(t, c.fails, err != nil, name)
	}
}
