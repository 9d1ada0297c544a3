package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"runa/schemas"
)

// CallRecord is a tool call of a turn.
type CallRecord struct {
	ID        string
	Step      int
	N         int
	Tool      string // the tool's id
	Name      string
	Arguments json.RawMessage
	Status    schemas.CallStatus
	Claim     int64
	Since     time.Time // of the first claim
	SentAt    time.Time // zero: provably not sent
	Ended     time.Time
	Result    json.RawMessage
	Error     *schemas.CallError
}

// CallOutcome is how a call ended, written once.
type CallOutcome struct {
	Status schemas.CallStatus `json:"status"`
	Result json.RawMessage    `json:"result,omitempty"`
	Error  *schemas.CallError `json:"error,omitempty"`
}

func (c CallRecord) view() schemas.ToolCall {
	v := schemas.ToolCall{ID: c.ID, Name: c.Name, Arguments: c.Arguments, Status: c.Status, Result: c.Result, Error: c.Error}
	if !c.Since.IsZero() && !c.Ended.IsZero() {
		v.DurationMs = c.duration()
	}
	return v
}

// duration is 0 for a call whose end the clock put before its start.
func (c CallRecord) duration() int64 { return max(0, c.Ended.Sub(c.Since).Milliseconds()) }

const callColumns = `id, step, n, tool, name, arguments, status, claim, claimed_at, sent_at, ended_at, outcome`

func scanCall(row scanner) (CallRecord, error) {
	var c CallRecord
	var arguments string
	var since, sent, ended sql.NullInt64
	var outcome sql.NullString
	err := row.Scan(&c.ID, &c.Step, &c.N, &c.Tool, &c.Name, &arguments, &c.Status, &c.Claim, &since, &sent, &ended, &outcome)
	if err != nil {
		return c, err
	}
	c.Arguments = json.RawMessage(arguments)
	c.Since, c.SentAt, c.Ended = timeOf(since), timeOf(sent), timeOf(ended)
	if !outcome.Valid {
		return c, nil
	}
	var o CallOutcome
	err = json.Unmarshal([]byte(outcome.String), &o)
	c.Result, c.Error = o.Result, o.Error
	return c, err
}

func timeOf(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return schemas.FromMillis(ms.Int64)
}

func (t *tx) readCalls(ctx context.Context, product, turn string) ([]CallRecord, error) {
	rows, err := t.query(ctx, `SELECT `+callColumns+` FROM calls
		WHERE product = ? AND turn = ? ORDER BY step, n`, product, turn)
	return collect(rows, err, func(rows *sql.Rows) (CallRecord, error) { return scanCall(rows) })
}

func (t *tx) insertCalls(ctx context.Context, product, turn string, step int, calls []NewCall) error {
	for n, call := range calls {
		id := schemas.CallID(turn, step, n)
		_, err := t.exec(ctx, `INSERT INTO calls (product, turn, id, step, n, tool, name, arguments, status, claim)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			product, turn, id, step, n, call.Tool, call.Name, string(call.Arguments), string(schemas.CallPending))
		if err != nil {
			return err
		}
		if call.Refused != nil {
			refused := CallOutcome{Status: schemas.CallFailed, Error: call.Refused}
			if _, err := t.finishCall(ctx, product, turn, id, refused); err != nil {
				return err
			}
		}
	}
	return nil
}

// CallClaim is the right to try a call.
type CallClaim struct {
	CallRecord
	Session string
	// Send says that this try may send the request for the first time. Else an
	// earlier try may have sent it: whether to send again is the effect's say.
	Send bool
	// Tool is nil when it was deleted.
	Tool    *schemas.Tool
	Headers map[string]string
}

// ClaimCall takes the next claim on a call of a running turn and, if no try
// has sent the request, marks it as sent by this one. A call with an outcome
// is returned as it is. A turn that is not running is schemas.Gone.
func (s *Store) ClaimCall(ctx context.Context, product, turn, call string) (CallClaim, error) {
	var c CallClaim
	err := s.update(ctx, func(t *tx) error {
		c = CallClaim{}
		if err := t.goOn(ctx, product, turn); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE calls SET claim = claim + 1, status = ?, claimed_at = COALESCE(claimed_at, ?)
			WHERE product = ? AND turn = ? AND id = ? AND outcome IS NULL`, string(schemas.CallRunning), t.now, product, turn, call)
		if err != nil {
			return err
		}
		if err := s.readCallClaim(ctx, t, product, turn, call, &c); err != nil || c.Status != schemas.CallRunning {
			return err
		}
		won, err := t.exec(ctx, `UPDATE calls SET sent_by = claim, sent_at = ?
			WHERE product = ? AND turn = ? AND id = ? AND sent_at IS NULL`, t.now, product, turn, call)
		if err != nil {
			return err
		}
		c.Send = won == 1
		return nil
	})
	return c, err
}

