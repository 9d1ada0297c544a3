package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"runa/schemas"
)

// PutDraft keeps a message until its turn is opened. A draft is no promise:
// nothing lists it and nothing answers from it.
func (s *Store) PutDraft(ctx context.Context, product, message string) (id string, err error) {
	id = schemas.NewID("draft_")
	_, err = s.change(ctx, `INSERT INTO drafts (id, product, message, created_at) VALUES (?, ?, ?, ?)`,
		id, product, message, s.now())
	return id, err
}

// DropDrafts forgets drafts from before the time: their turns were never
// started, or were refused.
func (s *Store) DropDrafts(ctx context.Context, before time.Time) error {
	_, err := s.change(ctx, `DELETE FROM drafts WHERE created_at < ?`, schemas.Millis(before))
	return err
}

// Opened is where a turn stands after OpenTurn.
type Opened struct {
	Status schemas.TurnStatus
	// NextStep is the first step without an outcome.
	NextStep int
	// Refusal is why the turn was not taken; then nothing was written but the
	// refusal itself, on the draft.
	Refusal *schemas.Error
}

// OpenTurn accepts a draft as a turn: the conversation, the user's message and
// the turn's row appear together. The turn runs if the session is free, else
// it is queued; the ninth that would wait is refused. Run again, it answers
// from the rows.
func (s *Store) OpenTurn(ctx context.Context, in schemas.TurnInput) (Opened, error) {
	var o Opened
	err := s.update(ctx, func(t *tx) error {
		draft, err := t.takeDraft(ctx, in)
		if err != nil {
			return err
		}
		if draft.refusal == nil {
			o, err = t.openTurn(ctx, in, draft.message)
			return err
		}
		o, err = t.reopened(ctx, in)
		if o.Status == "" {
			o.Refusal = draft.refusal
		}
		return err
	})
	return o, err
}

// reopened is the answer when the turn's row exists; else its Status is "".
func (t *tx) reopened(ctx context.Context, in schemas.TurnInput) (Opened, error) {
	var o Opened
	err := t.row(ctx, `SELECT status, (SELECT COALESCE(MAX(n), 0) + 1 FROM steps
			WHERE product = turns.product AND turn = turns.id AND outcome IS NOT NULL)
		FROM turns WHERE product = ? AND id = ?`, in.Product, in.Turn).Scan(&o.Status, &o.NextStep)
	if errors.Is(err, sql.ErrNoRows) {
		return Opened{NextStep: 1}, nil
	}
	return o, err
}

type draft struct {
	message string
	refusal *schemas.Error
}

// takeDraft holds the draft, so that one run at a time opens it, and its
// product, which is not deleted meanwhile.
func (t *tx) takeDraft(ctx context.Context, in schemas.TurnInput) (draft, error) {
	var d draft
	var refusal sql.NullString
	err := t.row(ctx, `SELECT d.message, d.refusal FROM drafts d JOIN products p ON p.id = d.product AND p.deleted_at IS NULL
		WHERE d.id = ? AND d.product = ?`+t.dialect.keepRow("p")+t.dialect.lockRow("d"), in.Draft, in.Product).
		Scan(&d.message, &refusal)
	if errors.Is(err, sql.ErrNoRows) {
		d.refusal = schemas.Errorf(schemas.Gone, "the message of turn %q is gone", in.Turn)
		return d, nil
	}
	if err == nil && refusal.Valid {
		err = json.Unmarshal([]byte(refusal.String), &d.refusal)
	}
	return d, err
}

func (t *tx) openTurn(ctx context.Context, in schemas.TurnInput, message string) (Opened, error) {
	c, err := t.lockConversation(ctx, in.Product, in.Session)
	if err != nil {
		return Opened{}, err
	}
	var waiting int
	err = t.row(ctx, `SELECT count(*) FROM turns WHERE product = ? AND conversation = ? AND status = 'queued'`,
		in.Product, in.Session).Scan(&waiting)
	if err != nil {
		return Opened{}, err
	}
	if waiting >= schemas.MaxQueuedTurns {
		if o, err := t.reopened(ctx, in); err != nil || o.Status != "" {
			return o, err
		}
		return t.refuse(ctx, in, &schemas.Error{
			Code:    schemas.ConversationBusy,
			Message: "eight messages of this session are waiting already; try again when one was answered",
			Param:   "sessionId",
		})
	}
	o := Opened{Status: schemas.TurnQueued, NextStep: 1}
	if c.holder == "" {
		o.Status, c.holder = schemas.TurnRunning, in.Turn
	}
	inserted, err := t.insertTurn(ctx, in, c, o.Status, message)
	if err == nil && !inserted {
		return t.reopened(ctx, in)
	}
	return o, err
}

