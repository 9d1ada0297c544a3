package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"runa/schemas"
)

// TurnRecord is all that is recorded of a turn.
type TurnRecord struct {
	ID        string
	Session   string
	Seq       int64
	Status    schemas.TurnStatus
	BodyHash  string
	Message   string
	Reply     string
	Citations []schemas.Citation
	Answered  bool
	Degraded  bool
	Error     *schemas.Error
	CreatedAt time.Time
	Steps     []StepRecord
	Calls     []CallRecord
}

// StepRecord is a step of a turn.
type StepRecord struct {
	N       int
	Claims  int
	Began   time.Time
	Ended   time.Time
	Outcome *StepOutcome // nil while it is not done
}

// Turn reads a turn with its steps and calls as they are at one moment.
func (s *Store) Turn(ctx context.Context, product, turn string) (TurnRecord, error) {
	var r TurnRecord
	err := s.view(ctx, func(t *tx) (err error) {
		r, err = t.readTurn(ctx, product, turn, "")
		return err
	})
	return r, err
}

// readTurn reads a turn, its row with a lock if one is given.
func (t *tx) readTurn(ctx context.Context, product, turn, lock string) (TurnRecord, error) {
	r := TurnRecord{ID: turn}
	var created int64
	var citations string
	var failure sql.NullString
	err := t.row(ctx, `SELECT t.conversation, t.seq, t.status, t.body_hash, m.content, t.reply, t.citations,
			t.answered, t.degraded, t.error, t.created_at
		FROM turns t JOIN messages m ON m.product = t.product AND m.turn = t.id AND m.role = 'user'
		WHERE t.product = ? AND t.id = ?`+lock, product, turn).
		Scan(&r.Session, &r.Seq, &r.Status, &r.BodyHash, &r.Message, &r.Reply, &citations,
			&r.Answered, &r.Degraded, &failure, &created)
	if err != nil {
		return r, notFound(err, "turn", turn)
	}
	r.CreatedAt = schemas.FromMillis(created)
	if err := json.Unmarshal([]byte(citations), &r.Citations); err != nil {
		return r, err
	}
	if failure.Valid {
		if err := json.Unmarshal([]byte(failure.String), &r.Error); err != nil {
			return r, err
		}
	}
	if r.Steps, err = t.readSteps(ctx, product, turn); err != nil {
		return r, err
	}
	r.Calls, err = t.readCalls(ctx, product, turn)
	return r, err
}

func (t *tx) readSteps(ctx context.Context, product, turn string) ([]StepRecord, error) {
	rows, err := t.query(ctx, `SELECT n, claim, claimed_at, ended_at, outcome FROM steps
		WHERE product = ? AND turn = ? ORDER BY n`, product, turn)
	return collect(rows, err, func(rows *sql.Rows) (StepRecord, error) {
		var r StepRecord
		var began int64
		var ended sql.NullInt64
		var outcome sql.NullString
		if err := rows.Scan(&r.N, &r.Claims, &began, &ended, &outcome); err != nil {
			return r, err
		}
		r.Began, r.Ended = schemas.FromMillis(began), schemas.FromMillis(ended.Int64)
		if !outcome.Valid {
			return r, nil
		}
		return r, json.Unmarshal([]byte(outcome.String), &r.Outcome)
	})
}

// lastOutcome is what the newest finished model step said.
func (r *TurnRecord) lastOutcome() StepOutcome {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if s := r.Steps[i]; s.N != RetrieveStep && s.Outcome != nil {
			return *s.Outcome
		}
	}
	return StepOutcome{}
}

// Usage counts the model calls, those that came to nothing too.
func (r *TurnRecord) Usage() schemas.Usage {
	var u schemas.Usage
	for _, s := range r.Steps {
		if s.N == RetrieveStep {
			continue
		}
		u.ModelCalls += s.Claims
		if s.Outcome != nil {
			u.InputTokens += s.Outcome.Usage.InputTokens
			u.OutputTokens += s.Outcome.Usage.OutputTokens
		}
	}
	return u
}

func (r *TurnRecord) toolNames() []string {
	var names []string
	for _, c := range r.Calls {
		names = append(names, c.Name)
	}
	return names
}

func (r *TurnRecord) anyCallSucceeded() bool {
	for _, c := range r.Calls {
		if c.Status == schemas.CallSucceeded {
			return true
		}
	}
	return false
}

// View is the turn as the API shows it, with its steps if asked for.
func (r *TurnRecord) View(withSteps bool) schemas.Turn {
	v := schemas.Turn{
		ID: r.ID, Reply: r.Reply, ToolCalls: []schemas.ToolCall{}, SessionID: r.Session, Status: r.Status,
		Citations: orEmpty(r.Citations), Answered: r.Answered, Degraded: r.Degraded, Usage: r.Usage(),
		Error: r.Error, CreatedAt: schemas.Time(r.CreatedAt),
	}
	for _, c := range r.Calls {
		v.ToolCalls = append(v.ToolCalls, c.view())
	}
	if withSteps {
		v.Steps = []schemas.Step{}
		for _, s := range r.Steps {
			v.Steps = append(v.Steps, s.view())
		}
	}
	return v
}

func (s StepRecord) view() schemas.Step {
	v := schemas.Step{Step: s.N, Kind: schemas.StepModel, Attempts: s.Claims, StartedAt: schemas.Time(s.Began)}
	if s.N == RetrieveStep {
		v.Kind = schemas.StepRetrieve
	}
	if s.Outcome != nil {
		v.DurationMs = max(0, s.Ended.Sub(s.Began).Milliseconds())
		v.Model, v.Passages, v.CallIDs = s.Outcome.Model, len(s.Outcome.Passages), s.Outcome.Calls
	}
	return v
}

// History returns the messages before a turn in its conversation, oldest
// first: at most limit, the newest of them. Turns that stand behind it in the
// queue are not its past.
func (s *Store) History(ctx context.Context, product string, r TurnRecord, limit int) ([]schemas.Message, error) {
	if r.Seq == 1 {
		return nil, nil
	}
	rows, err := s.reader().query(ctx, `SELECT m.id, m.role, m.content, m.at
		FROM messages m JOIN turns t ON t.product = m.product AND t.id = m.turn
		WHERE t.product = ? AND t.conversation = ? AND t.seq < ?
		ORDER BY t.seq DESC, m.n DESC LIMIT ?`, product, r.Session, r.Seq, limit)
	messages, err := collect(rows, err, scanMessage)
	slices.Reverse(messages)
	return messages, err
}
