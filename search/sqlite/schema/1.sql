-- A product's chunks are found through a full-text table of its own, made by
-- the first Put: index_<num> (see product.go).
CREATE TABLE products (
    num    INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    chunks INTEGER NOT NULL DEFAULT 0 -- kept by the triggers below
) STRICT;

CREATE TABLE sources (
    num     INTEGER PRIMARY KEY AUTOINCREMENT,
    product INTEGER NOT NULL REFERENCES products (num),
    name    TEXT NOT NULL,
    UNIQUE (product, name)
) STRICT;

CREATE TABLE chunks (
    num      INTEGER PRIMARY KEY AUTOINCREMENT,
    product  INTEGER NOT NULL REFERENCES products (num),
    source   INTEGER NOT NULL REFERENCES sources (num),
    version  INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    id       TEXT NOT NULL,
    document TEXT NOT NULL,
    url      TEXT NOT NULL,
    title    TEXT NOT NULL,
    heading  TEXT NOT NULL,
    text     TEXT NOT NULL,
    UNIQUE (product, id)
) STRICT;

CREATE INDEX chunks_by_document ON chunks (product, source, document, version);

CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
    UPDATE products SET chunks = chunks + 1 WHERE num = NEW.product;
END;

CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
    UPDATE products SET chunks = chunks - 1 WHERE num = OLD.product;
END;
