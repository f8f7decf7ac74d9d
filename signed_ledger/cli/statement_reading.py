"""Reading a statement for people: all that it tells is verified, with the entries that it rests on."""

from itertools import pairwise
from typing import Any, NamedTuple

from signed_ledger.api.statements import in_order, view_statement
from signed_ledger.cli.reading import PAGE_ROWS, opened_reader, read_registry, verify_balance, verifying
from signed_ledger.config import Settings
from signed_ledger.encoding import decode_body, encode_base64, members_of
from signed_ledger.errors import CardNotFound, Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.verified import verified_body, verified_entry
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import AccountId, card
from signed_ledger.store import (
    AtTime,
    Balance,
    Moment,
    Movement,
    Reader,
    Statement,
    StatementWanted,
    StoredEntry,
)


class StatementRead(NamedTuple):
    """A whole statement, not yet verified, and what else has to be: who says so of its two balances and its times."""

    statement: Statement
    ends: list[tuple[Balance, StoredEntry]]
    edges: list[StoredEntry]


async def read_statement(
    settings: Settings, card_id: str, currency: str, start: Moment | None, end: Moment | None
) -> dict[str, Any]:
    """Give an account's statement, whole, as HTTP tells it.

    Raises `CardNotFound` where the account is not open by the end, `Malformed` where the end is before the start, and
    `IntegrityViolation` where anything is not what was signed, or the amounts do not lead from balance to balance.
    """
    async with opened_reader(settings) as reader:
        read = await _read(reader, AccountId(card(card_id), currency), start, end)
    if read is None:
        raise CardNotFound(f"{card_id} has no account in {currency} by then")
    _verify(read, await read_registry(settings))
    with verifying("about this account"):
        return view_statement(card_id, read.statement)


# --- reading -------------------------------------------------------------------------------------------------------


async def _read(reader: Reader, account: AccountId, start: Moment | None, end: Moment | None) -> StatementRead | None:
    with verifying("about these times"):
        span = await reader.span(start, end)
    in_order(span, start, end)
    with verifying("about this account"):
        whole = await _read_whole(reader, StatementWanted(account, span))
    if whole is None:
        return None
    balances = [balance for balance in (whole.opening, whole.closing) if balance is not None]
    ends = [(balance, await reader.entry(balance.seq)) for balance in balances]
    edges = await _read_edges(reader, start, span.first) + await _read_edges(reader, end, span.end)
    return StatementRead(whole, ends, edges)


async def _read_whole(reader: Reader, wanted: StatementWanted) -> Statement | None:
    pages: list[Statement] = []
    following: StatementWanted | None = wanted
    while following is not None and (page := await reader.statement(following, PAGE_ROWS)) is not None:
        pages.append(page)
        following = page.following
    if not pages:
        return None
    return pages[-1]._replace(opening=pages[0].opening, movements=[each for page in pages for each in page.movements])


async def _read_edges(reader: Reader, moment: Moment | None, seq: int) -> list[StoredEntry]:
    """The entries, as far as there are any, before and after a time that was found to be just before `seq`.

    Times never go back, so that where the time is between these two, it is between no other ones.
    """
    if not isinstance(moment, AtTime):
        return []
    beside = [await reader.entry(each) for each in (seq - 1, seq)]
    return [entry for entry in beside if entry.note is not None]


# --- verifying -----------------------------------------------------------------------------------------------------


def _verify(read: StatementRead, keyring: Keyring) -> None:
    for edge in read.edges:
        with verifying(f"at seq {edge.seq}"):
            verified_entry(edge, keyring)
    for balance, entry in read.ends:
        verify_balance(balance, entry, keyring)
    for movement in read.statement.movements:
        _verify_movement(movement, keyring)


def _verify_movement(movement: Movement, keyring: Keyring) -> None:
    """The balance, the line, and what the line is for: each entry, and that each is the one that the other names."""
    verify_balance(movement.balance, movement.entry, keyring)
    chain = [movement.cause, *movement.basis]
    for stored in (movement.entry, *chain):
        with verifying(f"at seq {stored.seq}"):
            verified_body(stored, keyring)
    for stored, before in pairwise(chain):
        with verifying(f"at seq {stored.seq}"):
            _check_builds_on(stored, before)


def _check_builds_on(stored: StoredEntry, before: StoredEntry) -> None:
    assert stored.parts.body is not None
    assert before.note is not None
    builds_on = members_of(decode_body(stored.parts.body).body)["builds_on"]
    if builds_on["leaf"] != encode_base64(leaf_hash(before.note)):
        raise Invalid("builds_on", f"names another entry than the one at seq {before.seq}")
