-- A rebuild is done in place: FinishRebuild deletes the chunks of an older
-- generation than the rebuild's.
ALTER TABLE chunks ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

-- The newest rebuild, of which there is one row.
CREATE TABLE rebuild (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('running', 'finished', 'aborted'))
) STRICT;

INSERT INTO rebuild (one, id, generation, state) VALUES (1, '', 0, 'aborted');
