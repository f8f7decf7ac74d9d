"""Whole lives of a ledger, at random, against a model of a few lines; the ledger audits after every step.

The model is written from docs/CARD_RULES.md: a card's posted and held amounts, each authorisation's hold, and every
answer ever given. Steps: loads, authorisations and presentments alone and many at once, retries, duplicates, two
Schemes, two currencies, key rotations, restarts, and a second writer on the same file.
"""

import asyncio
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signed_ledger.errors import Refusal
from signed_ledger.ledger import Answer, Ledger, Webhook
from signed_ledger.money import format_minor
from signed_ledger.records import AccountId
from signed_ledger.store import Wanted
from tests.support import assert_audits
from tests.world import Party, World, authorisation, presentment

T = TypeVar("T")

CARDS = ("c1", "c2", "c3")
CURRENCIES = ("EUR", "JPY")
cards = st.sampled_from(CARDS)
currencies = st.sampled_from(CURRENCIES)
amounts = st.integers(0, 90)
scheme_numbers = st.integers(0, 1)
writers = st.integers(0, 1)
transaction_numbers = st.integers(0, 12)


@dataclass
class Open:
    """An authorisation as the model knows it; `held` is `None` once it was declined or cleared."""

    card: str
    currency: str
    held: int | None


class Model:
    """What the books must say."""

    def __init__(self) -> None:
        self.posted: defaultdict[AccountId, int] = defaultdict(int)
        self.held: defaultdict[AccountId, int] = defaultdict(int)
        self.open_accounts: set[AccountId] = set()
        self.authorisations: dict[tuple[str, str], Open] = {}
        self.answers: dict[tuple[str, str], tuple[Webhook, Answer]] = {}

    def load(self, card: str, amount: int, currency: str) -> None:
        self._post({f"card:{card}": amount, "issuer": -amount}, currency)

    def authorise(self, scheme: str, transaction_id: str, card: str, amount: int, currency: str) -> str:
        if (scheme, transaction_id) in self.authorisations:
            return "TransactionExists"
        account = AccountId(f"card:{card}", currency)
        if account not in self.open_accounts:
            reason, held = "card_not_found", None
        elif self.posted[account] - self.held[account] < amount:
            reason, held = "insufficient_funds", None
        else:
            reason, held = "ok", amount
            self.held[account] += amount
        self.authorisations[scheme, transaction_id] = Open(card, currency, held)
        return reason

    def present(self, scheme: str, transaction_id: str, settled: int, currency: str) -> str:
        about = self.authorisations.get((scheme, transaction_id))
        if about is None:
            return "AuthorisationNotFound"
        if about.held is None:
            return "StateConflict"
        billed, about.held = about.held, None
        self.held[AccountId(f"card:{about.card}", about.currency)] -= billed
        self._post({f"card:{about.card}": -billed, "issuer": billed}, about.currency)
        self._post({"issuer": -settled, f"scheme:{scheme}": settled}, currency)
        return "ok"

    def _post(self, movements: dict[str, int], currency: str) -> None:
        for owner, amount in movements.items():
            self.posted[AccountId(owner, currency)] += amount
            self.open_accounts.add(AccountId(owner, currency))


