-- Times are milliseconds since 1970 UTC. Text in JSON is written by Go only.
-- One text for SQLite and PostgreSQL: SQLite keeps any type name.
-- For PostgreSQL every TEXT becomes TEXT COLLATE "C": see dialect.migration.

-- +goose Up

-- A text sealed when the database was made: whoever opens the database must be
-- able to open it.
CREATE TABLE seal (
    text        BYTEA NOT NULL
);

CREATE TABLE products (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    deleted_at  BIGINT
);

CREATE TABLE keys (
    id          TEXT PRIMARY KEY,
    product     TEXT NOT NULL,      -- '' for an operator's key
    name        TEXT NOT NULL,
    hash        TEXT NOT NULL UNIQUE,
    hint        TEXT NOT NULL,
    first       BIGINT NOT NULL,    -- 1: given or made at a start
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);
CREATE INDEX keys_product ON keys (product, created_at);

CREATE TABLE idempotency (
    product     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,
    body_hash   TEXT NOT NULL,
    object      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (product, kind, key)
);

CREATE TABLE conversations (
    product       TEXT NOT NULL,
    id            TEXT NOT NULL,
    started_at    BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    message_count BIGINT NOT NULL,
    next_seq      BIGINT NOT NULL,   -- of the next turn
    holder        TEXT NOT NULL,     -- the turn that runs; '' is none
    PRIMARY KEY (product, id)
);
CREATE INDEX conversations_started ON conversations (product, started_at, id);

CREATE TABLE messages (
    product       TEXT NOT NULL,
    conversation  TEXT NOT NULL,
    n             BIGINT NOT NULL,   -- order in the conversation, from 1
    id            TEXT NOT NULL,
    turn          TEXT NOT NULL,
    role          TEXT NOT NULL,
    content       TEXT NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (product, conversation, n)
);
CREATE INDEX messages_turn ON messages (product, turn);

-- What a client asked, before it is accepted: nothing lists a draft and
-- nothing answers from it.
CREATE TABLE drafts (
    id          TEXT PRIMARY KEY,
    product     TEXT NOT NULL,
    message     TEXT NOT NULL,
    refusal     TEXT,
    created_at  BIGINT NOT NULL
);
CREATE INDEX drafts_created ON drafts (created_at);

CREATE TABLE turns (
    product       TEXT NOT NULL,
    id            TEXT NOT NULL,
    conversation  TEXT NOT NULL,
    seq           BIGINT NOT NULL,
    status        TEXT NOT NULL,
    body_hash     TEXT NOT NULL,
    reply         TEXT NOT NULL,
    citations     TEXT NOT NULL,
    answered      BIGINT NOT NULL,
    degraded      BIGINT NOT NULL,
    error         TEXT,
    created_at    BIGINT NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT,
    touched_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    PRIMARY KEY (product, id)
);
CREATE INDEX turns_conversation ON turns (product, conversation, seq);
CREATE INDEX turns_queued ON turns (product, conversation, seq) WHERE status = 'queued';
CREATE INDEX turns_open ON turns (touched_at) WHERE status IN ('queued', 'running', 'waiting');

CREATE TABLE steps (
    product       TEXT NOT NULL,
    turn          TEXT NOT NULL,
    n             BIGINT NOT NULL,   -- 0 retrieves, the others ask the model
    claim         BIGINT NOT NULL,
    claimed_at    BIGINT NOT NULL,   -- the first claim: the budget of retries runs from it
    ended_at      BIGINT,
    outcome       TEXT,
    PRIMARY KEY (product, turn, n)
);

CREATE TABLE calls (
    product       TEXT NOT NULL,
    turn          TEXT NOT NULL,
    id            TEXT NOT NULL,
    step          BIGINT NOT NULL,
    n             BIGINT NOT NULL,
    tool          TEXT NOT NULL,
    name          TEXT NOT NULL,
    arguments     TEXT NOT NULL,
    status        TEXT NOT NULL,
    claim         BIGINT NOT NULL,
    claimed_at    BIGINT,
    sent_by       BIGINT,
    sent_at       BIGINT,
    ended_at      BIGINT,
    outcome       TEXT,
    PRIMARY KEY (product, turn, id)
);

