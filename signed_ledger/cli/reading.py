"""Reading a ledger for people: every row told is verified against the signed entry that it names."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, NamedTuple, TypeAlias, cast

from signed_ledger.cli.wiring import opened_store, registry
from signed_ledger.config import Settings
from signed_ledger.errors import EntryNotFound, IntegrityViolation, Invalid, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.verified import verified_account, verified_body, verified_entry
from signed_ledger.records import CardTransaction, Load, card
from signed_ledger.store import AtSeq, Balance, Balances, FoundAccount, Moment, Reader, StoredEntry, TransactionsWanted

CardsOwn: TypeAlias = Load | CardTransaction

PAGE_ROWS: Final = 1_000


class TransactionRead(NamedTuple):
    """A transaction as its entry at `seq` says; `time` is microseconds."""

    seq: int
    time: int
    body: CardsOwn


async def read_balances(settings: Settings, card_id: str, moment: Moment | None) -> Balances:
    """Give a card's balances as they were at that moment.

    Raises `EntryNotFound` for a seq to come, `IntegrityViolation` where a balance is not what was signed.
    """
    async with opened_reader(settings) as reader:
        found = await reader.balances(card(card_id), moment)
        entries = [await reader.entry(balance.seq) for balance in found.balances]
    if isinstance(moment, AtSeq) and moment.seq > found.at:
        raise EntryNotFound(f"the ledger has no entry {moment.seq} yet; its newest is {found.at}")
    keyring = await read_registry(settings)
    for balance, entry in zip(found.balances, entries, strict=True):
        verify_balance(balance, entry, keyring)
    return found


def verify_balance(balance: Balance, entry: StoredEntry, keyring: Keyring) -> None:
    """Raise `IntegrityViolation` unless the entry's signed state says that balance."""
    state = balance.state
    with verifying(f"at seq {balance.seq}"):
        verified_account(state.account, FoundAccount(state.posted, state.held, entry), keyring)


async def read_transactions(settings: Settings, card_id: str) -> list[TransactionRead]:
    """Give a card's transactions, newest first; raise `IntegrityViolation` where one does not verify."""
    stored: list[StoredEntry] = []
    async with opened_reader(settings) as reader:
        page = await reader.transactions(TransactionsWanted(card_id), PAGE_ROWS)
        while page:
            stored += page
            page = await reader.transactions(TransactionsWanted(card_id, before=page[-1].seq), PAGE_ROWS)
    keyring = await read_registry(settings)
    return [_verified(entry, keyring) for entry in stored]


def _verified(stored: StoredEntry, keyring: Keyring) -> TransactionRead:
    with verifying(f"at seq {stored.seq}"):
        time = verified_entry(stored, keyring).time
        return TransactionRead(stored.seq, time, cast(CardsOwn, verified_body(stored, keyring)))


@contextmanager
def verifying(where: str) -> Iterator[None]:
    """What is found wrong in here is an `IntegrityViolation` that says where."""
    try:
        yield
    except (Invalid, Refusal) as error:
        raise IntegrityViolation(
            f"what is stored {where} does not verify: {error}; see signed-ledger verify"
        ) from error


@asynccontextmanager
async def opened_reader(settings: Settings) -> AsyncIterator[Reader]:
    reader = await Reader.open(settings.database, busy_timeout_ms=settings.busy_timeout_ms)
    try:
        yield reader
    finally:
        await reader.close()


async def read_registry(settings: Settings) -> Keyring:
    """Read after what it verifies: it then knows every key that signed that."""
    async with opened_store(settings) as store:
        return await registry(store, settings)
