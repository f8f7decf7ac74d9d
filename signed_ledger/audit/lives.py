"""Where each transaction stands, by two seqs: the entry it began with and the newest about it.

What they say is read again from the file when it is needed: a ledger may hold more transactions than memory does.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from signed_ledger.audit.assumed import Seqs
from signed_ledger.encoding import decode_body
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import AuthorisationKey, AuthorisationState, CardTransaction, EntryRef
from signed_ledger.rules import Authorised, authorisation_after

ReadAgain = Callable[[int], tuple[Any, Any]]
"""Gives the note and body that stand at a seq."""
Ask = Callable[[str, str], Seqs | None]
"""Gives what is known of a Scheme's transaction before."""


class Life(NamedTuple):
    """Where a transaction stands, and the entry it began with."""

    state: AuthorisationState
    began: Authorised


class Lives:
    """Every transaction so far."""

    def __init__(self, read_again: ReadAgain) -> None:
        self._read_again = read_again
        self._ask: Ask | None = None
        self.seqs: dict[str, dict[str, Seqs]] = defaultdict(dict)

    def resume(self, seqs: dict[str, dict[str, Seqs]]) -> None:
        """Go on with what is known of transactions that began before."""
        self.seqs = seqs

    def begin(self, ask: Ask) -> None:
        """Ask this of a transaction that must have begun before; of one that begins it is assumed that it had not."""
        self._ask = ask

    def began_at(self, body: CardTransaction) -> int | None:
        """The seq of the entry with which the transaction that this is about began."""
        known, name = self.seqs[body.scheme], body.transaction_id
        seqs = known.get(name)
        if seqs is None and self._ask is not None and not body.opens and (found := self._ask(body.scheme, name)):
            known[name] = seqs = found
        return seqs[0] if isinstance(seqs, tuple) else seqs

    def take(self, body: CardTransaction, seq: int) -> None:
        """Remember the entry as the newest about its transaction, unless it changed nothing of that.

        What builds on an entry that could not be read begins no transaction.
        """
        if body.request.transaction_id is None or (body.decision == "declined" and not body.opens):
            return
        own = self.began_at(body)
        if own is None and not body.opens:
            return
        self.seqs[body.scheme][body.transaction_id] = seq if own is None else (own, seq)

    def read(self, key: AuthorisationKey) -> Life:
        """Read where a transaction stands; raises `Invalid` where that can not be read any more."""
        seqs = self.seqs[key.scheme][key.transaction_id]
        own, newest = seqs if isinstance(seqs, tuple) else (seqs, seqs)
        began = self._read(own)
        state = authorisation_after(began.body, own, None)
        if newest != own:
            state = authorisation_after(self._read(newest).body, newest, state)
        if state is None or state.key != key:
            raise Invalid("entry", "does not say where the transaction stands")
        return Life(state, began)

    def _read(self, seq: int) -> Authorised:
        note, data = self._read_again(seq)
        body = decode_body(data).body if type(data) is bytes else None
        if type(note) is not bytes or not isinstance(body, CardTransaction):
            raise Invalid("entry", f"{seq} is no transaction of a card")
        return Authorised(EntryRef(seq, leaf_hash(note)), body)
