-- The ledger is `entries` and `parts`. Every other table is derived from them and can be made anew (`rebuild`).
-- Nothing is ever changed: the newest row of a thing, by seq, is what it is now. The triggers that `sqlite.py` adds to
-- every table keep honest people from mistakes; they are not evidence, and `verify` relies on none of them.

CREATE TABLE entries (
    seq  INTEGER PRIMARY KEY,
    note BLOB NOT NULL              -- the signed note: docs/FORMAT.md, An entry
) STRICT;

CREATE TABLE parts (
    seq      INTEGER PRIMARY KEY,
    body     BLOB NOT NULL,
    state    BLOB,
    evidence BLOB
) STRICT;

-- derived:

CREATE TABLE account_states (
    owner    TEXT NOT NULL,
    currency TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    posted   INTEGER NOT NULL,      -- minor units, as all amounts
    held     INTEGER NOT NULL,
    PRIMARY KEY (owner, currency, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE authorisation_states (
    transaction_id    TEXT NOT NULL,
    scheme            TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    authorisation_seq INTEGER NOT NULL, -- the authorisation's own entry
    status            TEXT NOT NULL,
    card_id           TEXT NOT NULL,
    currency          TEXT NOT NULL,
    held              INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, scheme, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    webhook_id TEXT NOT NULL,
    scheme     TEXT NOT NULL,
    seq        INTEGER NOT NULL,    -- the transaction that answered it
    PRIMARY KEY (webhook_id, scheme)
) STRICT, WITHOUT ROWID;

CREATE TABLE transactions (
    seq            INTEGER PRIMARY KEY,
    type           TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    card_id        TEXT NOT NULL
) STRICT;
CREATE INDEX transactions_by_card ON transactions (card_id, seq);
CREATE INDEX loads_by_id ON transactions (transaction_id) WHERE type = 'load';

CREATE TABLE keys (
    seq  INTEGER PRIMARY KEY,       -- the genesis or key entry
    kind TEXT NOT NULL
) STRICT;