func (s *Store) readCallClaim(ctx context.Context, t *tx, product, turn, call string, c *CallClaim) error {
	record, err := scanCall(t.row(ctx, `SELECT `+callColumns+` FROM calls
		WHERE product = ? AND turn = ? AND id = ?`, product, turn, call))
	if err != nil {
		return notFound(err, "call", call)
	}
	c.CallRecord = record
	if c.Session, err = t.sessionOf(ctx, product, turn); err != nil {
		return err
	}
	tool, spec, err := s.readWhole(ctx, t, product, record.Tool)
	if schemas.CodeOf(err) == schemas.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	c.Tool, c.Headers = &tool, spec.Headers
	return nil
}

// UnsendCall says that the try which marked the request as sent provably sent
// nothing that took effect: the next one may send.
func (s *Store) UnsendCall(ctx context.Context, product, turn, call string, claim int64) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.lockTurn(ctx, product, turn); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE calls SET sent_by = NULL, sent_at = NULL
			WHERE product = ? AND turn = ? AND id = ? AND sent_by = ? AND outcome IS NULL`, product, turn, call, claim)
		return err
	})
}

// FinishCall writes how a call ended, if nobody has, and tells analytics.
func (s *Store) FinishCall(ctx context.Context, product, turn, call string, outcome CallOutcome) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.lockTurn(ctx, product, turn); err != nil {
			return err
		}
		changed, err := t.finishCall(ctx, product, turn, call, outcome)
		if err != nil || changed == 0 {
			return err
		}
		return t.touch(ctx, product, turn)
	})
}

// lockTurn takes the locks of a turn and its calls in the order that all do.
// A turn that is not there has no calls either.
func (t *tx) lockTurn(ctx context.Context, product, turn string) error {
	var id string
	err := t.row(ctx, `SELECT id FROM turns WHERE product = ? AND id = ?`+t.dialect.lockRow("turns"), product, turn).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

func (t *tx) finishCall(ctx context.Context, product, turn, call string, outcome CallOutcome) (changed int64, err error) {
	text, err := json.Marshal(outcome)
	if err != nil {
		return 0, err
	}
	changed, err = t.exec(ctx, `UPDATE calls SET status = ?, outcome = ?, ended_at = ?, claimed_at = COALESCE(claimed_at, ?)
		WHERE product = ? AND turn = ? AND id = ? AND outcome IS NULL`,
		string(outcome.Status), string(text), t.now, t.now, product, turn, call)
	if err != nil || changed == 0 {
		return changed, err
	}
	return changed, t.emitCall(ctx, product, turn, call)
}

func (t *tx) emitCall(ctx context.Context, product, turn, call string) error {
	c, err := scanCall(t.row(ctx, `SELECT `+callColumns+` FROM calls WHERE product = ? AND turn = ? AND id = ?`, product, turn, call))
	if err != nil {
		return err
	}
	session, err := t.sessionOf(ctx, product, turn)
	if err != nil {
		return err
	}
	return t.emit(ctx, schemas.Event{
		Product: product, Kind: schemas.EventToolCall, Conversation: session, Turn: turn,
		Subject: c.Name, Outcome: string(c.Status), DurationMs: c.duration(),
	})
}

// abandonCalls ends the calls of a turn that ends before them: one that may
// have been sent is unknown, the others are canceled.
func (t *tx) abandonCalls(ctx context.Context, product string, r TurnRecord) error {
	for _, c := range r.Calls {
		if !c.Ended.IsZero() {
			continue
		}
		outcome := CallOutcome{Status: schemas.CallCanceled, Error: &schemas.CallError{Code: "canceled", Message: "the turn ended before the call had a result"}}
		if !c.SentAt.IsZero() {
			outcome = CallOutcome{Status: schemas.CallUnknown, Error: &schemas.CallError{Code: "unknown", Message: "the turn ended while the call was under way; it may have taken effect"}}
		}
		if _, err := t.finishCall(ctx, product, r.ID, c.ID, outcome); err != nil {
			return err
		}
	}
	return nil
}
