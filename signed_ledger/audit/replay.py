"""Steps 9, 10 and 11: the card business once more, from what was signed, by the same rules as live traffic.

After a fault the book adopts the balance that was signed, so that one change gives one fault or a few, not thousands.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from signed_ledger.audit.balances import Balances, Touch, touch_of
from signed_ledger.audit.batches import Batches
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.encoding import decode_body
from signed_ledger.errors import Invalid, Malformed, Refusal
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import format_minor
from signed_ledger.records import (
    PENDING,
    Authorisation,
    Body,
    EntryRef,
    JournalLine,
    Load,
    Opening,
    Presentment,
    PresentmentRequest,
    State,
    Transaction,
)
from signed_ledger.rules import (
    Authorise,
    Authorised,
    Book,
    Command,
    Present,
    apply,
    authorisation_opened,
    decide,
)
from signed_ledger.tables import Row, derived_rows


class Replay:
    """Takes every entry in, in order of seq. The book holds an authorisation only while it is decided upon."""

    def __init__(self, tally: Tally, read_again: Callable[[int], tuple[Any, Any]]) -> None:
        """`read_again` gives the note and body that stand at a seq."""
        self.balances = Balances()
        self.batches = Batches(tally)
        self.transactions = 0
        self._tally = tally
        self._read_again = read_again
        self._webhooks: defaultdict[str, dict[str, int]] = defaultdict(dict)
        # The seq of each authorisation by Scheme and transaction id; once presented, minus its presentment's.
        self._authorised: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._is_faulty = False  # whether the entry being taken has a fault of these steps

    @property
    def _book(self) -> Book:
        return self.balances.book

    def take(self, opened: Opened) -> list[tuple[str, Row]] | None:
        """Give the derived rows that the entry makes; `None` where that can not be told for sure."""
        if opened.follows_gap:
            self._lose()
        if opened.entry is None or not opened.is_signed:
            self._lose()
            return None
        if opened.body is None:
            self._skip(opened)
            return None
        self._is_faulty = False
        rows = self._take(opened, opened.body)
        return None if self._is_faulty else rows

    def end(self) -> None:
        self.batches.end()

    def _lose(self) -> None:
        self.balances.lose()
        self.batches.lose()

    def _skip(self, opened: Opened) -> None:
        """A signed entry whose body is not there any more: its kind and state may still be known."""
        assert opened.entry is not None
        kind = opened.entry.kind
        if kind == JournalLine.KIND:
            self.batches.take_line(opened.seq, None)
        elif kind in (Load.KIND, Opening.KIND):
            self.batches.lose()
        else:
            self.batches.take_other()
        self._adopt(opened)

    def _take(self, opened: Opened, body: Body) -> list[tuple[str, Row]] | None:
        touch = touch_of(body)
        if touch is not None:
            self.balances.settle(touch, opened.state, opens=isinstance(body, Opening))
        self._follow(opened.seq, body)
        if isinstance(body, Transaction):
            self.transactions += 1
            self._judge(opened, body, touch)
        rows = self._apply(opened, body, touch)
        self._book.authorisations.clear()
        return rows

    def _follow(self, seq: int, body: Body) -> None:
        if isinstance(body, JournalLine):
            self.batches.take_line(seq, body)
        elif isinstance(body, Opening):
            self.batches.take_opening(seq, body.account)
        elif isinstance(body, Transaction):
            self.batches.take_transaction(seq, body, self.balances.is_open)
        else:
            self.batches.take_other()

    def _fault(self, opened: Opened, step: Step, reason: str) -> None:
        self._is_faulty = True
        self._tally.fault(opened.seq, step, reason)

    # --- 9, 10, 11: was this the decision to take? ------------------------------------------------------------------

    def _judge(self, opened: Opened, body: Transaction, touch: Touch | None) -> None:
        if isinstance(body, Load):
            self._decide_again(opened, body, body)
            return
        self._check_webhook(opened, body)
        if isinstance(body, Authorisation):
            self._judge_authorisation(opened, body, touch)
        else:
            self._judge_presentment(opened, body)

    def _check_webhook(self, opened: Opened, body: Authorisation | Presentment) -> None:
        self._tally.checked[Step.EVENTS] += 1
        first = self._webhooks[body.scheme].setdefault(body.webhook_id, opened.seq)
        if first != opened.seq:
            reason = f"webhook {body.webhook_id} of {body.scheme} was recorded before, by entry {first}"
            self._fault(opened, Step.EVENTS, reason)

    def _judge_authorisation(self, opened: Opened, body: Authorisation, touch: Touch | None) -> None:
        first = self._authorised[body.scheme].setdefault(body.transaction_id, opened.seq)
        if first != opened.seq:
            when = f"by entry {first}" if first > 0 else f"and presented by entry {-first}"
            reason = f"transaction {body.transaction_id} of {body.scheme} was authorised before, {when}"
            self._fault(opened, Step.EVENTS, reason)
        elif touch is not None and not self.balances.is_doubtful(touch.account):
            asked = opened.request if isinstance(opened.request, type(body.request)) else body.request
            self._decide_again(opened, body, Authorise(body.scheme, body.webhook_id, asked))

    def _judge_presentment(self, opened: Opened, body: Presentment) -> None:
        self._tally.checked[Step.PRESENTMENTS] += 1
        own = self._authorised[body.scheme].get(body.transaction_id)
        if own is None:
            reason = f"no authorisation {body.transaction_id} of {body.scheme} stands before it"
            self._fault(opened, Step.PRESENTMENTS, reason)
        elif own < 0:
            reason = f"transaction {body.transaction_id} of {body.scheme} was presented before, by entry {-own}"
            self._fault(opened, Step.EVENTS, reason)
        else:
            self._authorised[body.scheme][body.transaction_id] = -opened.seq
            self._judge_first_presentment(opened, body, own)

    def _judge_first_presentment(self, opened: Opened, body: Presentment, own: int) -> None:
        try:
            authorised = self._authorised_at(own)
        except Invalid as error:
            self._fault(opened, Step.PRESENTMENTS, f"its authorisation, entry {own}, can not be read again: {error}")
            return
        state = authorisation_opened(authorised.body, own)
        self._book.authorisations[state.key] = state
        for wrong, reason in (
            (state.status != PENDING, f"its authorisation, entry {own}, was declined"),
            (body.builds_on.seq != own, f"builds on entry {body.builds_on.seq}, its authorisation is entry {own}"),
            (body.builds_on.leaf != authorised.ref.leaf, f"builds on another leaf than that of entry {own}"),
            (body.card_id != state.card_id, f"is for card {body.card_id}, authorised was {state.card_id}"),
            (body.hold_change.minor != -state.held, f"releases {body.hold_change}, held are {state.held} minor units"),
        ):
            if wrong:
                self._fault(opened, Step.PRESENTMENTS, reason)
        if not self._is_faulty and isinstance(opened.request, PresentmentRequest):
            self._decide_again(opened, body, Present(body.scheme, body.webhook_id, opened.request, authorised))

    def _authorised_at(self, seq: int) -> Authorised:
        note, data = self._read_again(seq)
        body = decode_body(data).body if type(data) is bytes else None
        if type(note) is not bytes or not isinstance(body, Authorisation):
            raise Invalid("entry", "is no authorisation")
        return Authorised(EntryRef(seq, leaf_hash(note)), body)

    def _decide_again(self, opened: Opened, body: Transaction, command: Command) -> None:
        """Ask the rules what they would have had recorded here; the openings have been taken in already."""
        self._tally.checked[Step.DECISIONS] += 1
        try:
            bodies = decide(self._book, command, opened.seq)
        except Malformed as refusal:
            self._fault(opened, Step.PRESENTMENTS, f"does not match its authorisation: {refusal}")
        except Refusal as refusal:
            self._fault(opened, Step.DECISIONS, f"the rules refuse what was recorded: {refusal}")
        else:
            given = next(given for given in bodies if not isinstance(given, Opening))
            if given != body:
                self._fault(opened, Step.DECISIONS, _difference(body, given))

    # --- 11: what it leaves -----------------------------------------------------------------------------------------

    def _apply(self, opened: Opened, body: Body, touch: Touch | None) -> list[tuple[str, Row]] | None:
        assert opened.entry is not None
        if opened.entry.state is not None and touch is not None and self.balances.is_doubtful(touch.account):
            self._adopt(opened)
            return None
        try:
            effect = apply(self._book, body, opened.seq)
        except Invalid as error:
            if not self._is_faulty:
                self._fault(opened, Step.DECISIONS, f"the rules can not take this in: {error}")
            self._adopt(opened)
            return None
        self._check_state(opened, effect.state)
        return derived_rows(opened.seq, body, effect.state, effect.authorisation)

    def _check_state(self, opened: Opened, given: State | None) -> None:
        assert opened.entry is not None
        if given is not None:
            self._tally.checked[Step.DECISIONS] += 1
        if opened.entry.state is None and given is not None:
            self._fault(opened, Step.DECISIONS, f"leaves {_shown(given)}, but has no state that says so")
        elif opened.entry.state is not None and given is None:
            self._fault(opened, Step.DECISIONS, "has a state, though it changes no account")
        elif opened.state is not None and given is not None and opened.state != given:
            self._fault(opened, Step.DECISIONS, f"leaves {_shown(given)}; its state says {_shown(opened.state)}")
            self._adopt(opened)

    def _adopt(self, opened: Opened) -> None:
        assert opened.entry is not None
        if opened.state is not None:
            self.balances.adopt(opened.state)
        elif opened.entry.state is not None:
            self.balances.lose()


def _shown(state: State) -> str:
    currency = state.account.currency
    posted, held = format_minor(state.posted, currency), format_minor(state.held, currency)
    return f"{state.account.owner} {currency} at posted {posted}, held {held}"


def _difference(recorded: Transaction, given: Body) -> str:
    names = [name for name in recorded.__slots__ if getattr(recorded, name) != getattr(given, name, None)]
    told = [f"{name} is {getattr(recorded, name)}, the rules give {getattr(given, name, None)}" for name in names]
    return "not the decision that the rules give: " + "; ".join(told)
