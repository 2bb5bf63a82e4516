-- The log of changes: the truth. `body` is JSON of a change::Draft. Never updated.
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    body     TEXT NOT NULL
) STRICT;

-- The ledger: what happened. `body` is JSON of a ledger::Event. Never updated, never deleted from.
CREATE TABLE ledger (
    seq    INTEGER PRIMARY KEY,
    body   TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT;

-- Sessions as the ledger tells them, for listing. Can be made again from the ledger.
CREATE TABLE sessions (
    id        TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    target    TEXT NOT NULL,
    grant_id  TEXT NOT NULL,
    body      TEXT NOT NULL,
    ending    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_live ON sessions (id) WHERE ending IS NULL;
CREATE INDEX sessions_of_principal ON sessions (principal, id);
