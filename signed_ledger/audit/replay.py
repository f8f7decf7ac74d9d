"""Steps 9, 10 and 11: the card business once more, from what was signed, by the same rules as live traffic.

After a fault the book adopts the balance that was signed, so that one change gives one fault or a few, not thousands.
"""

from signed_ledger.audit.assumed import Assumed
from signed_ledger.audit.balances import Balances, Touch, touch_of
from signed_ledger.audit.batches import Batches
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.events import Events
from signed_ledger.audit.lives import Lives, ReadAgain
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.past import BySchemeRemembered, Past
from signed_ledger.audit.settlements import Unjudged
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.audit.wording import difference, shown_state
from signed_ledger.errors import Invalid, Malformed, Refusal, StateConflict
from signed_ledger.records import (
    Body,
    CardChange,
    CardTransaction,
    Erasure,
    JournalLine,
    Load,
    Opening,
    Request,
    Settlement,
    State,
    Terms,
    Transaction,
)
from signed_ledger.rules import Asked, Authorised, Book, ChangeCard, Command, Settle, Slot, apply, decide, remember
from signed_ledger.tables import Row, derived_rows, state_rows


class Replay:
    """Takes every entry in, in order of seq. The book holds an authorisation only while it is decided upon."""

    def __init__(self, tally: Tally, read_again: ReadAgain, erasing: Erasing) -> None:
        """`read_again` gives the note and body that stand at a seq."""
        self.balances = Balances()
        self.batches = Batches(tally, erasing)
        self.transactions = 0
        self._tally = tally
        self._erasing = erasing
        self.lives = Lives(read_again)
        self.events = Events()
        self.unjudged: list[Unjudged] | None = None
        self._is_faulty = False  # whether the entry being taken has a fault of these steps

    @property
    def _book(self) -> Book:
        return self.balances.book

    def take(self, opened: Opened) -> list[tuple[str, Row]] | None:
        """Give the derived rows that the entry makes; `None` where that can not be told for sure."""
        if opened.follows_gap:
            self._lose(None)
        if opened.entry is None or not opened.is_signed:
            self._lose(None if opened.entry is None else opened.entry.kind)
            return None
        if opened.body is None and opened.erased_by is not None:
            return self._take_erased(opened, opened.erased_by)
        if opened.body is None:
            self._skip(opened)
            return None
        self._is_faulty = False
        rows = self._take(opened, opened.body)
        return None if self._is_faulty else rows

    def end(self) -> None:
        self.batches.end()

    def resume(self, past: Past, terms: Terms | None, form: int) -> None:
        """Go on after the entries of the past, the newest of which had this form."""
        self.balances.resume(past, terms)
        self.lives.resume(BySchemeRemembered(past.transaction))
        self.events.webhooks, self.events.form = BySchemeRemembered(past.webhook), form

    def begin(self, assumed: Assumed, terms: Terms | None) -> None:
        """Begin in the middle. Each Scheme's first settlement is `unjudged`: it rests on what was posted before."""
        self.balances.resume(assumed, terms)
        self.lives.begin(assumed.transaction)
        self.unjudged = []

    def _lose(self, kind: str | None) -> None:
        self.balances.lose(kind)
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
        self.balances.lose_body(kind)
        self._adopt(opened)

    def _take_erased(self, opened: Opened, erasure: int) -> list[tuple[str, Row]]:
        """An entry of a card that is no more: it makes no row, but for a balance that stays."""
        assert opened.entry is not None
        entry, seq = opened.entry, opened.seq
        if entry.kind == JournalLine.KIND:
            self.batches.take_erased_line(seq, erasure)
        elif entry.kind == Opening.KIND:
            self.batches.take_erased_opening(seq, erasure)
        elif entry.kind == CardTransaction.KIND:
            self.transactions += 1
            is_bare = entry.state is None and entry.evidence is None
            self.batches.take_erased_transaction(seq, erasure, is_bare=is_bare)
        else:
            self.batches.take_other()
        self._erasing.check_left(erasure, seq, opened.state)
        if opened.state is None:
            return []
        self.balances.adopt(opened.state)
        return state_rows(seq, opened.state)

    def _take(self, opened: Opened, body: Body) -> list[tuple[str, Row]] | None:
        touch = touch_of(body)
        if touch is not None:
            self.balances.settle(touch, opened.state, opens=isinstance(body, Opening))
        self._follow(opened.seq, body)
        if isinstance(body, Transaction):
            self.transactions += 1
            self._judge(opened, body)
        elif isinstance(body, CardChange) and self.balances.can_judge_card(body.card.card_id):
            self._judge_card(opened, body)
        elif isinstance(body, Erasure):
            self._erasing.take(opened.seq, body)
        rows = self._apply(opened, body, touch)
        if isinstance(body, CardChange | Terms | Settlement):  # release 0.1 wrote none of these
            self.events.form = 2
        self.balances.learn(body)
        if isinstance(body, CardTransaction):
            self.lives.take(body, opened.seq)
            self._book.authorisations.clear()
        return rows

    def _follow(self, seq: int, body: Body) -> None:
        if isinstance(body, JournalLine):
            self.batches.take_line(seq, body)
            self._follow_posting(body)
        elif isinstance(body, Opening):
            self.batches.take_opening(seq, body.account)
        elif isinstance(body, Transaction):
            self.batches.take_transaction(seq, body, self.balances.is_open)
        else:
            self.batches.take_other()

    def _follow_posting(self, line: JournalLine) -> None:
        erasure, (kind, _, scheme) = self.batches.erased_by, line.owner.partition(":")
        if erasure is not None and kind == "scheme":
            self.balances.lose_sums(scheme)
            self._erasing.told.take_posting(erasure, scheme)

    def _fault(self, opened: Opened, step: Step, reason: str) -> None:
        self._is_faulty = True
        self._tally.fault(opened.seq, step, reason)

    # --- 9, 10, 11: was this the decision to take? ------------------------------------------------------------------

    def _judge(self, opened: Opened, body: Transaction) -> None:
        if isinstance(body, Load):
            self._decide_again(opened, body, body)
        elif isinstance(body, Settlement):
            covers_erased = self._erasing.told.take_settlement(opened.seq, body.scheme)
            if self.balances.can_judge_settlement(body):
                self._decide_again(opened, body, Settle(body.scheme, body.date, body.day_ends))
            elif self.unjudged is not None and not covers_erased:
                assert opened.entry is not None
                self.unjudged.append(Unjudged.of(Slot(opened.seq, opened.entry.time), body, self._book))
        else:
            self._check_webhook(opened, body)
            self._check_form(opened, body)
            self._judge_transaction(opened, body)

    def _judge_card(self, opened: Opened, body: CardChange) -> None:
        scheme = body.card.scheme if body.op == "bind" else None
        self._decide_again(opened, body, ChangeCard(body.op, body.card.card_id, scheme, body.why))

    def _check_webhook(self, opened: Opened, body: CardTransaction) -> None:
        if body.webhook_id is None:
            return
        self._tally.checked[Step.EVENTS] += 1
        first = self.events.recorded_before(opened.seq, body)
        if first is not None:
            reason = f"webhook {body.webhook_id} of {body.scheme} was recorded before, by entry {first}"
            self._fault(opened, Step.EVENTS, reason)

    def _check_form(self, opened: Opened, body: CardTransaction) -> None:
        if self.events.is_outdated(body):
            self._fault(opened, Step.DECISIONS, "has the form of an earlier release, and comes after one of a later")

    def _judge_transaction(self, opened: Opened, body: CardTransaction) -> None:
        began = None if body.request.transaction_id is None else self.lives.began_at(body)
        if body.opens and began is not None:
            reason = f"transaction {body.transaction_id} of {body.scheme} began before, with entry {began}"
            self._fault(opened, Step.EVENTS, reason)
        elif body.opens:
            self._judge_by_rules(opened, body, None)
        else:
            self._tally.checked[Step.TRANSACTIONS] += 1
            self._judge_about(opened, body, began)

    def _judge_about(self, opened: Opened, body: CardTransaction, own: int | None) -> None:
        if own is None:
            reason = f"no authorisation {body.transaction_id} of {body.scheme} stands before it"
            self._fault(opened, Step.TRANSACTIONS, reason)
            return
        try:
            life = self.lives.read(body.key)
        except Invalid as error:
            reason = f"where its transaction, begun with entry {own}, stands can not be read again: {error}"
            self._fault(opened, Step.TRANSACTIONS, reason)
            return
        self._book.authorisations[life.state.key] = life.state
        if body.builds_on != life.began.ref:
            self._fault(opened, Step.TRANSACTIONS, f"does not build on entry {own} as it stands there")
        else:
            self._judge_by_rules(opened, body, life.began)

    def _judge_by_rules(self, opened: Opened, body: CardTransaction, began: Authorised | None) -> None:
        """From the very request that the Scheme signed, where that could be read and verified."""
        request = opened.request
        if body.webhook_id is None:
            request = Request(body.type, body.transaction_id)
        elif request is None and body.opens:
            request = body.request
        if request is not None and not self._is_faulty and self.balances.can_judge(body):
            self._decide_again(opened, body, Asked(body.scheme, body.webhook_id, request, began))

    def _decide_again(self, opened: Opened, body: Transaction | CardChange, command: Command) -> None:
        """Ask the rules what they would have had recorded here; the openings have been taken in already."""
        assert opened.entry is not None
        self._tally.checked[Step.DECISIONS] += 1
        try:
            bodies = decide(self._book, command, Slot(opened.seq, opened.entry.time))
        except Malformed as refusal:
            self._fault(opened, Step.TRANSACTIONS, f"does not match its authorisation: {refusal}")
        except StateConflict as refusal:
            step = Step.DECISIONS if isinstance(body, CardChange) else Step.TRANSACTIONS
            self._fault(opened, step, f"how things stand does not admit it: {refusal}")
        except Refusal as refusal:
            self._fault(opened, Step.DECISIONS, f"the rules refuse what was recorded: {refusal}")
        else:
            given = next(given for given in bodies if not isinstance(given, Opening))
            if isinstance(body, CardTransaction) and isinstance(given, CardTransaction) and body.form == 1:
                given = given.in_first_form
            if given != body:
                self._fault(opened, Step.DECISIONS, difference(body, given))

    # --- 11: what it leaves -----------------------------------------------------------------------------------------

    def _apply(self, opened: Opened, body: Body, touch: Touch | None) -> list[tuple[str, Row]] | None:
        assert opened.entry is not None
        if opened.entry.state is not None and touch is not None and self.balances.is_doubtful(touch.account):
            self._give_up(opened, body)
            return None
        try:
            effect = apply(self._book, body, opened.seq)
        except Invalid as error:
            if not self._is_faulty:
                self._fault(opened, Step.DECISIONS, f"the rules can not take this in: {error}")
            self._give_up(opened, body)
            return None
        self._check_state(opened, effect.state)
        return derived_rows(opened.seq, body, effect) if self.balances.can_tell_rows(body) else None

    def _give_up(self, opened: Opened, body: Body) -> None:
        """Believe what was signed; what later entries rest on must not be forgotten for it."""
        remember(self._book, body, opened.seq)
        self._adopt(opened)

    def _check_state(self, opened: Opened, given: State | None) -> None:
        assert opened.entry is not None
        if given is not None:
            self._tally.checked[Step.DECISIONS] += 1
        if opened.entry.state is None and given is not None:
            self._fault(opened, Step.DECISIONS, f"leaves {shown_state(given)}, but has no state that says so")
        elif opened.entry.state is not None and given is None:
            self._fault(opened, Step.DECISIONS, "has a state, though it changes no account")
        elif opened.state is not None and given is not None and opened.state != given:
            self._fault(
                opened, Step.DECISIONS, f"leaves {shown_state(given)}; its state says {shown_state(opened.state)}"
            )
            self._adopt(opened)

    def _adopt(self, opened: Opened) -> None:
        assert opened.entry is not None
        if opened.state is not None:
            self.balances.adopt(opened.state)
        elif opened.entry.state is not None:
            self.balances.lose_accounts()
