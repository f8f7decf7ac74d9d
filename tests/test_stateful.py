"""Whole lives of many cards, at random, against a model written from docs/CARD_RULES.md; audited after every step.

Two Schemes, two currencies, two writers on one file as two processes would have it. Messages come alone and many at
once, again, doubled, at both writers; the clock goes on by days and back; keys and terms change, writers restart, days
are settled. The model is tests/life_model.py.

The default run takes about as long as CI can bear; `make soak` lives a thousand lives, each another one.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signed_ledger.encoding import decode_body
from signed_ledger.errors import Refusal
from signed_ledger.ledger import Answer, Ledger, Settling, Submission, Webhook
from signed_ledger.money import Money, format_minor
from signed_ledger.records import (
    DEFAULT_TERMS,
    AccountId,
    AuthorisationKey,
    AuthorisationState,
    CardTransaction,
    FeeRate,
    Load,
    Request,
    Scope,
    SettledSum,
    Settlement,
    Terms,
    Tolerance,
    Totals,
    Unsettled,
    Window,
)
from signed_ledger.rules import Asked, Book, ChangeCard, Settle, unsettled_of
from signed_ledger.store import Reader, Wanted
from signed_ledger.tables import authorisation_of
from tests.life_model import DAY, MINOR, Clearing, Conditions, Life, Model
from tests.support import assert_audits
from tests.world import START, Party, World, authorisation

T = TypeVar("T")

SCHEMES: Final = ("visa", "mastercard")
CARDS: Final = ("c1", "c2", "c3", "c4")
CURRENCIES: Final = ("EUR", "JPY")
KINDS: Final = (None, "card_present", "card_not_present", "merchant_initiated", "final", "pre_authorisation")
CATEGORIES: Final = ("5411", "5812", "7011")

DEFAULT: Final = Conditions(
    days={
        ("visa", "7011"): 30,
        ("visa", "card_not_present"): 10,
        ("visa", "card_present"): 5,
        ("visa", "merchant_initiated"): 5,
        ("mastercard", "final"): 7,
        ("mastercard", "pre_authorisation"): 30,
    },
    otherwise=7,
    percent={"5812": 20, "7011": 15, "card_not_present": 15, "merchant_initiated": 15},
    rate={},
)
OWN: Final = Conditions(
    days={("visa", "final"): 1}, otherwise=3, percent={"5411": 50}, rate={"visa": 12_345}, fixed_cents=5
)
TERMS: Final[dict[str, tuple[Terms, Conditions]]] = {
    "terms": (DEFAULT_TERMS, DEFAULT),
    "own terms": (
        Terms(
            3,
            windows=(Window(Scope("visa", ("final",)), 1),),
            tolerances=(Tolerance(Scope(mccs=((5411, 5411),)), 500_000),),
            fees=(FeeRate(Scope("visa"), 12_345, Money(5, "EUR")),),
        ),
        OWN,
    ),
}


@dataclass(frozen=True)
class Say:
    """A message as it was drawn; what of it counts is up to its kind. `about` picks one of the transactions so far."""

    kind: str
    about: int
    scheme: int
    card: str
    currency: str
    amount: int | None
    settled: int
    settled_in: str
    last: bool | None
    own_id: str | None
    interchange: str | None
    mode: int


KINDS_SAID: Final = (
    *("authorise", "authorise", "authorise", "authorise", "increment", "increment", "reverse", "reverse"),
    *("present", "present", "present", "present", "force", "refund", "refund", "refund of none", "expire"),
    *("load", "load", "block", "unblock", "unblock", "bind", "again", "unknown"),
)
amounts = st.integers(0, 90)
says = st.builds(
    Say,
    kind=st.sampled_from(KINDS_SAID),
    about=st.integers(0, 40),
    scheme=st.integers(0, 1),
    card=st.sampled_from(CARDS),
    currency=st.sampled_from(CURRENCIES),
    amount=amounts | amounts | st.none(),
    settled=amounts,
    settled_in=st.sampled_from(CURRENCIES),
    last=st.none() | st.booleans(),
    own_id=st.none() | st.sampled_from(["o1", "o2"]),
    interchange=st.none() | st.sampled_from(["0", "0.0123", "1.5"]),
    mode=st.integers(0, 17),
)
HOUSE: Final = ("restart", "restart", "terms", "own terms", "entry key", "visa", "mastercard")
many = st.lists(says, min_size=6, max_size=14)
writers = st.integers(0, 1)
LIMITS: Final[list[dict[str, int]]] = [{"group_commands_max": 4}, {"group_commands_max": 1}]
"""The second writer takes one message at a time, so what begins a transaction may come together with what follows."""


class LedgerMachine(RuleBasedStateMachine):
    """The ledger on one side, the model on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder)
        self.model = Model(DEFAULT)
        self.ledgers: list[Ledger] = []
        self.schemes: list[Party] = []
        self.answers: dict[tuple[str, str], tuple[Webhook, Answer]] = {}
        self.begun = 0
        self.recorded_at = START
        self.day = date(2026, 11, 23)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def start(self) -> None:
        self.ledgers = [self.run(self.world.open(**limits)) for limits in LIMITS]
        self.schemes = [self.run(self.world.register(self.ledgers[0], "scheme", name)) for name in SCHEMES]
        for card in CARDS[:3]:
            for currency in CURRENCIES:
                self.run(self.world.load(self.ledgers[0], card, 100, currency))
                self.model.load(card, currency, 100)

    def teardown(self) -> None:
        for webhook, first in self.answers.values():
            self._answer_again(webhook, first, 0)
        for ledger in self.ledgers:
            self.run(ledger.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    # --- messages ------------------------------------------------------------------------------------------------

    @rule(drawn=many, days=st.sampled_from([0, 0, 0, 1, 6]), writer=writers)
    def send(self, drawn: list[Say], days: int, writer: int) -> None:
        """Hand them over at once, some days after what was before, and decide them in their order."""
        self.world.clock.now += days * DAY
        self._tick()
        submissions: list[Submission] = []
        expected: list[str] = []
        before = set(self.model.lives)
        for say in drawn:
            is_new = self._key(say) in self.model.lives and self._key(say) not in before
            if is_new and say.kind != "again" and LIMITS[writer]["group_commands_max"] > 1:
                continue  # it would wait for the next group: tests/test_message_overtaking.py
            submission, outcome = self._say(say)
            submissions.append(submission)
            expected.append(outcome)
        outcomes = self.run(_all(self.ledgers[writer], submissions))
        assert [_told(outcome) for outcome in outcomes] == expected
        self._note(submissions, outcomes)

    @rule(drawn=many, days=st.sampled_from([0, 0, 0, 1, 6]), writer=writers)
    def send_more(self, drawn: list[Say], days: int, writer: int) -> None:
        """Twice as often as anything else."""
        self.send(drawn, days, writer)

    @rule(say=says)
    def send_to_both_writers_at_once(self, say: Say) -> None:
        """And twice to one of them: it is decided once, and all get the same answer."""
        self._tick()
        submission, expected = self._say(say)
        if not isinstance(submission, Webhook):
            outcomes = self.run(_all(self.ledgers[0], [submission]))
        else:
            outcomes = self.run(_everywhere([self.ledgers[0], *self.ledgers], submission))
        assert {_told(outcome) for outcome in outcomes} == {expected}
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        assert sum(not answer.replayed for answer in answers) == bool(answers)
        assert len({(answer.seq, answer.entry, answer.body_bytes) for answer in answers}) == bool(answers)
        self._note([submission], [answer for answer in answers if not answer.replayed])

    def _tick(self) -> None:
        """The time of the next entry: never before the last."""
        self.model.time = max(self.world.clock.now, self.recorded_at)

    def _note(self, submissions: list[Submission], outcomes: list[Answer | BaseException]) -> None:
        for submission, outcome in zip(submissions, outcomes, strict=False):
            if isinstance(outcome, Answer):
                self.recorded_at = self.model.time
                if isinstance(submission, Webhook):
                    self.answers[submission.id] = (submission, outcome._replace(replayed=True))

    # --- what was drawn, as a message and in the model -----------------------------------------------------------

    def _key(self, say: Say) -> tuple[str, str]:
        """The transaction that it is about, mostly an open one; now and then one that is not there, or another's."""
        lives = self.model.lives
        if say.kind in ("unknown", "force") or not lives:
            return self._scheme(say), f"f{say.about % 12}"
        pending = sorted(key for key, life in lives.items() if life.status == "PENDING")
        keys = pending if pending and say.mode % 3 else sorted(lives)
        scheme, name = keys[say.about % len(keys)]
        return (SCHEMES[say.scheme], name) if say.mode == 0 else (scheme, name)

    def _scheme(self, say: Say) -> str:
        """Mostly the card's own."""
        known = self.model.cards.get(say.card)
        return SCHEMES[say.scheme] if say.mode == 0 or known is None or known.scheme is None else known.scheme

    def _say(self, say: Say) -> tuple[Submission, str]:
        model = self.model
        key = self._key(say)
        if say.kind == "load":
            amount = 1 + say.settled
            load = Load(f"load-{next(self.world.numbers)}", say.card, Money(amount, say.currency))
            return load, model.load(say.card, say.currency, amount)
        if say.kind in ("block", "unblock", "bind"):
            scheme = SCHEMES[say.scheme]
            change = ChangeCard(say.kind, say.card, scheme if say.kind == "bind" else None)
            return change, model.change(say.kind, say.card, scheme)
        if say.kind == "expire":
            return Asked(key[0], None, Request("expiry", key[1])), model.expire(key)
        if say.kind in ("authorise", "again"):
            return self._authorise(say, key)
        if say.kind == "increment":
            amount = say.amount or 0
            return self._webhook(key, "increment", self._billed(say, key, amount)), model.increment(key, amount)
        if say.kind == "reverse":
            return self._webhook(key, "reversal", self._billed(say, key, say.amount)), model.reverse(key, say.amount)
        return self._posting(say, key)

    def _authorise(self, say: Say, key: tuple[str, str]) -> tuple[Submission, str]:
        if say.kind == "authorise":
            self.begun += 1
            key = (self._scheme(say), f"t{self.begun}")
        amount = 0 if say.amount is None else say.amount
        kind, category = KINDS[say.mode % 6], CATEGORIES[say.mode // 6]
        foreign = "USD" if say.settled % 4 == 0 else say.currency
        body = authorisation(key[1], say.card, format_minor(amount, say.currency), say.currency, merchant_mcc=category)
        body |= {"transaction_currency": foreign, "transaction_amount": format_minor(amount, foreign)}
        if kind is not None:
            body["authorisation_kind"] = kind
        life = Life(say.card, say.currency, kind, category, is_foreign=foreign != say.currency, asked=amount)
        return self._webhook(key, "authorisation", body), self.model.authorise(key, life)

    def _posting(self, say: Say, key: tuple[str, str]) -> tuple[Submission, str]:
        due, is_last = self._interchange(say), say.last is not False
        said = Clearing(say.amount, say.settled, say.settled_in, due, say.own_id, is_last)
        body: dict[str, Any] = {
            "settlement_amount": format_minor(say.settled, say.settled_in),
            "settlement_currency": say.settled_in,
        }
        if say.interchange is not None:
            body["interchange_amount"] = say.interchange
        kind, own = ("refund", "refund_id") if say.kind.startswith("refund") else ("presentment", "presentment_id")
        if say.kind in ("force", "refund of none", "refund"):
            said.bill = say.amount or 0
        if say.kind == "refund of none":
            said.own_id = say.own_id or f"r{next(self.world.numbers)}"
        if said.own_id is not None:
            body[own] = said.own_id
        if kind == "presentment" and say.last is not None:
            body["final"] = say.last
        if say.kind == "refund of none":
            body |= {"card_id": say.card, **self._billed(say, ("", ""), said.bill)}
            scheme = self._scheme(say)
            outcome = self.model.refund_of_none(scheme, say.card, say.currency, said)
            return self._webhook((scheme, ""), kind, body), outcome
        body |= self._billed(say, key, said.bill)
        if say.kind == "refund":
            return self._webhook(key, kind, body), self.model.refund(key, said)
        if say.kind == "force":
            life = self.model.lives.get(key)
            body |= {"force_post": True, "card_id": say.card if life is None else life.card}
            return self._webhook(key, kind, body), self.model.force(key, say.card, say.currency, said)
        return self._webhook(key, kind, body), self.model.present(key, said)

    def _interchange(self, say: Say) -> Fraction | None:
        return None if say.interchange is None else Fraction(say.interchange) * MINOR[say.settled_in]

    def _billed(self, say: Say, key: tuple[str, str], amount: int | None) -> dict[str, Any]:
        """The billing amount in the currency of the transaction."""
        if amount is None:
            return {}
        currency = self.model.lives[key].currency if key in self.model.lives else say.currency
        return {"billing_amount": format_minor(amount, currency), "billing_currency": currency}

    def _webhook(self, key: tuple[str, str], kind: str, body: dict[str, Any]) -> Webhook:
        scheme, transaction_id = key
        own = {"transaction_id": transaction_id, **body} if transaction_id else body
        return self.world.webhook(self.schemes[SCHEMES.index(scheme)], kind, own)

    # --- again -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), writer=writers)
    def retry(self, data: st.DataObject, writer: int) -> None:
        webhook, first = self.answers[data.draw(st.sampled_from(sorted(self.answers)))]
        self._answer_again(webhook, first, writer)

    def _answer_again(self, webhook: Webhook, first: Answer, writer: int) -> None:
        """Signed anew, by the key that the Scheme has now."""
        party = self.schemes[SCHEMES.index(webhook.scheme)]
        again = self.world.webhook(party, webhook.type, webhook.evidence.request.body, webhook.webhook_id)
        assert self.run(self.ledgers[writer].submit(again)) == first

    # --- the days --------------------------------------------------------------------------------------------------

    @rule(hours=st.sampled_from([-2, 1, 24, 5 * 24, 8 * 24]))
    def time_passes(self, hours: int) -> None:
        self.world.clock.now += hours * DAY // 24

    @rule(writer=writers)
    def expire_what_is_due(self, writer: int) -> None:
        """As the daily task does: what is due, in order of (expiry, seq), and nothing else."""
        self._tick()
        due = self.run(self._read(lambda reader: reader.due(self.model.time)))
        ours = {
            key
            for key, life in self.model.lives.items()
            if life.hold and life.until is not None and life.until <= self.model.time
        }
        assert set(due) == ours
        untils = [self.model.lives[key].until or 0 for key in due]
        assert untils == sorted(untils)
        submissions: list[Submission] = [Asked(key.scheme, None, Request("expiry", key.transaction_id)) for key in due]
        expected = [self.model.expire((key.scheme, key.transaction_id)) for key in due]
        outcomes = self.run(_all(self.ledgers[writer], submissions))
        assert [_told(outcome) for outcome in outcomes] == expected == ["ok"] * len(due)
        self._note(submissions, outcomes)

    @rule(scheme=st.sampled_from(SCHEMES), writer=writers, known=st.integers(0, 6))
    def settle(self, scheme: str, writer: int, known: int) -> None:
        """The asker knows some of what was posted, the writer adds the rest; again, or upon old news, it is refused."""
        self._tick()
        self.day += timedelta(days=1)
        settling = self.run(self._settling(scheme, known))
        self.day += timedelta(days=1)
        stale = settling._replace(command=settling.command._replace(date=self.day.isoformat()))
        first, *others = self.run(_all(self.ledgers[writer], [settling, settling, stale]))
        assert [_told(other) for other in others] == ["StateConflict"] * 2
        assert isinstance(first, Answer)
        assert isinstance(first.body, Settlement)
        told = {each.currency: _minor(each) for each in first.body.sums}
        assert told == self.model.settle(scheme)
        self._note([settling], [first])

    async def _settling(self, scheme: str, known: int) -> Settling:
        since = max((await self._read(lambda reader: reader.settlements(scheme))).values(), default=-1)
        posted = await self._read(lambda reader: reader.posted(scheme, since, known))
        book = Book()
        for entry in posted:
            body = decode_body(entry.parts.body or b"").body
            assert isinstance(body, CardTransaction)
            book.add_unsettled(scheme, unsettled_of(body, entry.seq))
        sums: dict[str, Unsettled] = book.unsettled.get(scheme, {})
        upto = posted[-1].seq if posted else since
        return Settling(Settle(scheme, self.day.isoformat(), self.world.clock.now), since, upto, sums)

    async def _read(self, question: Any) -> Any:
        reader = await Reader.open(self.world.path, busy_timeout_ms=5_000)
        try:
            return await question(reader)
        finally:
            await reader.close()

    # --- the house -------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(HOUSE), writer=writers)
    def keep_house(self, what: str, writer: int) -> None:
        """Restart the writer, or change the terms or a key."""
        self._tick()
        if what == "restart":
            self.run(self.ledgers[writer].close())
            self.ledgers[writer] = self.run(self.world.open(**LIMITS[writer]))
            return
        if what in TERMS:
            terms, self.model.conditions = TERMS[what]
            self.run(self.ledgers[writer].submit(terms))
        elif what == "entry key":
            self.run(self.ledgers[writer].look())
            self.run(self.world.rotate_entry_key(self.ledgers[writer]))
        else:
            self._rotate_key(SCHEMES.index(what), self.ledgers[writer])
        self.recorded_at = self.model.time

    def _rotate_key(self, number: int, ledger: Ledger) -> None:
        old = self.schemes[number]
        self.run(ledger.look())
        self.schemes[number] = self.run(self.world.register(ledger, "scheme", old.name))
        self.run(ledger.submit(self.world.key_change(ledger, "retire", "scheme", old.name, old.signer.public_key)))

    # --- after each ------------------------------------------------------------------------------------------------

    @invariant()
    def the_ledger_audits_and_says_what_the_model_says(self) -> None:
        if not self.ledgers:
            return
        accounts = [AccountId(*owner) for owner in self.model.posted]
        keys = [AuthorisationKey(*key) for key in self.model.lives]
        wanted = Wanted(accounts=accounts, authorisations=keys, cards=list(self.model.cards))
        found = self.run(self.ledgers[0]._store.read(wanted))
        stored = {account: (row.posted, row.held) for account, row in found.accounts.items()}
        assert stored == {account: (self.model.posted[account], self.model.held(account)) for account in accounts}
        lives = {key: authorisation_of(key, row.row) for key, row in found.authorisations.items()}
        assert {key: _stands(state) for key, state in lives.items()} == {
            AuthorisationKey(*key): _expected(life) for key, life in self.model.lives.items()
        }
        self._check_money({a: (int(str(p)), int(str(h))) for a, (p, h) in stored.items()}, list(lives.values()))
        cards = {name: (row.scheme or None, bool(row.blocked)) for name, row in found.cards.items()}
        assert cards == {name: (card.scheme, card.blocked) for name, card in self.model.cards.items()}
        assert_audits(self.world.path)

    def _check_money(self, stored: dict[AccountId, tuple[int, int]], lives: list[AuthorisationState]) -> None:
        """Of the ledger alone: nothing is made or lost, and what is held is what is open."""
        for currency in CURRENCIES:
            assert sum(posted for account, (posted, _) in stored.items() if account.currency == currency) == 0
        for account, (_, held) in stored.items():
            theirs = [state for state in lives if (f"card:{state.card_id}", state.currency) == account]
            assert held == sum(state.totals.open for state in theirs if state.totals is not None)


async def _all(ledger: Ledger, submissions: list[Submission]) -> list[Answer | BaseException]:
    return await asyncio.gather(*map(ledger.submit, submissions), return_exceptions=True)


async def _everywhere(ledgers: list[Ledger], submission: Submission) -> list[Answer | BaseException]:
    return await asyncio.gather(*(ledger.submit(submission) for ledger in ledgers), return_exceptions=True)


def _minor(one: SettledSum) -> tuple[int, ...]:
    amounts = (one.gross, one.refunds, one.fees, one.net, one.result)
    return (*(amount.minor for amount in amounts), one.count)


def _told(outcome: Answer | BaseException) -> str:
    """The reason of a decision with its flags, or the name of a refusal."""
    if isinstance(outcome, Answer):
        body = outcome.body
        return " ".join((body.reason, *body.flags)) if isinstance(body, CardTransaction) else "ok"
    assert isinstance(outcome, Refusal), outcome
    return type(outcome).__name__


def _stands(state: AuthorisationState) -> tuple[object, ...]:
    totals = asdict(state.totals or Totals())
    return (state.status, state.held, state.card_id, state.currency, state.expires, *totals.values())


def _expected(life: Life) -> tuple[object, ...]:
    amounts = (life.asked, life.added, life.back, life.lapsed, life.billed, life.given_back)
    return (life.status, life.hold, life.card, life.currency, life.until, *amounts, life.clearings, life.had_last)


LIVES = int(os.environ.get("STATEFUL_LIVES", "60"))
STEPS = int(os.environ.get("STATEFUL_STEPS", "20"))

TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=LIVES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)
