-- One row per event, named as in schemas.Event. Rows are never changed.
--
-- Batches count once only because of non_replicated_deduplication_window: a
-- plain MergeTree remembers no insert without it. A table that a materialized
-- view writes to must have the same settings, or the view counts a repeated
-- batch again. Where the server makes replicated tables of these (ClickHouse
-- Cloud, a Replicated database), it goes by the replicated_ ones instead.
--
-- What the server has acknowledged leaves the outbox, hence the fsyncs.
CREATE TABLE IF NOT EXISTS events (
    id            String,
    product       LowCardinality(String),
    kind          LowCardinality(String),
    at            DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    conversation  String,
    turn          String,
    subject       LowCardinality(String),
    outcome       LowCardinality(String),
    intent        LowCardinality(String),
    model         LowCardinality(String),
    answered      Bool,
    degraded      Bool,
    duration_ms   Int64,
    model_calls   Int64,
    input_tokens  Int64,
    output_tokens Int64,
    size          Int64
) ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (product, kind, at, id)
SETTINGS
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1
