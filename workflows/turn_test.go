package workflows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"runa/activities"
	"runa/schemas"
	"runa/store"
)

// scene is a workflow on a clock that skips, with activities that a test
// writes. One that it did not write runs with nothing and fails the workflow.
type scene struct {
	*testsuite.TestWorkflowEnvironment
	began time.Time

	mu  sync.Mutex
	log []string
	// closed is how CloseTurn was last told to end the turn.
	closed *activities.CloseTurnInput
}

func newScene(t *testing.T) *scene {
	t.Helper()
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetLogger(quiet{})
	s := &scene{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment()}
	s.began = s.Now()
	s.SetTestTimeout(20 * time.Second)
	s.RegisterActivity(activities.New(activities.Config{}))
	return s
}

// quiet drops what the SDK logs.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// note keeps what happened and when, in whole seconds since the start.
func (s *scene) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf("%s %s", s.Now().Sub(s.began).Round(time.Second), fmt.Sprintf(format, args...)))
}

// anyArgument matches the context that every activity gets.
const anyArgument = mock.Anything

// decode reads the input of the run that comes next.
func (s *scene) decode(again *workflow.ContinueAsNewError, in any) error {
	return converter.GetDefaultDataConverter().FromPayloads(again.Input, in)
}

// on sets what an activity of one argument does.
func (s *scene) on(activity, do any) *testsuite.MockCallWrapper {
	return s.OnActivity(activity, anyArgument, anyArgument).Return(do)
}

var (
	turnInput = schemas.TurnInput{Product: "prod_a", Turn: "msg_1", Session: "s", Draft: "draft_1", BodyHash: "h"}
	errStore  = errors.New("the database is away")
)

// newTurn is a turn that opens in the status and whose end names next.
func newTurn(t *testing.T, status schemas.TurnStatus, next string) *scene {
	t.Helper()
	s := newScene(t)
	s.on(a.OpenTurn, func(_ context.Context, in schemas.TurnInput) (store.Opened, error) {
		return store.Opened{Status: status, NextStep: 1}, nil
	})
	s.on(a.CloseTurn, func(_ context.Context, in activities.CloseTurnInput) (string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = &in
		return next, nil
	}).Maybe()
	return s
}

// done is a model that has nothing to call.
func (s *scene) done() {
	s.on(a.Think, func(_ context.Context, in activities.ThinkInput) (activities.ThinkResult, error) {
		s.note("think %d", in.Step)
		return activities.ThinkResult{Done: true}, nil
	})
}

// claims makes ClaimPlace answer "queued" for n times, then "running".
func (s *scene) claims(n int) {
	s.on(a.ClaimPlace, func(context.Context, activities.TurnKey) (schemas.TurnStatus, error) {
		s.note("claim")
		if n--; n >= 0 {
			return schemas.TurnQueued, nil
		}
		return schemas.TurnRunning, nil
	})
}

func (s *scene) runTurn(t *testing.T) error {
	t.Helper()
	s.ExecuteWorkflow(Turn, turnInput)
	require.True(t, s.IsWorkflowCompleted())
	return s.GetWorkflowError()
}

func (s *scene) requireClosed(t *testing.T, status schemas.TurnStatus, failure schemas.Code) {
	t.Helper()
	require.NotNil(t, s.closed)
	require.Equal(t, activities.TurnKey{Product: "prod_a", Turn: "msg_1"}, s.closed.TurnKey)
	require.Equal(t, status, s.closed.Status)
	if failure == "" {
		require.Nil(t, s.closed.Error)
		return
	}
	require.NotNil(t, s.closed.Error)
	require.Equal(t, failure, s.closed.Error.Code)
}

func failing(code schemas.Code, message string) error {
	return temporal.NewNonRetryableApplicationError(message, string(code), nil)
}

func TestTurnThinksAndCloses(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	s.done()
	require.NoError(t, s.runTurn(t))
	require.Equal(t, []string{"0s think 1"}, s.log)
	s.requireClosed(t, schemas.TurnCompleted, "")
}

