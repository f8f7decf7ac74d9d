"""What the books must say: a model of docs/CARD_RULES.md, in words and arithmetic of its own.

It takes nothing from the rules. Amounts are whole minor units, interchange is a `Fraction` of one, time microseconds.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Final

DAY: Final = 86_400_000_000
MINOR: Final = {"EUR": 100, "JPY": 1}
Owner = tuple[str, str]
"""An account: its owner and currency."""


@dataclass(frozen=True)
class Conditions:
    """The terms: days by (Scheme, kind or category), tolerance in percent, interchange in millionths of the amount."""

    days: dict[tuple[str, str], int]
    otherwise: int
    percent: dict[str, int]
    rate: dict[str, int]
    fixed_cents: int = 0

    def window(self, scheme: str, kind: str | None, category: str) -> int:
        by_category = self.days.get((scheme, category))
        return by_category or self.days.get((scheme, kind or ""), self.otherwise)

    def tolerated(self, kind: str | None, category: str, authorised: int) -> int:
        percent = self.percent.get(category) or self.percent.get(kind or "", 0)
        return authorised * percent // 100

    def interchange(self, scheme: str, settled: int, currency: str) -> Fraction:
        if scheme not in self.rate:
            return Fraction(0)
        return Fraction(settled * self.rate[scheme], 1_000_000) + (self.fixed_cents if currency == "EUR" else 0)


@dataclass
class Life:
    """A transaction: what was asked, added, taken back, lapsed, billed, given back; `until` its hold's time ends."""

    card: str
    currency: str
    kind: str | None = None
    category: str = "5411"
    is_foreign: bool = False
    is_declined: bool = False
    is_forced: bool = False
    until: int | None = None
    asked: int = 0
    added: int = 0
    back: int = 0
    lapsed: int = 0
    billed: int = 0
    given_back: int = 0
    clearings: int = 0
    had_last: bool = False

    @property
    def authorised(self) -> int:
        return self.asked + self.added - self.back

    @property
    def hold(self) -> int:
        return max(0, self.authorised - self.lapsed - self.billed)

    @property
    def unbilled(self) -> int:
        return max(0, self.authorised - self.billed)

    @property
    def status(self) -> str:
        if self.is_declined:
            return "DECLINED"
        if self.hold > 0:
            return "PENDING"
        if self.clearings > 0:
            return "CLEARED"
        if self.back > 0 and self.authorised == 0:
            return "REVERSED"
        return "EXPIRED" if self.lapsed > 0 else "PENDING"


@dataclass
class Card:
    scheme: str | None = None
    blocked: bool = False


@dataclass
class Day:
    """What a Scheme posted in one currency since it was last settled with."""

    gross: int = 0
    refunds: int = 0
    interchange: Fraction = Fraction(0)
    result: int = 0
    count: int = 0


@dataclass
class Clearing:
    """What a presentment or refund says of money; `bill` is `None` where it leaves that open."""

    bill: int | None
    settled: int
    settled_in: str
    interchange: Fraction | None = None
    own_id: str | None = None
    last: bool = True


Sums = dict[str, tuple[int, int, int, int, int, int]]
"""By currency: gross, refunds, fees, net, the Issuer's result, count."""


