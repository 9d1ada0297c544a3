-- One row per event, named as in schemas.Event. Rows are never changed.
CREATE TABLE events (
    id            TEXT    NOT NULL,
    product       TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    at            INTEGER NOT NULL, -- milliseconds since 1970 UTC
    conversation  TEXT    NOT NULL,
    turn          TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    intent        TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    answered      INTEGER NOT NULL, -- 0 or 1
    degraded      INTEGER NOT NULL, -- 0 or 1
    duration_ms   INTEGER NOT NULL,
    model_calls   INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    size          INTEGER NOT NULL
) STRICT;

-- Each of the two questions of Figures is answered from its index alone, in
-- the index's order.
CREATE INDEX events_messages ON events (conversation, at) WHERE kind = 'message';
CREATE INDEX events_intents ON events (intent, at) WHERE kind = 'turn' AND intent <> '';

-- A batch has a row here exactly when its events are above: both are written
-- in one transaction.
CREATE TABLE batches (
    id         TEXT    NOT NULL PRIMARY KEY,
    events     INTEGER NOT NULL,
    written_at INTEGER NOT NULL -- milliseconds since 1970 UTC
) STRICT, WITHOUT ROWID;