func TestTurnLooksForItsPlaceEverLessOften(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnQueued, "")
	s.claims(7)
	s.done()
	require.NoError(t, s.runTurn(t))
	require.Equal(t, []string{
		"30s claim", "1m30s claim", "3m30s claim", "7m30s claim", "15m30s claim", "25m30s claim", "35m30s claim",
		"45m30s claim", "45m30s think 1",
	}, s.log)
}

func TestTurnLooksWhenItsPlaceIsOffered(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnQueued, "")
	s.claims(1)
	s.done()
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(placeSignal, nil) }, 5*time.Second)
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(placeSignal, nil) }, 7*time.Second)
	require.NoError(t, s.runTurn(t))
	require.Equal(t, []string{"5s claim", "7s claim", "7s think 1"}, s.log)
	s.requireClosed(t, schemas.TurnCompleted, "")
}

// A turn that the sweep has ended meanwhile has no place to wait for.
func TestTurnEndsWhenItsPlaceIsGone(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnQueued, "")
	s.on(a.ClaimPlace, func(context.Context, activities.TurnKey) (schemas.TurnStatus, error) {
		return schemas.TurnFailed, nil
	})
	s.on(a.Think, func(context.Context, activities.ThinkInput) (activities.ThinkResult, error) {
		return activities.ThinkResult{}, failing(schemas.Gone, "not running")
	}).Maybe()
	require.NoError(t, s.runTurn(t))
}

func TestTurnCanceledWhileQueued(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnQueued, "msg_2")
	s.OnSignalExternalWorkflow(mock.Anything, "turn/prod_a/msg_2", "", placeSignal, mock.Anything).Return(nil).Once()
	s.RegisterDelayedCallback(s.CancelWorkflow, 5*time.Second)
	require.NoError(t, s.runTurn(t), "a turn that was accepted completes its workflow")
	s.requireClosed(t, schemas.TurnCanceled, "")
	s.AssertExpectations(t)
}

func TestTurnCanceledWhileThinking(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "msg_2")
	s.OnActivity(a.Think, mock.Anything, mock.Anything).After(time.Minute).Return(activities.ThinkResult{Done: true}, nil)
	s.OnSignalExternalWorkflow(mock.Anything, "turn/prod_a/msg_2", "", placeSignal, mock.Anything).Return(nil).Once()
	s.RegisterDelayedCallback(s.CancelWorkflow, 5*time.Second)
	require.NoError(t, s.runTurn(t))
	s.requireClosed(t, schemas.TurnCanceled, "")
	s.AssertExpectations(t)
}

// A cancel that comes before the turn is opened must not leave a row whose
// workflow has ended.
func TestTurnCanceledAtOnce(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	s.RegisterDelayedCallback(s.CancelWorkflow, 0)
	require.NoError(t, s.runTurn(t))
	s.requireClosed(t, schemas.TurnCanceled, "")
}

func TestTurnCallsToolsSideBySide(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	rounds := map[int]activities.ThinkResult{1: {Calls: []string{"call_a", "call_b"}}, 2: {Calls: nil}, 3: {Done: true}}
	s.on(a.Think, func(_ context.Context, in activities.ThinkInput) (activities.ThinkResult, error) {
		s.note("think %d", in.Step)
		return rounds[in.Step], nil
	})
	for call, takes := range map[string]time.Duration{"call_a": 20 * time.Second, "call_b": 10 * time.Second} {
		key := activities.CallKey{TurnKey: activities.TurnKey{Product: "prod_a", Turn: "msg_1"}, Call: call}
		s.OnActivity(a.CallTool, mock.Anything, key).After(takes).Return(nil).Once()
	}
	require.NoError(t, s.runTurn(t))
	require.Equal(t, []string{"0s think 1", "20s think 2", "20s think 3"}, s.log)
	s.AssertExpectations(t)
}

