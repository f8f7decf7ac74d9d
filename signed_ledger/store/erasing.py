"""The one place where something is removed: parts that an erasure names, with the entry that says so, in one commit.

What is removed is overwritten with zeros in the file, and the write-ahead log, where it may stand too, is emptied.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from signed_ledger.errors import Fault
from signed_ledger.failing import told
from signed_ledger.killpoints import reached
from signed_ledger.records import PART_NAMES, Erasure, card
from signed_ledger.store.connection import cut_log, insert_rows, triggers_of
from signed_ledger.store.entries import StoredEntry, read_entry
from signed_ledger.store.writing import Store
from signed_ledger.tables import DERIVED_TABLES, TABLES, Row

LOG_SECONDS: Final = 5.0
"""So long it is tried to empty the log; each try waits for readers besides."""


class FoundErasing(NamedTuple):
    """All that the derived tables name as a card's, in order of seq; each Scheme's newest settlement."""

    entries: list[StoredEntry]
    settlements: dict[str, StoredEntry]


async def read_erasing(store: Store, card_id: str) -> FoundErasing:
    """What is a card's: as the writer's transaction has it, where there is one, else at one moment."""
    return await store.connection.run(_find_at_once, card_id)


async def append_and_erase(store: Store, rows: list[tuple[str, Row]], card_id: str, erasures: list[Erasure]) -> None:
    """Insert `rows`, remove what `erasures` name of the card, and commit: all of it or nothing.

    Any failure is a `Fault`: what was written is then unknown.
    """
    await store.connection.run(_append_and_erase, rows, card_id, erasures)


async def empty_log(store: Store) -> bool:
    """Have the write-ahead log's pages written into the file and the log cut to nothing; whether that was done."""
    return await store.connection.run(cut_log, LOG_SECONDS)


# --- what is a card's ----------------------------------------------------------------------------------------------


def _find_at_once(connection: sqlite3.Connection, card_id: str) -> FoundErasing:
    if connection.in_transaction:
        return _find(connection, card_id)
    connection.execute("BEGIN")
    try:
        return _find(connection, card_id)
    finally:
        connection.execute("ROLLBACK")


def _find(connection: sqlite3.Connection, card_id: str) -> FoundErasing:
    seqs = [seq for (seq,) in connection.execute(SEQS, {"owner": card(card_id), "card_id": card_id})]
    newest = connection.execute("SELECT scheme, max(seq) FROM settlements GROUP BY scheme").fetchall()
    return FoundErasing(
        [read_entry(connection, seq) for seq in seqs],
        {scheme: read_entry(connection, seq) for scheme, seq in newest},
    )


# --- removing ------------------------------------------------------------------------------------------------------


def _append_and_erase(
    connection: sqlite3.Connection, rows: list[tuple[str, Row]], card_id: str, erasures: list[Erasure]
) -> None:
    assert connection.in_transaction
    reached("decided")
    try:
        _drop_triggers(connection)
        _remove(connection, card_id, erasures)
        for table in TABLES:
            for statement in triggers_of(table):
                connection.execute(statement)
        reached("removed")
        insert_rows(connection, rows)
        reached("committing")
        connection.execute("COMMIT")
        reached("committed")
    except sqlite3.Error as error:
        raise Fault(f"the commit failed: {told(error)}") from error


def _drop_triggers(connection: sqlite3.Connection) -> None:
    """An open transaction keeps everybody else from a table without its triggers."""
    for table in TABLES:
        for what in ("update", "delete", "replace"):
            connection.execute(f"DROP TRIGGER IF EXISTS {table.name}_no_{what}")


def _remove(connection: sqlite3.Connection, card_id: str, erasures: Iterable[Erasure]) -> None:
    for erasure in erasures:
        named = {name: _expanded(erasure, name) for name in PART_NAMES}
        gone = json.dumps(sorted(set().union(*named.values())))
        kept = json.dumps(sorted(set(named["body"]) - set(named["state"])))
        values = {"owner": card(card_id), "card_id": card_id, "gone": gone, "kept": kept}
        for statement in REMOVALS:
            connection.execute(statement, values)
        values = {name: json.dumps(seqs) for name, seqs in named.items()}
        for statement in PART_REMOVALS:
            connection.execute(statement, values)


def _expanded(erasure: Erasure, name: str) -> list[int]:
    return [seq for part, first, last in erasure.runs() if part == name for seq in range(first, last + 1)]


SEQS: Final = """
SELECT seq FROM account_states WHERE owner = :owner
UNION SELECT seq FROM transactions WHERE card_id = :card_id
UNION SELECT seq FROM card_states WHERE card_id = :card_id
ORDER BY seq
"""

_GONE: Final = "(SELECT value FROM json_each(:gone))"
# By each table's key, so that none is read from end to end under the write lock; a row of an account whose state stays
# goes only where that state does. What names a webhook is its entry's body: it goes last.
REMOVALS: Final = (
    f"DELETE FROM account_states WHERE owner = :owner AND seq IN {_GONE} "  # noqa: S608  names of ours
    "AND seq NOT IN (SELECT p.seq FROM parts AS p WHERE p.state IS NOT NULL "
    "AND p.seq IN (SELECT value FROM json_each(:kept)))",
    f"DELETE FROM card_states WHERE card_id = :card_id AND seq IN {_GONE}",  # noqa: S608  names of ours
    "DELETE FROM authorisation_states WHERE (transaction_id, scheme) IN "  # noqa: S608  names of ours
    f"(SELECT transaction_id, scheme FROM transactions WHERE seq IN {_GONE}) AND seq IN {_GONE}",
    "DELETE FROM postings WHERE (transaction_id, scheme) IN "  # noqa: S608  names of ours
    f"(SELECT transaction_id, scheme FROM transactions WHERE seq IN {_GONE}) AND seq IN {_GONE}",
    "DELETE FROM webhooks WHERE (webhook_id, scheme) IN (SELECT json_extract(CAST(body AS TEXT), '$.webhook_id'), "  # noqa: S608  names of ours
    f"json_extract(CAST(body AS TEXT), '$.scheme') FROM parts WHERE seq IN {_GONE} AND body <> x'') AND seq IN {_GONE}",
    f"DELETE FROM transactions WHERE seq IN {_GONE}",  # noqa: S608  names of ours
)
PART_REMOVALS: Final = (
    "UPDATE parts SET evidence = NULL WHERE seq IN (SELECT value FROM json_each(:evidence))",
    "UPDATE parts SET state = NULL WHERE seq IN (SELECT value FROM json_each(:state))",
    "UPDATE parts SET body = x'' WHERE seq IN (SELECT value FROM json_each(:body))",
    "DELETE FROM parts WHERE seq IN (SELECT value FROM json_each(:body) UNION SELECT value FROM json_each(:state)) "
    "AND body = x'' AND state IS NULL AND evidence IS NULL",
)

assert {table.name for table in DERIVED_TABLES} == {
    *("account_states", "card_states", "authorisation_states", "postings", "webhooks", "transactions"),
    *("settlements", "keys"),
}, "a new derived table: do its rows hold a person's data?"
