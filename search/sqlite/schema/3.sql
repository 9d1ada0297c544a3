CREATE TABLE spaces (
    num    INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    length INTEGER NOT NULL,
    UNIQUE (name, length)
) STRICT;

-- The vector of a chunk, float32 each, little endian.
CREATE TABLE vectors (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (num),
    space INTEGER NOT NULL REFERENCES spaces (num),
    exact BLOB NOT NULL
) STRICT;

-- What a search reads of all of a source's vectors (see vector.go), side by
-- side in the file.
CREATE TABLE codes (
    product INTEGER NOT NULL,
    space   INTEGER NOT NULL,
    source  INTEGER NOT NULL,
    chunk   INTEGER NOT NULL,
    code    BLOB NOT NULL,
    PRIMARY KEY (product, space, source, chunk)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER chunk_loses_vector BEFORE DELETE ON chunks BEGIN
    DELETE FROM codes WHERE product = OLD.product AND source = OLD.source AND chunk = OLD.num
        AND space = (SELECT space FROM vectors WHERE chunk = OLD.num);
    DELETE FROM vectors WHERE chunk = OLD.num;
END;