func TestTurnWaitsForAllCallsBeforeItFails(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	s.on(a.Think, func(context.Context, activities.ThinkInput) (activities.ThinkResult, error) {
		return activities.ThinkResult{Calls: []string{"call_a", "call_b"}}, nil
	})
	s.on(a.CallTool, func(_ context.Context, in activities.CallKey) error {
		s.note("%s", in.Call)
		if in.Call == "call_a" {
			return failing(schemas.NotFound, "no call")
		}
		return nil
	})
	require.NoError(t, s.runTurn(t))
	require.Len(t, s.log, 2)
	s.requireClosed(t, schemas.TurnFailed, schemas.NotFound)
}

func TestTurnGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.on(a.OpenTurn, func(_ context.Context, in schemas.TurnInput) (store.Opened, error) {
		require.Equal(t, turnInput, in)
		return store.Opened{Status: schemas.TurnRunning, NextStep: 7}, nil
	})
	s.done()
	s.on(a.CloseTurn, func(context.Context, activities.CloseTurnInput) (string, error) { return "", nil })
	require.NoError(t, s.runTurn(t))
	require.Equal(t, []string{"0s think 7"}, s.log)
}

func TestTurnThatHasEndedDoesNothing(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnCompleted, "")
	require.NoError(t, s.runTurn(t))
	require.Nil(t, s.closed)
}

func TestTurnRefusedFailsItsWorkflow(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.on(a.OpenTurn, func(context.Context, schemas.TurnInput) (store.Opened, error) {
		return store.Opened{Refusal: schemas.Errorf(schemas.ConversationBusy, "eight wait")}, nil
	})
	err := s.runTurn(t)
	var refusal *temporal.ApplicationError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, string(schemas.ConversationBusy), refusal.Type())
	require.True(t, refusal.NonRetryable())
}

func TestTurnContinuesAsNew(t *testing.T) {
	t.Parallel()
	for _, status := range []schemas.TurnStatus{schemas.TurnRunning, schemas.TurnQueued} {
		s := newTurn(t, status, "")
		s.SetContinueAsNewSuggested(true)
		err := s.runTurn(t)
		var again *workflow.ContinueAsNewError
		require.ErrorAs(t, err, &again, status)
		require.Equal(t, "Turn", again.WorkflowType.Name)
		require.Nil(t, s.closed, "the turn goes on")
	}
}

// Someone else ended the turn: what the workflow says of it changes nothing.
func TestTurnSupersededEndsSilently(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	s.on(a.Think, func(context.Context, activities.ThinkInput) (activities.ThinkResult, error) {
		s.note("think")
		return activities.ThinkResult{}, failing(schemas.Gone, "the turn is not running")
	})
	require.NoError(t, s.runTurn(t))
	require.Equal(t, []string{"0s think"}, s.log)
}

func TestTurnOfADeletedProductEndsSilently(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.on(a.OpenTurn, func(context.Context, schemas.TurnInput) (store.Opened, error) {
		return store.Opened{Status: schemas.TurnQueued, NextStep: 1}, nil
	})
	s.on(a.ClaimPlace, func(context.Context, activities.TurnKey) (schemas.TurnStatus, error) {
		return "", failing(schemas.NotFound, "no turn")
	})
	s.on(a.CloseTurn, func(context.Context, activities.CloseTurnInput) (string, error) {
		return "", failing(schemas.NotFound, "no turn")
	})
	require.NoError(t, s.runTurn(t))
}

func TestTurnOutlastsAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	// The tenth is 20 s after the first.
	failures := map[string]int{"open": 10, "close": 10}
	away := func(what string) error {
		failures[what]--
		if failures[what] < 0 {
			return nil
		}
		return errStore
	}
	s.on(a.OpenTurn, func(context.Context, schemas.TurnInput) (store.Opened, error) {
		return store.Opened{Status: schemas.TurnRunning, NextStep: 1}, away("open")
	})
	s.done()
	s.on(a.CloseTurn, func(context.Context, activities.CloseTurnInput) (string, error) { return "", away("close") })
	require.NoError(t, s.runTurn(t))
	require.Equal(t, map[string]int{"open": -1, "close": -1}, failures)
}

