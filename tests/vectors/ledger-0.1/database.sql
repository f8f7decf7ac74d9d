-- How release 0.1 made its file: the tables as they were, and the derived rows of ledger.json's entries.
PRAGMA application_id = 1397507889;
PRAGMA user_version = 1;
CREATE TABLE entries (
    seq  INTEGER PRIMARY KEY,
    note BLOB NOT NULL
) STRICT;
CREATE TABLE parts (
    seq      INTEGER PRIMARY KEY,
    body     BLOB NOT NULL,
    state    BLOB,
    evidence BLOB
) STRICT;
CREATE TABLE account_states (
    owner    TEXT NOT NULL,
    currency TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    posted   INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    PRIMARY KEY (owner, currency, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE authorisation_states (
    transaction_id    TEXT NOT NULL,
    scheme            TEXT NOT NULL,
    seq               INTEGER NOT NULL,
    authorisation_seq INTEGER NOT NULL,
    status            TEXT NOT NULL,
    card_id           TEXT NOT NULL,
    currency          TEXT NOT NULL,
    held              INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, scheme, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE webhooks (
    webhook_id TEXT NOT NULL,
    scheme     TEXT NOT NULL,
    seq        INTEGER NOT NULL,
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
    seq  INTEGER PRIMARY KEY,
    kind TEXT NOT NULL
) STRICT;
INSERT INTO account_states VALUES ('issuer', 'EUR', 3, 0, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 4, 0, 0);
INSERT INTO account_states VALUES ('issuer', 'EUR', 6, -20000, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 7, 20000, 0);
INSERT INTO account_states VALUES ('issuer', 'JPY', 9, 0, 0);
INSERT INTO account_states VALUES ('card:card-2', 'JPY', 10, 0, 0);
INSERT INTO account_states VALUES ('issuer', 'JPY', 12, -10000, 0);
INSERT INTO account_states VALUES ('card:card-2', 'JPY', 13, 10000, 0);
INSERT INTO account_states VALUES ('issuer', 'KWD', 14, 0, 0);
INSERT INTO account_states VALUES ('card:card-2', 'KWD', 15, 0, 0);
INSERT INTO account_states VALUES ('issuer', 'KWD', 17, -50000, 0);
INSERT INTO account_states VALUES ('card:card-2', 'KWD', 18, 50000, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 19, 20000, 9000);
INSERT INTO account_states VALUES ('issuer', 'USD', 22, 0, 0);
INSERT INTO account_states VALUES ('scheme:acme', 'USD', 23, 0, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 24, 20000, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 25, 11000, 0);
INSERT INTO account_states VALUES ('issuer', 'EUR', 26, -11000, 0);
INSERT INTO account_states VALUES ('issuer', 'USD', 27, -9500, 0);
INSERT INTO account_states VALUES ('scheme:acme', 'USD', 28, 9500, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 29, 11000, 1000);
INSERT INTO account_states VALUES ('scheme:acme', 'EUR', 30, 0, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 31, 11000, 0);
INSERT INTO account_states VALUES ('card:card-1', 'EUR', 32, 10000, 0);
INSERT INTO account_states VALUES ('scheme:acme', 'EUR', 33, 1000, 0);
INSERT INTO account_states VALUES ('issuer', 'EUR', 34, -11000, 0);
INSERT INTO account_states VALUES ('card:card-2', 'JPY', 35, 10000, 1230);
INSERT INTO account_states VALUES ('scheme:acme', 'JPY', 36, 0, 0);
INSERT INTO account_states VALUES ('card:card-2', 'JPY', 37, 10000, 0);
INSERT INTO account_states VALUES ('card:card-2', 'JPY', 38, 8800, 0);
INSERT INTO account_states VALUES ('scheme:acme', 'JPY', 39, 1300, 0);
INSERT INTO account_states VALUES ('issuer', 'JPY', 40, -10100, 0);
INSERT INTO account_states VALUES ('card:card-2', 'KWD', 43, 50000, 1230);
INSERT INTO account_states VALUES ('card:card-2', 'KWD', 44, 50000, 0);
INSERT INTO account_states VALUES ('card:card-2', 'KWD', 45, 48770, 0);
INSERT INTO account_states VALUES ('issuer', 'KWD', 46, -48770, 0);
INSERT INTO account_states VALUES ('issuer', 'USD', 47, -9900, 0);
INSERT INTO account_states VALUES ('scheme:acme', 'USD', 48, 9900, 0);
INSERT INTO authorisation_states VALUES ('tx-1', 'acme', 19, 19, 'PENDING', 'card-1', 'EUR', 9000);
INSERT INTO authorisation_states VALUES ('tx-2', 'acme', 20, 20, 'DECLINED', 'card-1', 'EUR', 0);
INSERT INTO authorisation_states VALUES ('tx-3', 'acme', 21, 21, 'DECLINED', 'card-9', 'EUR', 0);
INSERT INTO authorisation_states VALUES ('tx-1', 'acme', 24, 19, 'CLEARED', 'card-1', 'EUR', 0);
INSERT INTO authorisation_states VALUES ('tx-4', 'acme', 29, 29, 'PENDING', 'card-1', 'EUR', 1000);
INSERT INTO authorisation_states VALUES ('tx-4', 'acme', 31, 29, 'CLEARED', 'card-1', 'EUR', 0);
INSERT INTO authorisation_states VALUES ('tx-5', 'acme', 35, 35, 'PENDING', 'card-2', 'JPY', 1230);
INSERT INTO authorisation_states VALUES ('tx-5', 'acme', 37, 35, 'CLEARED', 'card-2', 'JPY', 0);
INSERT INTO authorisation_states VALUES ('tx-6', 'acme', 43, 43, 'PENDING', 'card-2', 'KWD', 1230);
INSERT INTO authorisation_states VALUES ('tx-6', 'acme', 44, 43, 'CLEARED', 'card-2', 'KWD', 0);
INSERT INTO webhooks VALUES ('evt_19', 'acme', 19);
INSERT INTO webhooks VALUES ('evt_20', 'acme', 20);
INSERT INTO webhooks VALUES ('evt_21', 'acme', 21);
INSERT INTO webhooks VALUES ('evt_22', 'acme', 24);
INSERT INTO webhooks VALUES ('evt_29', 'acme', 29);
INSERT INTO webhooks VALUES ('evt_30', 'acme', 31);
INSERT INTO webhooks VALUES ('evt_35', 'acme', 35);
INSERT INTO webhooks VALUES ('evt_36', 'acme', 37);
INSERT INTO webhooks VALUES ('evt_43', 'acme', 43);
INSERT INTO webhooks VALUES ('evt_44', 'acme', 44);
INSERT INTO transactions VALUES (5, 'load', 'load-1', 'card-1');
INSERT INTO transactions VALUES (11, 'load', 'load-2', 'card-2');
INSERT INTO transactions VALUES (16, 'load', 'load-3', 'card-2');
INSERT INTO transactions VALUES (19, 'authorisation', 'tx-1', 'card-1');
INSERT INTO transactions VALUES (20, 'authorisation', 'tx-2', 'card-1');
INSERT INTO transactions VALUES (21, 'authorisation', 'tx-3', 'card-9');
INSERT INTO transactions VALUES (24, 'presentment', 'tx-1', 'card-1');
INSERT INTO transactions VALUES (29, 'authorisation', 'tx-4', 'card-1');
INSERT INTO transactions VALUES (31, 'presentment', 'tx-4', 'card-1');
INSERT INTO transactions VALUES (35, 'authorisation', 'tx-5', 'card-2');
INSERT INTO transactions VALUES (37, 'presentment', 'tx-5', 'card-2');
INSERT INTO transactions VALUES (43, 'authorisation', 'tx-6', 'card-2');
INSERT INTO transactions VALUES (44, 'presentment', 'tx-6', 'card-2');
INSERT INTO keys VALUES (0, 'genesis');
INSERT INTO keys VALUES (1, 'key');
INSERT INTO keys VALUES (2, 'key');
INSERT INTO keys VALUES (8, 'key');
INSERT INTO keys VALUES (41, 'key');
INSERT INTO keys VALUES (42, 'key');
INSERT INTO keys VALUES (49, 'key');
INSERT INTO keys VALUES (50, 'key');
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER parts_no_update BEFORE UPDATE ON parts BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER parts_no_delete BEFORE DELETE ON parts BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER parts_no_replace BEFORE INSERT ON parts WHEN EXISTS (SELECT 1 FROM parts WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER account_states_no_update BEFORE UPDATE ON account_states BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER account_states_no_delete BEFORE DELETE ON account_states BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER account_states_no_replace BEFORE INSERT ON account_states WHEN EXISTS (SELECT 1 FROM account_states WHERE owner = NEW.owner AND currency = NEW.currency AND seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER authorisation_states_no_update BEFORE UPDATE ON authorisation_states BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER authorisation_states_no_delete BEFORE DELETE ON authorisation_states BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER authorisation_states_no_replace BEFORE INSERT ON authorisation_states WHEN EXISTS (SELECT 1 FROM authorisation_states WHERE transaction_id = NEW.transaction_id AND scheme = NEW.scheme AND seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER webhooks_no_update BEFORE UPDATE ON webhooks BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER webhooks_no_delete BEFORE DELETE ON webhooks BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER webhooks_no_replace BEFORE INSERT ON webhooks WHEN EXISTS (SELECT 1 FROM webhooks WHERE webhook_id = NEW.webhook_id AND scheme = NEW.scheme) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER transactions_no_update BEFORE UPDATE ON transactions BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER transactions_no_delete BEFORE DELETE ON transactions BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER transactions_no_replace BEFORE INSERT ON transactions WHEN EXISTS (SELECT 1 FROM transactions WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER keys_no_update BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER keys_no_delete BEFORE DELETE ON keys BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER keys_no_replace BEFORE INSERT ON keys WHEN EXISTS (SELECT 1 FROM keys WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
