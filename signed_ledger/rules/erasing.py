"""All that is told of a card is erased, but for what the Issuer owes: docs/adr/0011."""

from collections.abc import Collection
from typing import Final, NamedTuple

from signed_ledger.errors import CardNotFound, StateConflict
from signed_ledger.money import format_minor
from signed_ledger.records import (
    PART_NAMES,
    AccountId,
    Body,
    CardChange,
    CardTransaction,
    Erasure,
    JournalLine,
    Load,
    Opening,
    State,
    card,
)
from signed_ledger.records.erasures import runs_of
from signed_ledger.records.messages import POSTINGS
from signed_ledger.rules.commands import Erase

ENTRIES_MAX: Final = 500
"""So many entries' parts have at most three runs each, which fit into one body of 65,535 bytes."""


class AboutCard(NamedTuple):
    """An entry of a card's, verified. `parts` are the names of the parts that are there.

    `body` is `None` where it was erased before and the state stayed.
    """

    seq: int
    parts: frozenset[str]
    body: Body | None
    state: State | None


class Erasing(NamedTuple):
    """What is to be recorded, and the balances that stay, each with the seq of the entry whose state says so."""

    erasures: list[Erasure]
    kept: list[tuple[int, State]]


def is_about(card_id: str, body: Body | None, state: State | None) -> bool:
    """Whether what an entry says is a card's own; its state speaks for a body that is no more."""
    if state is not None and state.account.owner != card(card_id):
        return False
    if isinstance(body, CardTransaction | Load):
        return body.card_id == card_id
    if isinstance(body, CardChange):
        return body.card.card_id == card_id
    if isinstance(body, Opening | JournalLine):
        return body.account.owner == card(card_id)
    return body is None and state is not None


def decide_erasure(command: Erase, about: list[AboutCard], settled: dict[str, int]) -> Erasing:
    """Give the erasures. `about` is all that there is of the card, in order of seq; `settled` the seq of each Scheme's
    newest settlement.

    Raises `CardNotFound`; `StateConflict` while an authorisation holds money, and while a posting is not settled.
    """
    newest = _newest(about)
    kept = {seq: state for seq, state in newest.values() if state.posted}
    if all(one.body is None and one.seq in kept for one in about):
        raise CardNotFound(f"Nothing is told of a card {command.card_id} here.", field="card_id")
    _check_nothing_held(command.card_id, newest)
    _check_settled(command.card_id, about, settled)
    going = [one for one in about if one.body is not None or one.seq not in kept]
    chunks = [going[first : first + ENTRIES_MAX] for first in range(0, len(going), ENTRIES_MAX)]
    return Erasing([_erasure(command, chunk, kept.keys()) for chunk in chunks], sorted(kept.items()))


def _newest(about: list[AboutCard]) -> dict[AccountId, tuple[int, State]]:
    return {one.state.account: (one.seq, one.state) for one in about if one.state is not None}


def _erasure(command: Erase, about: list[AboutCard], kept: Collection[int]) -> Erasure:
    named = {
        name: runs_of(one.seq for one in about if name in one.parts and not (name == "state" and one.seq in kept))
        for name in PART_NAMES
    }
    return Erasure(asked_by=command.asked_by, why=command.why, **named)


def _check_nothing_held(card_id: str, newest: dict[AccountId, tuple[int, State]]) -> None:
    for account, (seq, state) in newest.items():
        if state.held:
            held = format_minor(state.held, account.currency)
            raise StateConflict(
                f"Authorisations hold {held} {account.currency} of card {card_id} (entry {seq}): they have to be "
                "presented, reversed or expired first. Nothing was erased.",
                field="card_id",
            )


def _check_settled(card_id: str, about: list[AboutCard], settled: dict[str, int]) -> None:
    """What is to be settled rests on the bodies and on both parties' signatures."""
    for one in about:
        body = one.body
        if not isinstance(body, CardTransaction) or body.type not in POSTINGS:
            continue
        if one.seq > settled.get(body.scheme, -1):
            raise StateConflict(
                f"Entry {one.seq}, a {body.type} on card {card_id}, is not settled with {body.scheme} yet: run "
                f"signed-ledger settle --scheme {body.scheme} first. Nothing was erased.",
                field="card_id",
            )