// The offer is a hint: the next turn looks by itself too.
func TestTurnEndsThoughTheNextIsGone(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "msg_2")
	s.done()
	s.OnSignalExternalWorkflow(mock.Anything, "turn/prod_a/msg_2", "", placeSignal, mock.Anything).
		Return(errors.New("no such workflow")).Once()
	require.NoError(t, s.runTurn(t))
	s.AssertExpectations(t)
}

func TestTurnWorksForADayAtMost(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	thoughts := 0
	s.on(a.Think, func(context.Context, activities.ThinkInput) (activities.ThinkResult, error) {
		thoughts++
		return activities.ThinkResult{}, nil
	}).After(50 * time.Minute)
	require.NoError(t, s.runTurn(t))
	require.Equal(t, 29, thoughts, "29 times 50 minutes are more than a day")
	s.requireClosed(t, schemas.TurnFailed, schemas.TurnLimit)
}

func TestTurnCountsTheTimeOfEarlierRuns(t *testing.T) {
	t.Parallel()
	s := newTurn(t, schemas.TurnRunning, "")
	s.on(a.Think, func(context.Context, activities.ThinkInput) (activities.ThinkResult, error) {
		s.SetContinueAsNewSuggested(true)
		return activities.ThinkResult{}, nil
	}).After(50 * time.Minute)
	in := turnInput
	in.Held = 3 * time.Hour
	s.ExecuteWorkflow(Turn, in)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, s.GetWorkflowError(), &again)
	var next schemas.TurnInput
	require.NoError(t, s.decode(again, &next))
	require.Equal(t, 3*time.Hour+50*time.Minute, next.Held)

	late := newTurn(t, schemas.TurnRunning, "")
	next.Held = 24 * time.Hour
	late.ExecuteWorkflow(Turn, next)
	require.NoError(t, late.GetWorkflowError())
	late.requireClosed(t, schemas.TurnFailed, schemas.TurnLimit)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	timeout := temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, errStore)
	for name, c := range map[string]struct {
		outcome error
		status  schemas.TurnStatus
		code    schemas.Code
		message string
	}{
		"done":              {nil, schemas.TurnCompleted, "", ""},
		"canceled":          {temporal.NewCanceledError(), schemas.TurnCanceled, "", ""},
		"out of time":       {timeout, schemas.TurnFailed, schemas.TurnLimit, "the turn ran out of time"},
		"model unavailable": {failing(schemas.ModelUnavailable, "the model is away"), schemas.TurnFailed, schemas.ModelUnavailable, "the model is away"},
		"model refused":     {failing(schemas.ModelRefused, "no"), schemas.TurnFailed, schemas.ModelRefused, "no"},
		"rate limited":      {failing(schemas.RateLimited, "slow"), schemas.TurnFailed, schemas.RateLimited, "slow"},
		"turn limit":        {failing(schemas.TurnLimit, "2,000 calls"), schemas.TurnFailed, schemas.TurnLimit, "2,000 calls"},
		"wrapped":           {fmt.Errorf("activity: %w", failing(schemas.ModelRefused, "no")), schemas.TurnFailed, schemas.ModelRefused, "no"},
		"no code":           {errStore, schemas.TurnFailed, schemas.Internal, "Internal error"},
		"internal":          {failing(schemas.Internal, "secret detail"), schemas.TurnFailed, schemas.Internal, "Internal error"},
		"type of Go":        {failing("errorString", "secret detail"), schemas.TurnFailed, schemas.Internal, "Internal error"},
		"newer code":        {failing("some_code_of_a_newer_worker", "detail"), schemas.TurnFailed, schemas.Internal, "Internal error"},
	} {
		status, failure := verdict(c.outcome)
		require.Equal(t, c.status, status, name)
		if c.code == "" {
			require.Nil(t, failure, name)
			continue
		}
		require.Equal(t, schemas.Errorf(c.code, "%s", c.message), failure, name)
	}
}
