"""What stood before a stretch of entries, as rows of the file say: the beginning of an audit that begins in the middle.

Nothing of it is believed. What was asked is kept with its answer, and counts once the stretch before has ended so.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias, TypeVar

from signed_ledger.audit.connecting import SQLITE_ERRORS
from signed_ledger.audit.lookups import FileTiles, newest_row
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.reading import LedgerFile, Position
from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.merkle import Tree, edge_tiles, leaf_hash
from signed_ledger.records import AccountId, CardState, PostingKey, State
from signed_ledger.sealing import open_part
from signed_ledger.tables import Row

T = TypeVar("T")
Seqs: TypeAlias = int | tuple[int, int]
"""Of a transaction the entry it began with and the newest about it; one number where they are the same."""
_HASH_BYTES: Final = 32


class Place(NamedTuple):
    """An entry named so that it can not be another, and its time."""

    seq: int
    leaf: bytes | None
    time: int


class Assumed:
    """The ledger before the entry at `size`, with the questions that the stretch from there on has asked of it."""

    def __init__(self, file: LedgerFile, size: int) -> None:
        """Raises `Invalid` where the file's tiles make no tree of that size."""
        self.size = size
        self.tree = _tree_of(FileTiles(file), size)
        self.accounts: dict[AccountId, State | None] = {}
        self.cards: dict[str, CardState | None] = {}
        self.lives: dict[tuple[str, str], Seqs | None] = {}
        self._file = file

    def opened(self, seq: int) -> Opened:
        """An entry and its body; raises `Invalid` unless they are whole, and the entry's body its own."""
        note, data = self._file.note_and_body(seq)
        opened = _opened(seq, note)
        if type(data) is not bytes:
            raise Invalid(f"entry {seq}", "has no body that can be read")
        assert opened.entry is not None
        opened.body = decode_body(open_part("body", opened.entry.body, data)).body
        return opened

    def last(self) -> Opened:
        """The newest entry, without its parts: they may be erased. Raises `Invalid` unless it is whole."""
        note, _ = self._file.note_and_body(self.size - 1)
        return _opened(self.size - 1, note)

    def account(self, account: AccountId) -> State | None:
        row = self._newest("account_states", ("posted", "held"), owner=account.owner, currency=account.currency)
        self.accounts[account] = found = _made(row, (int, int), partial(State, account))
        return found

    def card(self, card_id: str) -> CardState | None:
        row = self._newest("card_states", ("scheme", "blocked"), card_id=card_id)
        self.cards[card_id] = found = _made(row, (str, int), lambda scheme, blocked: _card(card_id, scheme, blocked))
        return found

    def transaction(self, scheme: str, transaction_id: str) -> Seqs | None:
        names = {"transaction_id": transaction_id, "scheme": scheme}
        row = self._newest("authorisation_states", ("authorisation_seq", "seq"), **names)
        self.lives[scheme, transaction_id] = found = _made(row, (int, int), _seqs)
        return found

    def posting(self, key: PostingKey) -> None:
        """None is assumed of any: that each is there once is seen where stretches meet."""

    def _newest(self, table: str, columns: tuple[str, ...], **names: str) -> Row | None:
        try:
            return newest_row(self._file, table, columns, self.size, names)
        except (*SQLITE_ERRORS, UnicodeEncodeError):
            return None


def _opened(seq: int, note: object) -> Opened:
    if type(note) is not bytes:
        raise Invalid(f"entry {seq}", "can not be read")
    return Opened(Position(seq, ([(seq, note)],)), leaf=leaf_hash(note), entry=decode_entry(note).entry)


def _made(row: Row | None, types: tuple[type, ...], make: Callable[..., T]) -> T | None:
    """What a row says; of one that can not be genuine that is nothing, and the stretch before has ended otherwise."""
    if row is None or tuple(map(type, row)) != types:
        return None
    try:
        return make(*row)
    except Invalid:
        return None


def _card(card_id: str, scheme: str, blocked: int) -> CardState:
    return CardState(card_id, scheme or None, bool(blocked))


def _seqs(own: int, newest: int) -> Seqs:
    return own if own == newest else (own, newest)


def _tree_of(tiles: FileTiles, size: int) -> Tree:
    edges = []
    for tile in edge_tiles(size):
        data = tiles.tile_hashes(tile) if tile.width else b""
        edges.append([] if data is None else [data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES)])
    return Tree.from_stored(size, edges)
