package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"runa/schemas"
)

// RetrieveStep is the number of the step that searches the knowledge; the
// steps from 1 on ask the model.
const RetrieveStep = 0

// StepOutcome is what a step came to, written once.
type StepOutcome struct {
	// Passages are what the retrieval found, in the order they are numbered.
	Passages []schemas.Hit `json:"passages,omitempty"`
	// Degraded is true when the knowledge could not be searched.
	Degraded bool `json:"degraded,omitempty"`

	// Text is the model's; without calls it is the reply.
	Text      string             `json:"text,omitempty"`
	Citations []schemas.Citation `json:"citations,omitempty"`
	// Calls are the ids of the calls that the model asked for, in its order.
	Calls []string `json:"calls,omitempty"`
	// State is the provider's own, given back to it as it came.
	State json.RawMessage `json:"state,omitempty"`
	Model string          `json:"model,omitempty"`
	Usage schemas.Usage   `json:"usage,omitzero"`
}

// NewCall is a call that a model asked for.
type NewCall struct {
	Tool      string // the tool's id, "" for one that does not exist
	Name      string
	Arguments json.RawMessage
	// Refused says why the call is not made; nil makes it.
	Refused *schemas.CallError
}

// StepClaim is the right to do a step once.
type StepClaim struct {
	// Claim is the number of this try.
	Claim int64
	// Since is the time of the first try.
	Since time.Time
	// Outcome is set when the step is done: take it and do nothing.
	Outcome *StepOutcome
}

// Retrieval is a search of the knowledge and when it began.
type Retrieval struct {
	Began   time.Time
	Outcome StepOutcome
}

// errSuperseded tells an activity that its turn is not running any more: it
// must write nothing and give up.
func errSuperseded(turn string) error {
	return schemas.Errorf(schemas.Gone, "turn %q is not running", turn)
}

// ClaimStep takes the next claim on a step of a running turn, or returns the
// outcome it has. It records the retrieval, if one is given, in the same
// transaction, unless the turn has one. A turn that is not running is
// schemas.Gone.
func (s *Store) ClaimStep(ctx context.Context, product, turn string, n int, retrieval *Retrieval) (StepClaim, error) {
	var c StepClaim
	err := s.update(ctx, func(t *tx) error {
		if err := t.goOn(ctx, product, turn); err != nil {
			return err
		}
		if retrieval != nil {
			if err := t.saveRetrieval(ctx, product, turn, retrieval); err != nil {
				return err
			}
		}
		var err error
		c, err = t.claimStep(ctx, product, turn, n)
		return err
	})
	return c, err
}

// claimStep takes the next claim on a step, or reads what came of it.
func (t *tx) claimStep(ctx context.Context, product, turn string, n int) (StepClaim, error) {
	var c StepClaim
	var since int64
	err := t.row(ctx, `INSERT INTO steps (product, turn, n, claim, claimed_at) VALUES (?, ?, ?, 1, ?)
		ON CONFLICT (product, turn, n) DO UPDATE SET claim = steps.claim + 1 WHERE steps.outcome IS NULL
		RETURNING claim, claimed_at`, product, turn, n, t.now).Scan(&c.Claim, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return t.readClaim(ctx, product, turn, n)
	}
	c.Since = schemas.FromMillis(since)
	return c, err
}

func (t *tx) readClaim(ctx context.Context, product, turn string, n int) (StepClaim, error) {
	var c StepClaim
	var since int64
	var outcome sql.NullString
	err := t.row(ctx, `SELECT claim, claimed_at, outcome FROM steps WHERE product = ? AND turn = ? AND n = ?`,
		product, turn, n).Scan(&c.Claim, &since, &outcome)
	if err != nil {
		return c, err
	}
	c.Since = schemas.FromMillis(since)
	if outcome.Valid {
		err = json.Unmarshal([]byte(outcome.String), &c.Outcome)
	}
	return c, err
}

// goOn touches a running turn, which holds its row: it runs to the end of the
// transaction.
func (t *tx) goOn(ctx context.Context, product, turn string) error {
	runs, err := t.exec(ctx, touch+` AND status = ?`, t.now, product, turn, string(schemas.TurnRunning))
	if err == nil && runs == 0 {
		return errSuperseded(turn)
	}
	return err
}

func (t *tx) saveRetrieval(ctx context.Context, product, turn string, r *Retrieval) error {
	text, err := json.Marshal(r.Outcome)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO steps (product, turn, n, claim, claimed_at, ended_at, outcome) VALUES (?, ?, ?, 1, ?, ?, ?)
		ON CONFLICT (product, turn, n) DO NOTHING`,
		product, turn, RetrieveStep, schemas.Millis(r.Began), t.now, string(text))
	if err != nil || !r.Outcome.Degraded {
		return err
	}
	_, err = t.exec(ctx, `UPDATE turns SET degraded = 1 WHERE product = ? AND id = ?`, product, turn)
	return err
}

// StoreStep writes what the model said under a claim, with the calls it asked
// for, if the claim is the newest, the step has no outcome and the turn runs.
// Otherwise it returns the outcome that is there; without one it is
// schemas.Unavailable while another try has the newer claim, and schemas.Gone
// when nobody claimed the step or the turn is not running.
func (s *Store) StoreStep(ctx context.Context, product, turn string, n int, claim int64, outcome StepOutcome, calls []NewCall) (StepOutcome, error) {
	for i := range calls {
		outcome.Calls = append(outcome.Calls, schemas.CallID(turn, n, i))
	}
	text, err := json.Marshal(outcome)
	if err != nil {
		return StepOutcome{}, err
	}
	var stored StepOutcome
	err = s.update(ctx, func(t *tx) error {
		if err := t.goOn(ctx, product, turn); err != nil {
			return err
		}
		changed, err := t.exec(ctx, `UPDATE steps SET outcome = ?, ended_at = ?
			WHERE product = ? AND turn = ? AND n = ? AND claim = ? AND outcome IS NULL`,
			string(text), t.now, product, turn, n, claim)
		if err != nil {
			return err
		}
		if changed == 0 {
			stored, err = t.storedOutcome(ctx, product, turn, n)
			return err
		}
		stored = outcome
		return t.insertCalls(ctx, product, turn, n, calls)
	})
	return stored, err
}

func (t *tx) storedOutcome(ctx context.Context, product, turn string, n int) (StepOutcome, error) {
	c, err := t.readClaim(ctx, product, turn, n)
	if errors.Is(err, sql.ErrNoRows) {
		return StepOutcome{}, errSuperseded(turn)
	}
	if err != nil {
		return StepOutcome{}, err
	}
	if c.Outcome == nil {
		// Whoever has the newer claim may be dead: the turn goes on by one of
		// the two, and asking again finds out by which.
		return StepOutcome{}, schemas.Errorf(schemas.Unavailable, "another try has step %d of turn %q", n, turn)
	}
	return *c.Outcome, nil
}
