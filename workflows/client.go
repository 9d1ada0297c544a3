package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"runa/activities"
	"runa/schemas"
)

// Client starts workflows and talks to those that run, by ids that are a
// function of what they are about. It is safe for concurrent use.
type Client struct {
	Temporal client.Client
	// Remote says that the engine is another process, which may go away while
	// this one lives: when it takes no connection, a caller hears of it within
	// 2 s.
	Remote bool
}

var _ activities.Engine = (*Client)(nil)

// bodyHashMemo is the memo field by which two starts under one
// Idempotency-Key are compared.
const bodyHashMemo = "bodyHash"

// StartTurn starts the workflow of a turn. started is false when it exists
// already with the same body; another body is schemas.IdempotencyMismatch. An
// engine that cannot be reached is schemas.Unavailable: the turn may have been
// started, and the same call again finds out.
func (c *Client) StartTurn(ctx context.Context, in schemas.TurnInput) (started bool, err error) {
	options := client.StartWorkflowOptions{
		ID:                       schemas.TurnWorkflowID(in.Product, in.Turn),
		TaskQueue:                TurnQueue,
		WorkflowTaskTimeout:      TaskTimeout,
		EnableEagerStart:         true,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		// The SDK's default answers with the run that exists, silently.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Memo:                                     map[string]any{bodyHashMemo: in.BodyHash},
		Priority:                                 fairly(in.Product),
	}
	err = c.patiently(ctx, func(ctx context.Context) error {
		_, err := c.Temporal.ExecuteWorkflow(ctx, options, Turn, in)
		return err
	})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return false, c.sameBody(ctx, options.ID, in.BodyHash)
	}
	return err == nil, unavailable(err)
}

// patiently makes a call that may be made again. It tells a remote engine that
// is away from one that is slow: the one fails the call, the other is waited
// for as long as the caller does.
func (c *Client) patiently(ctx context.Context, call func(context.Context) error) error {
	const patience, answer = 1200 * time.Millisecond, 500 * time.Millisecond
	if !c.Remote {
		return call(ctx)
	}
	for {
		bounded, cancel := context.WithTimeout(ctx, patience)
		err := call(bounded)
		late := bounded.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return err
		}
		asked, cancel := context.WithTimeout(ctx, answer)
		ping := c.Ping(asked)
		cancel()
		// An engine that does not answer the ping either may have too much to
		// do; one that takes no connection is not there.
		if away := (*serviceerror.Unavailable)(nil); errors.As(ping, &away) {
			return errors.Join(err, ping)
		}
	}
}

// Ping asks the engine whether it is healthy.
func (c *Client) Ping(ctx context.Context) error {
	if _, err := c.Temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("durable engine: %w", err)
	}
	return nil
}

func (c *Client) sameBody(ctx context.Context, id, hash string) error {
	d, err := c.Temporal.DescribeWorkflow(ctx, id, "")
	if err != nil {
		return unavailable(err)
	}
	var known string
	if err := d.GetMemoValue(bodyHashMemo, &known); err != nil {
		return fmt.Errorf("memo of %s: %w", id, err)
	}
	if known != hash {
		return schemas.Errorf(schemas.IdempotencyMismatch, "this Idempotency-Key was used with another body")
	}
	return nil
}

// unavailable turns the engine's failures into the caller's error.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(&schemas.Error{
		Code: schemas.Unavailable, Message: "the durable engine cannot be reached", RetryAfter: 2 * time.Second,
	}, err)
}

// TurnOpen implements activities.Engine.
func (c *Client) TurnOpen(ctx context.Context, product, turn string) (bool, error) {
	return c.open(ctx, schemas.TurnWorkflowID(product, turn))
}

func (c *Client) open(ctx context.Context, id string) (bool, error) {
	d, err := c.Temporal.DescribeWorkflowExecution(ctx, id, "")
	if isNotFound(err) {
		return false, nil
	}
	return err == nil && d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, err
}

// OfferPlace implements activities.Engine.
func (c *Client) OfferPlace(ctx context.Context, product, turn string) error {
	err := c.Temporal.SignalWorkflow(ctx, schemas.TurnWorkflowID(product, turn), "", placeSignal, nil)
	if isNotFound(err) {
		return nil
	}
	return err
}

