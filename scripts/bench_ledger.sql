-- The yardstick of an unsigned ledger: double entry on PostgreSQL, after the idea of pgledger's schema. One function call
-- is one transaction: it locks two accounts, writes a transfer and its two entries, and changes both balances.

CREATE TABLE accounts (
    id      bigint PRIMARY KEY,
    balance bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0
);

CREATE TABLE transfers (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_account bigint NOT NULL REFERENCES accounts,
    to_account   bigint NOT NULL REFERENCES accounts,
    amount       bigint NOT NULL CHECK (amount > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (from_account <> to_account)
);

CREATE TABLE entries (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account          bigint NOT NULL REFERENCES accounts,
    transfer         bigint NOT NULL REFERENCES transfers,
    amount           bigint NOT NULL,
    previous_balance bigint NOT NULL,
    current_balance  bigint NOT NULL,
    account_version  bigint NOT NULL
);
CREATE INDEX entries_by_account ON entries (account, id);
CREATE INDEX entries_by_transfer ON entries (transfer);

CREATE FUNCTION create_transfer(payer bigint, payee bigint, paid bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    new_id bigint;
BEGIN
    PERFORM FROM accounts WHERE id IN (payer, payee) ORDER BY id FOR UPDATE; -- in one order: no deadlock
    INSERT INTO transfers (from_account, to_account, amount) VALUES (payer, payee, paid) RETURNING id INTO new_id;
    WITH changed AS (
        UPDATE accounts
        SET balance = balance + CASE id WHEN payer THEN -paid ELSE paid END, version = version + 1
        WHERE id IN (payer, payee)
        RETURNING id, balance, version, CASE id WHEN payer THEN -paid ELSE paid END AS moved
    )
    INSERT INTO entries (account, transfer, amount, previous_balance, current_balance, account_version)
    SELECT id, new_id, moved, balance - moved, balance, version FROM changed;
    RETURN new_id;
END
$$;

INSERT INTO accounts (id) SELECT generate_series(1, :cards);
