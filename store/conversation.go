package store

import (
	"context"
	"database/sql"

	"runa/schemas"
)

// Conversations lists a product's conversations, newest first.
func (s *Store) Conversations(ctx context.Context, product string, o ListOptions) (List[schemas.Conversation], error) {
	before, err := parseCursor(o.Cursor, last)
	if err != nil {
		return List[schemas.Conversation]{}, err
	}
	r := s.reader()
	rows, err := r.query(ctx, `SELECT id, started_at, message_count FROM conversations
		WHERE product = ? AND (started_at < ? OR (started_at = ? AND id < ?))
		ORDER BY started_at DESC, id DESC LIMIT ?`, product, before.at, before.at, before.id, o.limit()+1)
	items, err := collect(rows, err, func(rows *sql.Rows) (schemas.Conversation, error) {
		var c schemas.Conversation
		var at int64
		err := rows.Scan(&c.ID, &at, &c.MessageCount)
		c.StartedAt = schemas.Time(schemas.FromMillis(at))
		return c, err
	})
	if err != nil {
		return List[schemas.Conversation]{}, err
	}
	var total int
	err = r.row(ctx, `SELECT count(*) FROM conversations WHERE product = ?`, product).Scan(&total)
	return page(items, o.limit(), total, func(c schemas.Conversation) place { return place{timeMillis(c.StartedAt), c.ID} }), err
}

// Messages returns a conversation's messages in order.
func (s *Store) Messages(ctx context.Context, product, conversation string) ([]schemas.Message, error) {
	rows, err := s.reader().query(ctx, `SELECT id, role, content, at FROM messages
		WHERE product = ? AND conversation = ? ORDER BY n`, product, conversation)
	messages, err := collect(rows, err, scanMessage)
	if err == nil && len(messages) == 0 {
		return nil, schemas.Errorf(schemas.NotFound, "no conversation %q", conversation)
	}
	return messages, err
}

func scanMessage(rows *sql.Rows) (schemas.Message, error) {
	var m schemas.Message
	var at int64
	err := rows.Scan(&m.ID, &m.Role, &m.Content, &at)
	m.Timestamp = schemas.Time(schemas.FromMillis(at))
	return m, err
}

// conversation is the row that every change of a session's order locks first.
type conversation struct {
	id                    string
	lastAt, count, nextSq int64
	holder                string
}

// lockConversation makes the row if it is missing and holds it to the end of
// the transaction, so sequence, holder, queue and counters change one at a
// time. The update changes nothing: it takes the lock and returns what the one
// before left.
func (t *tx) lockConversation(ctx context.Context, product, id string) (conversation, error) {
	c := conversation{id: id}
	err := t.row(ctx, `INSERT INTO conversations (product, id, started_at, last_at, message_count, next_seq, holder)
		VALUES (?, ?, ?, ?, 0, 1, '') ON CONFLICT (product, id) DO UPDATE SET holder = conversations.holder
		RETURNING last_at, message_count, next_seq, holder`, product, id, t.now, t.now).
		Scan(&c.lastAt, &c.count, &c.nextSq, &c.holder)
	return c, err
}

func (t *tx) saveConversation(ctx context.Context, product string, c conversation) error {
	_, err := t.exec(ctx, `UPDATE conversations SET last_at = ?, message_count = ?, next_seq = ?, holder = ?
		WHERE product = ? AND id = ?`, c.lastAt, c.count, c.nextSq, c.holder, product, c.id)
	return err
}

// addMessage appends a message; its time never runs behind the one before,
// whatever the clock does. It tells analytics too.
func (t *tx) addMessage(ctx context.Context, product string, c *conversation, id, turn string, role schemas.Role, content string) error {
	c.count++
	c.lastAt = max(c.lastAt, t.now)
	_, err := t.exec(ctx, `INSERT INTO messages (product, conversation, n, id, turn, role, content, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, product, c.id, c.count, id, turn, string(role), content, c.lastAt)
	if err != nil {
		return err
	}
	return t.emit(ctx, schemas.Event{
		Product: product, Kind: schemas.EventMessage, At: c.lastAt, Conversation: c.id, Turn: turn,
		Subject: string(role), Size: int64(len(content)),
	})
}