// StartCrawl implements activities.Engine.
func (c *Client) StartCrawl(ctx context.Context, product, source string, run int64) error {
	in := schemas.CrawlInput{Product: product, Source: source, Run: run}
	return c.start(ctx, schemas.CrawlWorkflowID(product, source), CrawlQueue, fairly(product), Crawl, in)
}

// StartPurge implements activities.Engine.
func (c *Client) StartPurge(ctx context.Context, product, source string) error {
	in := schemas.PurgeInput{Product: product, Source: source}
	return c.start(ctx, schemas.PurgeWorkflowID(product, source), CrawlQueue, fairly(product), Purge, in)
}

// StartExport implements activities.Engine.
func (c *Client) StartExport(ctx context.Context) error {
	return c.start(ctx, ExportWorkflowID, TurnQueue, first, Export)
}

// StartReindex starts the rebuild of the index unless one runs.
func (c *Client) StartReindex(ctx context.Context) error {
	in := schemas.ReindexInput{ID: schemas.NewID(schemas.RebuildPrefix)}
	return c.start(ctx, schemas.ReindexWorkflowID, CrawlQueue, first, Reindex, in)
}

// CancelReindex ends the rebuild that runs, if one does; the index goes on with
// what it had.
func (c *Client) CancelReindex(ctx context.Context) error {
	if err := c.Temporal.CancelWorkflow(ctx, schemas.ReindexWorkflowID, ""); err != nil && !isNotFound(err) {
		return unavailable(err)
	}
	return nil
}

// Reindex tells of the newest rebuild, for as long as histories are kept.
func (c *Client) Reindex(ctx context.Context) (schemas.Reindex, error) {
	d, err := c.Temporal.DescribeWorkflowExecution(ctx, schemas.ReindexWorkflowID, "")
	if isNotFound(err) {
		return schemas.Reindex{Status: schemas.ReindexNone}, nil
	}
	if err != nil {
		return schemas.Reindex{}, unavailable(err)
	}
	info := d.GetWorkflowExecutionInfo()
	started := schemas.Time(info.GetStartTime().AsTime())
	view := schemas.Reindex{Status: reindexStatus(info.GetStatus()), StartedAt: &started}
	if view.Status != schemas.ReindexRunning {
		ended := schemas.Time(info.GetCloseTime().AsTime())
		view.EndedAt = &ended
	}
	return view, nil
}

func reindexStatus(status enumspb.WorkflowExecutionStatus) schemas.ReindexStatus {
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return schemas.ReindexRunning
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return schemas.ReindexCompleted
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return schemas.ReindexCanceled
	default:
		return schemas.ReindexFailed
	}
}

// start starts a workflow unless one of its id runs.
func (c *Client) start(ctx context.Context, id, queue string, priority temporal.Priority, workflow any, args ...any) error {
	options := client.StartWorkflowOptions{
		ID: id, TaskQueue: queue, WorkflowTaskTimeout: TaskTimeout, Priority: priority,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}
	return unavailable(c.patiently(ctx, func(ctx context.Context) error {
		_, err := c.Temporal.ExecuteWorkflow(ctx, options, workflow, args...)
		return err
	}))
}

// StopCrawl implements activities.Engine.
func (c *Client) StopCrawl(ctx context.Context, product, source string) (ended bool, err error) {
	id := schemas.CrawlWorkflowID(product, source)
	if err := c.Temporal.CancelWorkflow(ctx, id, ""); err != nil && !isNotFound(err) {
		return false, err
	}
	open, err := c.open(ctx, id)
	return !open && err == nil, err
}

// sweepEvery is how often the sweep looks.
const sweepEvery = 30 * time.Second

// sweepSchedule names the schedule of the sweep.
const sweepSchedule = "sweep"

// StartHousekeeping makes the schedule of the sweep and starts the export,
// each unless it is there.
func (c *Client) StartHousekeeping(ctx context.Context) error {
	_, err := c.Temporal.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:      sweepSchedule,
		Spec:    client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: sweepEvery}}},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		Action: &client.ScheduleWorkflowAction{
			ID: sweepSchedule, Workflow: Sweep, TaskQueue: TurnQueue, WorkflowTaskTimeout: TaskTimeout, Priority: first,
		},
	})
	if err != nil && !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("schedule the sweep: %w", err)
	}
	return c.StartExport(ctx)
}

func isNotFound(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}
