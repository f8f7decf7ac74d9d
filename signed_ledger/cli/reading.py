"""Reading a ledger for people: every row told is verified against the signed entry that it names."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, NamedTuple, TypeAlias, cast

from signed_ledger.api.query import read_moment
from signed_ledger.cli.wiring import opened_store, registry
from signed_ledger.config import Settings
from signed_ledger.errors import CardNotFound, EntryNotFound, IntegrityViolation, Invalid, Malformed, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.verified import (
    verified_account,
    verified_body,
    verified_card,
    verified_entry,
    verified_terms,
)
from signed_ledger.records import DEFAULT_TERMS, CardState, CardTransaction, Load, Terms, card
from signed_ledger.store import (
    AtSeq,
    Balance,
    Balances,
    FoundAccount,
    Moment,
    Reader,
    StoredEntry,
    TransactionsWanted,
    Wanted,
)

CardsOwn: TypeAlias = Load | CardTransaction

PAGE_ROWS: Final = 1_000


class TransactionRead(NamedTuple):
    """A transaction as its entry at `seq` says; `time` is microseconds."""

    seq: int
    time: int
    body: CardsOwn


class CardRead(NamedTuple):
    """Whose a card is and whether it is blocked, as its entry at `seq` says."""

    seq: int
    state: CardState


class TermsRead(NamedTuple):
    """The terms in force, and the seq of the entry that they stand in; `None`: they are the ledger's own."""

    seq: int | None
    terms: Terms


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


async def read_card(settings: Settings, card_id: str) -> CardRead:
    """Raises `CardNotFound`; `IntegrityViolation` where the card is not what was signed."""
    async with opened_store(settings) as store:
        found = (await store.read(Wanted(cards=[card_id]))).cards.get(card_id)
    if found is None:
        raise CardNotFound(f"No card {card_id} is known here.")
    keyring = await read_registry(settings)
    with verifying(f"at seq {found.entry.seq}"):
        return CardRead(found.entry.seq, verified_card(card_id, found, keyring))


async def read_terms_in_force(settings: Settings) -> TermsRead:
    """Raises `IntegrityViolation` where their entry does not verify."""
    async with opened_store(settings) as store:
        stored = await store.terms_entry((await store.newest()).seq)
    keyring = await read_registry(settings)
    if stored is None:
        return TermsRead(None, DEFAULT_TERMS)
    with verifying(f"at seq {stored.seq}"):
        return TermsRead(stored.seq, verified_terms(stored, keyring))


def _verified(stored: StoredEntry, keyring: Keyring) -> TransactionRead:
    with verifying(f"at seq {stored.seq}"):
        time = verified_entry(stored, keyring).time
        return TransactionRead(stored.seq, time, cast(CardsOwn, verified_body(stored, keyring)))


def moment_of(text: str | None, option: str) -> Moment | None:
    """The moment that an option names; raise `Invalid` naming the option."""
    try:
        return None if text is None else read_moment(text, "TIME")
    except Malformed as error:
        raise Invalid(option, error.detail) from None


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