CREATE TABLE tools (
    product       TEXT NOT NULL,
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    spec          TEXT NOT NULL,     -- without the headers
    headers       BYTEA NOT NULL,    -- sealed
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (product, id),
    UNIQUE (product, name)
);

CREATE TABLE sources (
    product         TEXT NOT NULL,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL,
    type            TEXT NOT NULL,
    url             TEXT NOT NULL,
    options         TEXT NOT NULL,
    status          TEXT NOT NULL,
    reason          TEXT NOT NULL,
    run             BIGINT NOT NULL,
    taken_in        BIGINT NOT NULL, -- pages that are, or were, to be fetched
    left_out        BIGINT NOT NULL, -- pages that were not, when they were found
    created_at      BIGINT NOT NULL,
    touched_at      BIGINT NOT NULL,
    crawled_at      BIGINT,
    deleted_at      BIGINT,          -- the tombstone
    purged_at       BIGINT,
    PRIMARY KEY (product, id)
);
CREATE UNIQUE INDEX sources_url ON sources (product, url) WHERE deleted_at IS NULL;
CREATE INDEX sources_work ON sources (touched_at)
    WHERE (deleted_at IS NULL AND status = 'indexing') OR (deleted_at IS NOT NULL AND purged_at IS NULL);

CREATE TABLE pages (
    product       TEXT NOT NULL,
    source        TEXT NOT NULL,
    url           TEXT NOT NULL,
    id            TEXT NOT NULL,     -- the document's
    path_key      TEXT NOT NULL,     -- the URL without its query
    run           BIGINT NOT NULL,   -- the crawl that saw it last
    depth         BIGINT NOT NULL,
    state         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    detail        TEXT NOT NULL,
    title         TEXT NOT NULL,
    etag          TEXT NOT NULL,
    last_modified TEXT NOT NULL,
    hash          TEXT NOT NULL,     -- of the text
    version       BIGINT NOT NULL,   -- the one that answers; 0 is none
    chunks        BIGINT NOT NULL,
    leases        BIGINT NOT NULL,   -- ever taken: numbers the versions
    tries         BIGINT NOT NULL,   -- in this crawl
    not_before    BIGINT NOT NULL,
    lease_owner   TEXT NOT NULL,
    lease_token   TEXT NOT NULL,
    lease_until   BIGINT NOT NULL,
    fetched_at    BIGINT,
    PRIMARY KEY (product, source, url)
);
CREATE UNIQUE INDEX pages_id ON pages (product, source, id);
CREATE INDEX pages_frontier ON pages (product, source, state, depth, url);
CREATE INDEX pages_due ON pages (product, source, state, not_before);
CREATE INDEX pages_hash ON pages (product, source, hash);
CREATE INDEX pages_path ON pages (product, source, path_key);

-- Politeness belongs to a host, whoever crawls it.
CREATE TABLE hosts (
    host          TEXT PRIMARY KEY,
    next_at       BIGINT NOT NULL,   -- when the next request may go out
    robots_status BIGINT NOT NULL,
    robots        TEXT NOT NULL,
    robots_at     BIGINT NOT NULL    -- 0: not read yet
);

CREATE TABLE blobs (
    product       TEXT NOT NULL,
    owner         TEXT NOT NULL,     -- the source
    id            TEXT NOT NULL,
    data          BYTEA NOT NULL,
    PRIMARY KEY (product, owner, id)
);

CREATE TABLE outbox (
    id            TEXT PRIMARY KEY,
    event         TEXT NOT NULL,
    batch         TEXT
);
CREATE INDEX outbox_batch ON outbox (batch, id);

-- The unique destination is the fence: one open batch at a time.
CREATE TABLE batches (
    destination   TEXT PRIMARY KEY,
    id            TEXT NOT NULL
);

-- +goose Down
SELECT 1;
