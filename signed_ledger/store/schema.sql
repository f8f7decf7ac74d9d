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
    authorisation_seq INTEGER NOT NULL, -- the entry it began with
    status            TEXT NOT NULL,
    card_id           TEXT NOT NULL,
    currency          TEXT NOT NULL,
    held              INTEGER NOT NULL,
    authorised        INTEGER NOT NULL,
    incremented       INTEGER NOT NULL,
    reversed          INTEGER NOT NULL,
    expired           INTEGER NOT NULL,
    cleared           INTEGER NOT NULL,
    refunded          INTEGER NOT NULL,
    clearings         INTEGER NOT NULL, -- how many
    final             INTEGER NOT NULL, -- 1 once the last clearing is posted
    expires           INTEGER,          -- microseconds since 1970 UTC
    PRIMARY KEY (transaction_id, scheme, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX authorisations_by_expiry ON authorisation_states (expires) WHERE status = 'PENDING' AND held > 0;

CREATE TABLE card_states (
    card_id TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    scheme  TEXT NOT NULL,          -- empty: no Scheme's yet
    blocked INTEGER NOT NULL,
    PRIMARY KEY (card_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    webhook_id TEXT NOT NULL,
    scheme     TEXT NOT NULL,
    seq        INTEGER NOT NULL,    -- the transaction that answered it
    PRIMARY KEY (webhook_id, scheme)
) STRICT, WITHOUT ROWID;

CREATE TABLE postings (
    transaction_id TEXT NOT NULL,
    scheme         TEXT NOT NULL,
    name           TEXT NOT NULL,   -- presentment:<id> or refund:<id>
    seq            INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, scheme, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE settlements (
    scheme TEXT NOT NULL,
    date   TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (scheme, date)
) STRICT, WITHOUT ROWID;

CREATE TABLE transactions (
    seq            INTEGER PRIMARY KEY,
    type           TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    scheme         TEXT NOT NULL,   -- empty: the Issuer's own
    card_id        TEXT NOT NULL    -- empty: no card's
) STRICT;
CREATE INDEX transactions_by_card ON transactions (card_id, seq);
CREATE INDEX transactions_by_id ON transactions (transaction_id, seq)
    WHERE type NOT IN ('authorisation', 'presentment'); -- these two are found by authorisation_states

CREATE TABLE tiles (
    level  INTEGER NOT NULL,        -- of the Merkle tree's tiles, from 0: the full ones, docs/FORMAT.md, Served and exported
    number INTEGER NOT NULL,
    seq    INTEGER NOT NULL,        -- the entry with which it became full
    root   BLOB NOT NULL,           -- the hash over the tile: one of the hashes of a tile of the next level
    hashes BLOB NOT NULL,           -- 256 of 32 bytes
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    seq  INTEGER PRIMARY KEY,       -- what a process must know from its start on: genesis, key, terms and erasure entries
    kind TEXT NOT NULL
) STRICT;

-- kept, since they can not be made anew: what was published of the ledger, and who vouched for it

CREATE TABLE checkpoints (
    seq  INTEGER PRIMARY KEY,       -- the newest entry in it: its size less one
    note BLOB NOT NULL              -- the signed checkpoint: docs/FORMAT.md, A checkpoint
) STRICT;

CREATE TABLE cosignatures (
    seq  INTEGER NOT NULL,          -- of the checkpoint
    key  TEXT NOT NULL,             -- the witness's: <name>+<key id>
    line TEXT NOT NULL,             -- its signature line
    PRIMARY KEY (seq, key)
) STRICT, WITHOUT ROWID;