@dataclass
class Model:
    """Each method decides one message, and gives its reason with its flags, or the name of its refusal."""

    conditions: Conditions
    time: int = 0
    posted: defaultdict[Owner, int] = field(default_factory=lambda: defaultdict(int))
    cards: dict[str, Card] = field(default_factory=dict)
    lives: dict[tuple[str, str], Life] = field(default_factory=dict)
    of_account: defaultdict[Owner, list[Life]] = field(default_factory=lambda: defaultdict(list))
    own_ids: set[tuple[str, str, str, str]] = field(default_factory=set)
    days: defaultdict[str, defaultdict[str, Day]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Day)))

    def held(self, account: Owner) -> int:
        return sum(life.hold for life in self.of_account[account])

    def available(self, card: str, currency: str) -> int:
        account = (f"card:{card}", currency)
        return self.posted[account] - self.held(account)

    def _why_not(self, scheme: str, card: str, currency: str, amount: int) -> str:
        if (f"card:{card}", currency) not in self.posted or self.cards[card].scheme not in (None, scheme):
            return "card_not_found"
        if self.cards[card].blocked:
            return "card_blocked"
        return "ok" if self.available(card, currency) >= amount else "insufficient_funds"

    def _is_there(self, scheme: str, card: str, currency: str) -> bool:
        return self._why_not(scheme, card, currency, 0) != "card_not_found"

    def _bind(self, scheme: str, card: str) -> None:
        if not self.cards[card].blocked:
            self.cards[card].scheme = self.cards[card].scheme or scheme

    # --- the Issuer's ------------------------------------------------------------------------------------------------

    def load(self, card: str, currency: str, amount: int) -> str:
        self.posted["issuer", currency] -= amount
        self.posted[f"card:{card}", currency] += amount
        self.cards.setdefault(card, Card())
        return "ok"

    def change(self, op: str, card: str, scheme: str) -> str:
        if op == "bind":
            known = self.cards.setdefault(card, Card())
            if known.scheme is not None:
                return "StateConflict"
            known.scheme = scheme
            return "ok"
        if card not in self.cards:
            return "CardNotFound"
        if self.cards[card].blocked == (op == "block"):
            return "StateConflict"
        self.cards[card].blocked = op == "block"
        return "ok"

    def expire(self, key: tuple[str, str]) -> str:
        life = self.lives.get(key)
        if life is None:
            return "AuthorisationNotFound"
        if life.status != "PENDING" or not life.hold or life.until is None or self.time < life.until:
            return "StateConflict"
        life.lapsed += life.hold
        return "ok"

    # --- a Scheme's --------------------------------------------------------------------------------------------------

    def authorise(self, key: tuple[str, str], life: Life) -> str:
        if key in self.lives:
            return "TransactionExists"
        scheme, amount = key[0], life.asked
        reason = self._why_not(scheme, life.card, life.currency, amount)
        if reason == "ok":
            life.until = self.time + self.conditions.window(scheme, life.kind, life.category) * DAY
            self._bind(scheme, life.card)
        else:
            life.is_declined, life.asked = True, 0
        self._begin(key, life)
        return reason

    def _begin(self, key: tuple[str, str], life: Life) -> Life:
        self.lives[key] = life
        self.of_account[f"card:{life.card}", life.currency].append(life)
        return life

    def increment(self, key: tuple[str, str], amount: int) -> str:
        life = self.lives.get(key)
        if life is None:
            return "AuthorisationNotFound"
        if life.status != "PENDING":
            return "StateConflict"
        reason = self._why_not(key[0], life.card, life.currency, amount)
        if reason == "ok":
            life.added += amount
            life.until = self.time + self.conditions.window(key[0], life.kind, life.category) * DAY
        return reason

    def reverse(self, key: tuple[str, str], amount: int | None) -> str:
        life = self.lives.get(key)
        if life is None:
            return "AuthorisationNotFound"
        if life.status not in ("PENDING", "EXPIRED"):
            return "StateConflict"
        taken = life.unbilled if amount is None else amount
        if taken > life.authorised:
            return "StateConflict"
        life.back += taken
        return "ok"

    def present(self, key: tuple[str, str], said: Clearing) -> str:
        life = self.lives.get(key)
        if life is None:
            return "AuthorisationNotFound"
        if life.status not in ("PENDING", "EXPIRED", "CLEARED") or life.had_last or self._is_known(key, "p", said):
            return "StateConflict"
        if said.bill is None and life.clearings and not life.unbilled:
            return "Malformed"
        bill = life.unbilled if said.bill is None else said.bill
        flags = ["forced"] if life.is_forced else []
        if life.until is not None and self.time >= life.until:
            flags.append("late")
        excess = life.billed + bill - life.authorised
        if excess > 0 and not life.is_forced:
            flags += ["over_hold", *self._class_of(life, excess)]
        return self._clear(key, life, bill, said, flags)

    def _class_of(self, life: Life, excess: int) -> list[str]:
        if life.is_foreign:
            return []
        limit = self.conditions.tolerated(life.kind, life.category, life.authorised)
        return ["within_tolerance" if excess <= limit else "excess_disputable"]

    def force(self, key: tuple[str, str], card: str, currency: str, said: Clearing) -> str:
        if key in self.lives:
            return self.present(key, said)
        if not self._is_there(key[0], card, currency):
            return "CardNotFound"
        life = self._begin(key, Life(card, currency, is_forced=True))
        self._bind(key[0], card)
        assert said.bill is not None
        return self._clear(key, life, said.bill, said, ["forced"])

    def _clear(self, key: tuple[str, str], life: Life, bill: int, said: Clearing, flags: list[str]) -> str:
        self._move(key[0], life.card, life.currency, bill, said, 1)
        self._know(key, "p", said)
        life.billed += bill
        life.clearings += 1
        if said.last:
            life.back += life.hold
            life.had_last = True
        if self.posted[f"card:{life.card}", life.currency] < 0:
            flags.append("negative_balance")
        return " ".join(["ok", *flags])

    def refund(self, key: tuple[str, str], said: Clearing) -> str:
        life = self.lives.get(key)
        if life is None:
            return "AuthorisationNotFound"
        if life.status != "CLEARED" or self._is_known(key, "r", said):
            return "StateConflict"
        assert said.bill is not None
        life.given_back += said.bill
        self._know(key, "r", said)
        self._move(key[0], life.card, life.currency, said.bill, said, -1)
        return "ok"

    def refund_of_none(self, scheme: str, card: str, currency: str, said: Clearing) -> str:
        if not self._is_there(scheme, card, currency):
            return "CardNotFound"
        if self._is_known((scheme, ""), "r", said):
            return "StateConflict"
        assert said.bill is not None
        self._bind(scheme, card)
        self._know((scheme, ""), "r", said)
        self._move(scheme, card, currency, said.bill, said, -1)
        return "ok"

    def _is_known(self, key: tuple[str, str], what: str, said: Clearing) -> bool:
        return said.own_id is not None and (*key, what, said.own_id) in self.own_ids

    def _know(self, key: tuple[str, str], what: str, said: Clearing) -> None:
        if said.own_id is not None:
            self.own_ids.add((*key, what, said.own_id))

    def _move(self, scheme: str, card: str, currency: str, bill: int, said: Clearing, sign: int) -> None:
        """The card pays what is billed, the Scheme gets what is settled, the Issuer bears or keeps the rest."""
        self.posted[f"card:{card}", currency] -= sign * bill
        self.posted["issuer", currency] += sign * bill
        self.posted["issuer", said.settled_in] -= sign * said.settled
        self.posted[f"scheme:{scheme}", said.settled_in] += sign * said.settled
        day = self.days[scheme][said.settled_in]
        if sign == 1:
            day.gross += said.settled
        else:
            day.refunds += said.settled
        given = said.interchange
        due = self.conditions.interchange(scheme, said.settled, said.settled_in) if given is None else given
        day.interchange += sign * due
        day.count += 1
        day.result -= sign * said.settled
        self.days[scheme][currency].result += sign * bill

    # --- the day -----------------------------------------------------------------------------------------------------

    def settle(self, scheme: str) -> Sums:
        """Net goes out, interchange stays, each Scheme's account is empty."""
        sums = {}
        for currency, day in sorted(self.days.pop(scheme, {}).items()):
            ours = floor(day.interchange)
            owed = day.gross - day.refunds
            sums[currency] = (day.gross, day.refunds, -ours, owed - ours, day.result + ours, day.count)
            self.posted[f"scheme:{scheme}", currency] -= owed
            self.posted["issuer", currency] += ours
            self.posted[f"external:{scheme}", currency] += owed - ours
        return sums
