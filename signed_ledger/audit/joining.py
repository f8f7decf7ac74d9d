"""Where stretches of a ledger that were audited side by side meet: each must begin as the one before has ended.

Then they are one audit, with the report that one process would have made. Where they do not meet, or one has a fault,
nothing is said here: one process goes through it all, and finds every fault in its place.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from operator import add
from typing import TypeVar

from signed_ledger.audit.assumed import Assumed, Place
from signed_ledger.audit.core import AUTHORITIES_MAX, Audit, Kept
from signed_ledger.audit.erasures import Erasures
from signed_ledger.audit.names import Name, follow_each_other, names_of
from signed_ledger.audit.settlements import Unjudged
from signed_ledger.audit.steps import Step, Tally, nothing_checked
from signed_ledger.merkle import Tile, Tree
from signed_ledger.records import AccountId, CardState, State, Unsettled
from signed_ledger.rules import Book

K = TypeVar("K", bound=Hashable)


class DoNotMeet(Exception):
    """The stretches are not known to make one faultless ledger: whether they do is for one process to find out."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a stretch took for granted."""

    last: Place
    tree: list[tuple[Tile, bytes]]
    keys: dict[int, bytes | None]
    accounts: dict[AccountId, State | None]
    cards: dict[str, CardState | None]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a stretch without a fault leaves, and what it adds to the report. `names` can be gone through once."""

    begun: Begun | None  # of the first: nothing was before it
    last: Place | None
    tree: list[tuple[Tile, bytes]]
    keys: dict[int, bytes | None]
    accounts: dict[AccountId, State]
    cards: dict[str, CardState]
    unsettled: dict[str, dict[str, Unsettled]]
    settled: dict[str, str]
    unjudged: list[Unjudged]
    forms: tuple[int, int]  # the oldest that an entry has, and the newest
    claims: dict[int, bytes]  # what was taken to be erasures, wherever they are
    erasures: Erasures
    told: "Told"
    names: Iterable[Name]


@dataclass(frozen=True, slots=True)
class Told:
    """What a report tells of a stretch, or of several."""

    checked: list[int]
    transactions: int
    batches: int
    first_time: int | None
    hosts: tuple[str, ...]
    hosts_not_signed: int
    kept: Kept | None
    was_seen: bool

    @classmethod
    def of_nothing(cls) -> "Told":
        return cls(nothing_checked(), 0, 0, None, (), 0, None, False)

    def and_then(self, more: "Told", *, form: int, judged: int) -> "Told":
        """Both, the other after this. `form` is the newest form in this; `judged` settlements were judged in between.

        The mark of a checkpoint says what the newest form was, which its own stretch need not have shown.
        """
        checked = list(map(add, self.checked, more.checked))
        checked[Step.DECISIONS] += judged
        kept = more.kept and more.kept._replace(mark=more.kept.mark._replace(form=max(form, more.kept.mark.form)))
        return Told(
            checked,
            self.transactions + more.transactions,
            self.batches + more.batches,
            more.first_time if self.first_time is None else self.first_time,
            tuple(dict.fromkeys(self.hosts + more.hosts))[:AUTHORITIES_MAX],
            self.hosts_not_signed + more.hosts_not_signed,
            kept or self.kept,
            self.was_seen or more.was_seen,
        )


def begun(audit: Audit, assumed: Assumed) -> Begun:
    """What was taken for granted, once the stretch is audited; to be asked before it is, but for what it asked."""
    last = audit.last
    assert last is not None
    return Begun(last, assumed.tree.partial_tiles(), dict(audit.keys), assumed.accounts, assumed.cards)


def ended(audit: Audit, assumed: Assumed | None, before: Begun | None, checked: list[int]) -> Ended:
    """What there is to say of a stretch that was audited without a fault; `before` is what `begun` gave of it."""
    replay, book = audit.replay, audit.replay.balances.book
    return Ended(
        begun=before,
        last=audit.last,
        tree=audit.log.tree.partial_tiles(),
        keys=audit.keys,
        accounts=dict(book.accounts),  # without the way to ask for more, which stays here
        cards=dict(book.cards),
        unsettled=book.unsettled,
        settled=book.settled,
        unjudged=replay.unjudged or [],
        forms=(replay.events.oldest_form, replay.events.form),
        claims=audit.erasing.claims.leaves,
        erasures=audit.erasing.left(),
        told=Told(
            list(checked),
            replay.transactions,
            replay.batches.count,
            audit.first_time,
            tuple(audit.authorities),
            audit.hosts_not_signed,
            audit.kept,
            audit.seen.was_met,
        ),
        names=names_of(
            replay.events.webhooks, book.postings, replay.lives.seqs, {} if assumed is None else assumed.lives
        ),
    )


class Joined:
    """The ledger up to where the stretches so far have ended."""

    def __init__(self) -> None:
        self._count = 0
        self._last: Place | None = None
        self._tree = Tree().partial_tiles()
        self._keys: dict[int, bytes | None] = {}
        self._accounts: dict[AccountId, State] = {}
        self._cards: dict[str, CardState] = {}
        self._settling = Book()  # what was settled, and what is to be
        self._form = 1
        self._claims: dict[int, bytes] = {}
        self._erasures = Erasures()
        self._told = Told.of_nothing()

    @classmethod
    def of(cls, stretches: Iterable[Ended]) -> "Joined":
        """All of them, in their order; raises `DoNotMeet`."""
        joined, names = cls(), []
        for one in stretches:
            joined._join(one)
            names.append(one.names)
        if not follow_each_other(names):
            raise DoNotMeet
        return joined

    def _join(self, one: Ended) -> None:
        self._check_begun(one)
        if one.forms[0] < self._form or self._erasures.erased_too_early(one.erasures):
            raise DoNotMeet
        not_judged = self._erasures.covered_in(one.erasures).values()
        judged = [unjudged for unjudged in one.unjudged if unjudged.slot.seq not in not_judged]
        if not all(unjudged.stands(self._settling) for unjudged in judged):
            raise DoNotMeet
        self._told = self._told.and_then(one.told, form=self._form, judged=len(judged))
        self._take(one)

    def absorb_into(self, audit: Audit, tally: Tally) -> None:
        """Make the audit of the last stretch, which knows the newest keys and entry, that of the whole ledger.

        Raises `DoNotMeet` unless all that was taken to be an erasure is one that counts.
        """
        if self._claims != {seq: self._keys.get(seq) for seq in self._erasures.signed if audit.is_trusted(seq)}:
            raise DoNotMeet
        audit.erasing.absorb(self._erasures)
        told = self._told
        tally.checked = list(told.checked)
        audit.replay.transactions, audit.replay.batches.count = told.transactions, told.batches
        audit.replay.balances.book.accounts = self._accounts
        audit.first_time, audit.kept, audit.seen.was_met = told.first_time, told.kept, told.was_seen
        audit.authorities, audit.hosts_not_signed = dict.fromkeys(told.hosts), told.hosts_not_signed

    def _check_begun(self, one: Ended) -> None:
        if one.begun is None:
            is_met = not self._count
        else:
            begun = one.begun
            is_met = (
                one.claims == self._claims
                and (begun.last, begun.tree, begun.keys) == (self._last, self._tree, self._keys)
                and _say_the_same(begun.accounts, self._accounts)
                and _say_the_same(begun.cards, self._cards)
            )
        if not is_met:
            raise DoNotMeet

    def _take(self, one: Ended) -> None:
        self._count += 1
        self._last, self._tree = one.last, one.tree
        self._keys, self._claims = one.keys, one.claims
        self._erasures = self._erasures.and_then(one.erasures)
        self._accounts.update(one.accounts)
        self._cards.update(one.cards)
        for scheme, date in one.settled.items():
            self._settling.unsettled.pop(scheme, None)
            self._settling.settled[scheme] = date
        for scheme, sums in one.unsettled.items():
            self._settling.add_unsettled(scheme, sums)
        self._form = max(self._form, one.forms[1])


def _say_the_same(asked: Mapping[K, object], known: Mapping[K, object]) -> bool:
    return all(known.get(name) == answer for name, answer in asked.items())