class LedgerMachine(RuleBasedStateMachine):
    """Two writers stand on one file, as two processes would."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder)
        self.model = Model()
        self.ledgers: list[Ledger] = []
        self.schemes: list[Party] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def start(self) -> None:
        self.ledgers = [self.run(self.world.open(group_commands_max=4)) for _ in range(2)]
        self.schemes = [self.run(self.world.register(self.ledgers[0], "scheme", name)) for name in ("visa", "other")]

    def teardown(self) -> None:
        for ledger in self.ledgers:
            self.run(ledger.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    # --- commands --------------------------------------------------------------------------------------------------

    @rule(card=cards, amount=st.integers(1, 100), currency=currencies, writer=writers)
    def load(self, card: str, amount: int, currency: str, writer: int) -> None:
        self.run(self.world.load(self.ledgers[writer], card, amount, currency))
        self.model.load(card, amount, currency)

    @rule(
        asks=st.lists(st.tuples(transaction_numbers, cards, amounts), min_size=2, max_size=12),
        currency=currencies,
        scheme=scheme_numbers,
        writer=writers,
    )
    def authorise(self, asks: list[tuple[int, str, int]], currency: str, scheme: int, writer: int) -> None:
        self._authorise(asks, currency, scheme, writer)

    def _authorise(self, asks: list[tuple[int, str, int]], currency: str, scheme: int, writer: int) -> None:
        party = self.schemes[scheme]
        webhooks, expected = [], []
        for number, card, amount in asks:
            body = authorisation(f"t{number}", card, format_minor(amount, currency), currency)
            webhooks.append(self.world.webhook(party, "authorisation", body))
            expected.append(self.model.authorise(party.name, f"t{number}", card, amount, currency))
        assert self._submit(webhooks, writer) == expected

    @rule(numbers=st.lists(transaction_numbers, max_size=6), amount=amounts, scheme=scheme_numbers, writer=writers)
    def present(self, numbers: list[int], amount: int, scheme: int, writer: int) -> None:
        party = self.schemes[scheme]
        webhooks, expected = [], []
        for number in numbers:
            body = presentment(f"t{number}", format_minor(amount, "EUR"), "EUR")
            webhooks.append(self.world.webhook(party, "presentment", body))
            expected.append(self.model.present(party.name, f"t{number}", amount, "EUR"))
        assert self._submit(webhooks, writer) == expected

    def _submit(self, webhooks: list[Webhook], writer: int) -> list[str]:
        async def submit() -> list[Answer | BaseException]:
            waits = [self.ledgers[writer].submit(webhook) for webhook in webhooks]
            return await asyncio.gather(*waits, return_exceptions=True)

        reasons = []
        for webhook, outcome in zip(webhooks, self.run(submit()), strict=True):
            if isinstance(outcome, Answer):
                assert not outcome.replayed
                self.model.answers[webhook.id] = (webhook, outcome)
                reasons.append(outcome.body.reason)  # type: ignore[union-attr]
            else:
                assert isinstance(outcome, Refusal), outcome
                reasons.append(type(outcome).__name__)
        return reasons

    @precondition(lambda self: self.model.answers)
    @rule(data=st.data(), writer=writers)
    def retry(self, data: st.DataObject, writer: int) -> None:
        webhook, first = self.model.answers[data.draw(st.sampled_from(sorted(self.model.answers)))]
        again = self.run(self.ledgers[writer].submit(webhook))
        assert again == first._replace(replayed=True)

    @rule(writer=writers)
    def rotate_entry_key(self, writer: int) -> None:
        self.run(self.ledgers[writer].look())
        self.run(self.world.rotate_entry_key(self.ledgers[writer]))

    @rule(writer=writers)
    def restart(self, writer: int) -> None:
        self.run(self.ledgers[writer].close())
        self.ledgers[writer] = self.run(self.world.open())

    @rule(seconds=st.integers(-7200, 7200))
    def set_the_clock(self, seconds: int) -> None:
        self.world.clock.now += seconds * 1_000_000

    # --- after each --------------------------------------------------------------------------------------------------

    @invariant()
    def the_ledger_audits_and_says_what_the_model_says(self) -> None:
        if not self.ledgers:
            return
        wanted = Wanted([], [], sorted(self.model.open_accounts))
        found = self.run(self.ledgers[0]._store.read(wanted)).accounts
        stored = {account: (row.posted, row.held) for account, row in found.items()}
        assert stored == {a: (self.model.posted[a], self.model.held[a]) for a in self.model.open_accounts}
        assert_audits(self.world.path)


LIVES = int(os.environ.get("STATEFUL_LIVES", "25"))

TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=LIVES, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
