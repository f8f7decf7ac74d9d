"""The Scheme's transactions of a day against ours. Pure.

They are the same if type, transaction and posting id are; then the settlement amount and currency must be, and the
interchange where the Scheme states it. Where several have the same name (clearings of one transaction without an id of
their own) as many as can be are matched, by what they say.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from signed_ledger.money import Fee, Money

MATCHED: Final = "matched"
DIFFERENT: Final = "different"
MISSING_HERE: Final = "missing_here"
MISSING_THERE: Final = "missing_there"
RESULTS: Final = (MATCHED, DIFFERENT, MISSING_HERE, MISSING_THERE)


class Name(NamedTuple):
    """What a presentment or refund is known by; `posting_id` is empty where it has none of its own."""

    type: str
    transaction_id: str
    posting_id: str


class Posting(NamedTuple):
    """One of either side. `at` is the seq of our entry, or the line in the Scheme's file.

    No `interchange` of the Scheme's means that it does not say; of ours, that there is none.
    """

    name: Name
    settlement: Money
    interchange: Fee | None
    at: int


class Difference(NamedTuple):
    """A field on which the two sides do not agree."""

    field: str
    ours: str
    theirs: str


class Line(NamedTuple):
    """What came of one transaction: a result, where it stands on either side, and on what they differ."""

    result: str
    name: Name
    ours: Posting | None
    theirs: Posting | None
    differences: tuple[Difference, ...] = ()


def reconcile(ours: Iterable[Posting], theirs: Iterable[Posting]) -> Iterator[Line]:
    """Give a line for each transaction of either side: first in order of the Scheme's file, then what it lacks.

    `theirs` is taken one by one, and what matches is not kept.
    """
    books = _Books(ours)
    for their in theirs:
        if (line := books.match(their)) is not None:
            yield line
    yield from books.rest()


@dataclass(slots=True)
class _Group:
    """What is left of one name: ours, theirs that wait, and whether one of theirs may be taken as it comes."""

    ours: list[Posting] = field(default_factory=list)
    theirs: list[Posting] = field(default_factory=list)


class _Books:
    def __init__(self, ours: Iterable[Posting]) -> None:
        self._groups: defaultdict[Name, _Group] = defaultdict(_Group)
        for our in ours:
            self._groups[our.name].ours.append(our)

    def match(self, their: Posting) -> Line | None:
        """The match of what has a name of its own; all else waits for `rest`."""
        group = self._groups[their.name]
        if len(group.ours) == 1 and not differences(group.ours[0], their):
            return Line(MATCHED, their.name, group.ours.pop(), their)
        group.theirs.append(their)
        return None

    def rest(self) -> Iterator[Line]:
        lines = [line for group in self._groups.values() for line in _pair(group)]
        return iter(sorted(lines, key=_place))


def _place(line: Line) -> tuple[bool, int]:
    at = line.theirs or line.ours
    assert at is not None
    return (line.theirs is None, at.at)


def _pair(group: _Group) -> Iterator[Line]:
    """What is left of one name, in the order of `_WAYS`: what agrees first, so that as many as can be are matched."""
    ours, theirs = group.ours, group.theirs
    for takes, says in _WAYS:
        places: defaultdict[object, deque[Posting]] = defaultdict(deque)
        for our in sorted(ours, key=_at):
            places[says(our)].append(our)
        left = []
        for their in theirs:
            place = places[says(their)]
            if takes(their) and place:
                yield _line(place.popleft(), their)
            else:
                left.append(their)
        ours, theirs = [our for place in places.values() for our in place], left
    yield from (Line(MISSING_HERE, their.name, None, their) for their in theirs)
    yield from (Line(MISSING_THERE, our.name, our, None) for our in ours)


def _line(our: Posting, their: Posting) -> Line:
    found = tuple(differences(our, their))
    return Line(DIFFERENT if found else MATCHED, our.name, our, their, found)


def _at(posting: Posting) -> int:
    return posting.at


def _charged(posting: Posting) -> Fee:
    return posting.interchange or Fee(0, posting.settlement.currency)


_WAYS: Final[tuple[tuple[Callable[[Posting], bool], Callable[[Posting], object]], ...]] = (
    (lambda their: their.interchange is not None, lambda posting: (posting.settlement, _charged(posting))),
    (lambda their: their.interchange is None, lambda posting: posting.settlement),
    (lambda their: True, lambda posting: posting.settlement),
    (lambda their: True, lambda posting: None),
)
"""Which of theirs are asked, and what both sides must say alike: interchange that is stated goes first."""


def differences(our: Posting, their: Posting) -> list[Difference]:
    """The fields on which two of one name differ."""
    found = []
    if our.settlement != their.settlement:
        found.append(Difference("settlement_amount", our.settlement.amount, their.settlement.amount))
    if our.settlement.currency != their.settlement.currency:
        found.append(Difference("settlement_currency", our.settlement.currency, their.settlement.currency))
    if their.interchange is not None:
        charged = _charged(our)
        if charged != their.interchange:
            found.append(Difference("interchange_amount", charged.amount, their.interchange.amount))
    return found
