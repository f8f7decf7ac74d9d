"""What was verified by an earlier run, asked again where a new entry rests on it: found by a row, proven by the tree.

A row only says where to look. The entry it names must be in the tree that was seen, its parts must have the digests
that it signs, and they must say what the row says. That a row is the newest, or that there is none, is not proven.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Final, TypeVar

from signed_ledger.audit.connecting import SQLITE_ERRORS
from signed_ledger.audit.lookups import FileTiles, newest_row
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.reading import LedgerFile, Position
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.audit.tiles import SeenTree
from signed_ledger.encoding import decode_body, decode_entry, decode_state
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import (
    AccountId,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    Checkpoint,
    Entry,
    JournalLine,
    Opening,
    PostingKey,
    State,
    card_of,
)
from signed_ledger.sealing import open_part
from signed_ledger.tables import Row

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(dict[K, V]):
    """A dict that asks the past, once, for what is not in it."""

    def __init__(self, ask: Callable[[K], V | None]) -> None:
        super().__init__()
        self._ask = ask
        self._asked: set[K] = set()

    def _recall(self, key: K) -> None:
        if key in self._asked or super().__contains__(key):
            return
        self._asked.add(key)
        found = self._ask(key)
        if found is not None:
            super().__setitem__(key, found)

    def __contains__(self, key: object) -> bool:
        self._recall(key)  # type: ignore[arg-type]
        return super().__contains__(key)

    def __getitem__(self, key: K) -> V:
        self._recall(key)
        return super().__getitem__(key)

    def get(self, key: K, default: Any = None) -> Any:
        self._recall(key)
        return super().get(key, default)

    def setdefault(self, key: K, default: Any = None) -> Any:
        self._recall(key)
        return super().setdefault(key, default)


class BySchemeRemembered(dict[str, dict[str, V]]):
    """For each Scheme what the past knows by an id of it."""

    def __init__(self, ask: Callable[[str, str], V | None]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, scheme: str) -> dict[str, V]:
        self[scheme] = Remembered(partial(self._ask, scheme))
        return self[scheme]


class Past:
    """The entries in the checkpoint seen last, and what they leave."""

    def __init__(self, file: LedgerFile, checkpoint: Checkpoint, tally: Tally) -> None:
        """Raises `Invalid` unless the file's tiles are those of the checkpoint."""
        self.size = checkpoint.size
        self._file = file
        self._tally = tally
        self.seen = SeenTree(FileTiles(file), checkpoint)
        self.tree = self.seen.tree

    # --- entries ---------------------------------------------------------------------------------------------------

    def opened(self, seq: int) -> Opened:
        """An entry and its body; raises `Invalid` unless it is the one that was seen."""
        entry, note, parts = self._entry(seq)
        opened = Opened(Position(seq, ([(seq, note)],)), leaf=leaf_hash(note), entry=entry)
        opened.body = decode_body(open_part("body", entry.body, parts[0])).body
        return opened

    def last(self) -> Opened:
        """The newest entry that was seen."""
        return self.opened(self.size - 1)

    def ends_a_batch(self) -> bool:
        """Whether the newest entry that was seen and the one after it are not of one batch."""
        note, _ = self._file.note_and_body(self.size)
        try:
            follows = None if type(note) is not bytes else decode_entry(note).entry.kind
        except Invalid:
            follows = None
        last, _, _ = self._entry(self.size - 1)
        return last.kind != Opening.KIND and follows != JournalLine.KIND

    def note_and_body(self, seq: int) -> tuple[Any, Any]:
        """As `LedgerFile` gives them, for what is new too; of the past nothing that was not seen."""
        if seq >= self.size:
            return self._file.note_and_body(seq)
        try:
            entry, note, (body, _) = self._entry(seq)
            open_part("body", entry.body, body)
        except Invalid:
            return None, None
        return note, body

    def _entry(self, seq: int) -> tuple[Entry, bytes, tuple[bytes | None, bytes | None]]:
        rows = self._rows(_ENTRY, seq)
        note, *parts = rows[0] if rows else (None, None, None)
        if type(note) is not bytes or leaf_hash(note) != self.seen.leaf(seq):
            raise Invalid(f"entry {seq}", "is not the one that was seen")
        body, state = (part if type(part) is bytes else None for part in parts)
        return decode_entry(note).entry, note, (body, state)

    # --- what they leave -------------------------------------------------------------------------------------------

    def account(self, account: AccountId) -> State | None:
        """Where an account stood; `None` where it was not open."""
        row = self._newest("account_states", ("seq", "posted", "held"), owner=account.owner, currency=account.currency)
        return None if row is None else self._proven("account_states", row, partial(self._state, account))

    def card(self, card_id: str) -> CardState | None:
        row = self._newest("card_states", ("seq", "scheme", "blocked"), card_id=card_id)
        return None if row is None else self._proven("card_states", row, partial(self._card, card_id))

    def posting(self, key: PostingKey) -> int | None:
        """The seq of a clearing or refund that has an id of its own."""
        names = {"transaction_id": key.transaction_id, "scheme": key.scheme, "name": key.name}
        row = self._newest("postings", ("seq",), **names)
        return None if row is None else self._proven("postings", row, partial(self._posting, key))

    def webhook(self, scheme: str, webhook_id: str) -> int | None:
        """The seq of the transaction that answered a webhook."""
        row = self._newest("webhooks", ("seq",), webhook_id=webhook_id, scheme=scheme)
        return None if row is None else self._proven("webhooks", row, partial(self._webhook, scheme, webhook_id))

    def transaction(self, scheme: str, transaction_id: str) -> int | tuple[int, int] | None:
        """The entry that a transaction began with, and the newest about it; `Lives` reads both, and proves them so."""
        names = {"transaction_id": transaction_id, "scheme": scheme}
        row = self._newest("authorisation_states", ("seq", "authorisation_seq"), **names)
        if row is None:
            return None
        seq, own = row
        return int(own) if seq == own else (int(own), int(seq))

    def _state(self, account: AccountId, row: Row) -> State:
        seq, posted, held = row
        entry, _, (_, data) = self._entry(seq)
        if entry.state is None:
            raise Invalid("state", "is not signed there")
        state = decode_state(open_part("state", entry.state, data))
        if (state.account, state.posted, state.held) != (account, posted, held):
            raise Invalid("state", "says something else")
        return state

    def _card(self, card_id: str, row: Row) -> CardState:
        seq, scheme, blocked = row
        state = CardState(card_id, scheme or None, bool(blocked))
        if not _leaves(self._body(seq), state):
            raise Invalid("body", "says something else")
        return state

    def _posting(self, key: PostingKey, row: Row) -> int:
        body = self._body(row[0])
        if not isinstance(body, CardTransaction) or body.posting_key != key:
            raise Invalid("body", "is another posting, or none")
        return int(row[0])

    def _webhook(self, scheme: str, webhook_id: str, row: Row) -> int:
        body = self._body(row[0])
        if not isinstance(body, CardTransaction) or (body.scheme, body.webhook_id) != (scheme, webhook_id):
            raise Invalid("body", "answers another webhook, or none")
        return int(row[0])

    def _body(self, seq: int) -> Body:
        body = self.opened(seq).body
        assert body is not None
        return body

    def _proven(self, table: str, row: Row, prove: Callable[[Row], V]) -> V | None:
        """What the row's entry says; where that is something else, a fault and `None`."""
        try:
            return prove(row)
        except Invalid as error:
            seq = row[0] if type(row[0]) is int else None
            self._tally.fault(seq, Step.DECISIONS, f"a row of {table} is not what its entry makes: {error}")
            return None

    def _newest(self, table: str, columns: tuple[str, ...], **names: str) -> Row | None:
        try:
            return newest_row(self._file, table, columns, self.size, names)
        except SQLITE_ERRORS as error:
            self._tally.repeated_fault(self.size, Step.DECISIONS, table, f"ledger: can not be read: {error}")
            return None

    def _rows(self, statement: str, *values: object) -> list[Row]:
        try:
            return self._file.query(statement, *values)
        except SQLITE_ERRORS as error:
            raise Invalid("ledger", f"can not be read: {error}") from None


def _leaves(body: Body, state: CardState) -> bool:
    """Whether an entry of this body can have left the card so."""
    if isinstance(body, CardChange):
        return body.card == state
    if isinstance(body, Opening):
        return card_of(body.account.owner) == state.card_id and state == CardState(state.card_id)
    if isinstance(body, CardTransaction):
        bound = CardState(body.card_id, body.scheme)
        return body.opens and body.decision != "declined" and state == bound
    return False


_ENTRY: Final = (
    "SELECT e.note, p.body, p.state FROM main.entries AS e LEFT JOIN main.parts AS p ON p.seq = e.seq WHERE e.seq = ?"
)