// refuse leaves the reason on the draft, where the caller looks for it.
func (t *tx) refuse(ctx context.Context, in schemas.TurnInput, reason *schemas.Error) (Opened, error) {
	text, err := json.Marshal(reason)
	if err != nil {
		return Opened{}, err
	}
	_, err = t.exec(ctx, `UPDATE drafts SET refusal = ? WHERE id = ? AND product = ?`, string(text), in.Draft, in.Product)
	return Opened{Refusal: reason}, err
}

// insertTurn writes a turn and its message, unless another draft was opened as
// this turn.
func (t *tx) insertTurn(ctx context.Context, in schemas.TurnInput, c conversation, status schemas.TurnStatus, message string) (inserted bool, err error) {
	var started any
	if status == schemas.TurnRunning {
		started = t.now
	}
	n, err := t.exec(ctx, `INSERT INTO turns (product, id, conversation, seq, status, body_hash, reply, citations,
			answered, degraded, created_at, started_at, touched_at, version)
		VALUES (?, ?, ?, ?, ?, ?, '', '[]', 0, 0, ?, ?, ?, 1) ON CONFLICT (product, id) DO NOTHING`,
		in.Product, in.Turn, in.Session, c.nextSq, string(status), in.BodyHash, t.now, started, t.now)
	if err != nil || n == 0 {
		return false, err
	}
	c.nextSq++
	if err := t.addMessage(ctx, in.Product, &c, schemas.NewID("user_"), in.Turn, schemas.RoleUser, message); err != nil {
		return false, err
	}
	if err := t.saveConversation(ctx, in.Product, c); err != nil {
		return false, err
	}
	_, err = t.exec(ctx, `DELETE FROM drafts WHERE id = ? AND product = ?`, in.Draft, in.Product)
	return true, err
}

// ClaimPlace makes a queued turn the running one if its place has come, and
// says where it stands. The place goes to the lowest sequence that waits.
func (s *Store) ClaimPlace(ctx context.Context, product, turn string) (schemas.TurnStatus, error) {
	var status schemas.TurnStatus
	err := s.update(ctx, func(t *tx) error {
		c, err := t.lockSession(ctx, product, turn)
		if err != nil {
			return err
		}
		if c.holder == "" {
			if err := t.passPlace(ctx, product, &c); err != nil {
				return err
			}
		}
		err = t.row(ctx, `SELECT status FROM turns WHERE product = ? AND id = ?`, product, turn).Scan(&status)
		return notFound(err, "turn", turn)
	})
	return status, err
}

func (t *tx) sessionOf(ctx context.Context, product, turn string) (session string, err error) {
	err = t.row(ctx, `SELECT conversation FROM turns WHERE product = ? AND id = ?`, product, turn).Scan(&session)
	return session, notFound(err, "turn", turn)
}

// lockSession holds the conversation of a turn to the end of the transaction.
func (t *tx) lockSession(ctx context.Context, product, turn string) (c conversation, err error) {
	err = t.row(ctx, `SELECT c.id, c.last_at, c.message_count, c.next_seq, c.holder
		FROM turns t JOIN conversations c ON c.product = t.product AND c.id = t.conversation
		WHERE t.product = ? AND t.id = ?`+t.dialect.lockRow("c"), product, turn).
		Scan(&c.id, &c.lastAt, &c.count, &c.nextSq, &c.holder)
	return c, notFound(err, "turn", turn)
}

// passPlace gives the place to the next turn that is ready, if there is one.
func (t *tx) passPlace(ctx context.Context, product string, c *conversation) error {
	err := t.row(ctx, `SELECT id FROM turns WHERE product = ? AND conversation = ? AND status = 'queued' ORDER BY seq LIMIT 1`,
		product, c.id).Scan(&c.holder)
	if errors.Is(err, sql.ErrNoRows) {
		c.holder = ""
	} else if err != nil {
		return err
	}
	if c.holder != "" {
		_, err = t.exec(ctx, `UPDATE turns SET status = ?, started_at = ?, touched_at = ?, version = version + 1
			WHERE product = ? AND id = ?`, string(schemas.TurnRunning), t.now, t.now, product, c.holder)
		if err != nil {
			return err
		}
	}
	return t.saveConversation(ctx, product, *c)
}

// Closing is how a turn ends.
type Closing struct {
	Status schemas.TurnStatus
	// Error says why a turn failed.
	Error *schemas.Error
	// Intent names what the turn was about, from the user's message and the
	// tools that were called.
	Intent func(message string, tools []string) string
}

// CloseTurn ends a turn: its reply, the assistant's message, the counters, the
// events and the session's next holder are one transaction. It returns the
// turn that holds the place now, "" for none, also when run again on a turn
// that has ended, which it leaves as it is. Calls without an outcome are
// canceled, or unknown when they were sent.
func (s *Store) CloseTurn(ctx context.Context, product, turn string, closing Closing) (next string, err error) {
	err = s.update(ctx, func(t *tx) error {
		c, err := t.lockSession(ctx, product, turn)
		if err != nil {
			return err
		}
		// The lock keeps a step from storing calls that the end would not see.
		full, err := t.readTurn(ctx, product, turn, t.dialect.lockRow("t"))
		if err != nil {
			return err
		}
		if !full.Status.Final() {
			if err := t.closeTurn(ctx, product, full, &c, closing); err != nil {
				return err
			}
		}
		next = c.holder
		return nil
	})
	return next, err
}

func (t *tx) closeTurn(ctx context.Context, product string, full TurnRecord, c *conversation, closing Closing) error {
	turn := full.ID
	if err := t.abandonCalls(ctx, product, full); err != nil {
		return err
	}
	final := full.lastOutcome()
	answered := closing.Status == schemas.TurnCompleted && (len(final.Citations) > 0 || full.anyCallSucceeded())
	if err := t.endTurn(ctx, product, turn, closing, final, answered); err != nil {
		return err
	}
	if closing.Status != schemas.TurnFailed && final.Text != "" {
		if err := t.addMessage(ctx, product, c, turn, turn, schemas.RoleAssistant, final.Text); err != nil {
			return err
		}
	}
	if err := t.emitTurn(ctx, product, full, closing, answered); err != nil {
		return err
	}
	if c.holder == turn || c.holder == "" {
		return t.passPlace(ctx, product, c)
	}
	return t.saveConversation(ctx, product, *c)
}

func (t *tx) endTurn(ctx context.Context, product, turn string, closing Closing, final StepOutcome, answered bool) error {
	citations, err := json.Marshal(orEmpty(final.Citations))
	if err != nil {
		return err
	}
	var failure any
	if closing.Error != nil {
		text, err := json.Marshal(closing.Error)
		if err != nil {
			return err
		}
		failure = string(text)
	}
	_, err = t.exec(ctx, `UPDATE turns SET status = ?, reply = ?, citations = ?, answered = ?, error = ?,
			ended_at = ?, touched_at = ?, version = version + 1
		WHERE product = ? AND id = ?`,
		string(closing.Status), final.Text, string(citations), bit(answered), failure, t.now, t.now, product, turn)
	return err
}

func (t *tx) emitTurn(ctx context.Context, product string, full TurnRecord, closing Closing, answered bool) error {
	usage := full.Usage()
	intent := ""
	if closing.Intent != nil {
		intent = closing.Intent(full.Message, full.toolNames())
	}
	return t.emit(ctx, schemas.Event{
		Product: product, Kind: schemas.EventTurn, Conversation: full.Session, Turn: full.ID,
		Outcome: string(closing.Status), Answered: answered, Degraded: full.Degraded, Intent: intent,
		Model: full.lastOutcome().Model, DurationMs: max(0, t.now-schemas.Millis(full.CreatedAt)),
		ModelCalls: int64(usage.ModelCalls), InputTokens: int64(usage.InputTokens), OutputTokens: int64(usage.OutputTokens),
	})
}

// StaleTurn is a turn that nothing has moved for a while.
type StaleTurn struct {
	Product, Turn string
	Status        schemas.TurnStatus
	// Begun is false before the first step: the turn may not know that its
	// place has come.
	Begun bool
}

// StaleTurns lists turns that have not ended and that nothing touched since
// the time, the longest first.
func (s *Store) StaleTurns(ctx context.Context, since time.Time, limit int) ([]StaleTurn, error) {
	rows, err := s.reader().query(ctx, `SELECT product, id, status,
			EXISTS (SELECT 1 FROM steps WHERE steps.product = turns.product AND steps.turn = turns.id)
		FROM turns WHERE status IN ('queued', 'running', 'waiting') AND touched_at < ? ORDER BY touched_at LIMIT ?`,
		schemas.Millis(since), limit)
	return collect(rows, err, func(rows *sql.Rows) (t StaleTurn, err error) {
		return t, rows.Scan(&t.Product, &t.Turn, &t.Status, &t.Begun)
	})
}

// TouchTurn says that somebody looked after a turn.
func (s *Store) TouchTurn(ctx context.Context, product, turn string) error {
	_, err := s.change(ctx, touch, s.now(), product, turn)
	return err
}

const touch = `UPDATE turns SET touched_at = ?, version = version + 1 WHERE product = ? AND id = ?`

func (t *tx) touch(ctx context.Context, product, turn string) error {
	_, err := t.exec(ctx, touch, t.now, product, turn)
	return err
}

func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// bit is a truth value as both databases keep it.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
