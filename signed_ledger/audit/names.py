"""What may be in a ledger once, and where each transaction stands, over stretches that were audited side by side.

There are as many of these names as there are payments, so they are in no one's memory: each stretch leaves its own in
order, and they are merged.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from operator import itemgetter
from typing import NamedTuple

from signed_ledger.audit.assumed import Seqs
from signed_ledger.records import PostingKey


class Name(NamedTuple):
    """A name, with what a stretch took to be known of it before, and what is known since; `None` is nothing."""

    name: str
    before: Seqs | None
    after: Seqs | None


def names_of(
    webhooks: Mapping[str, Mapping[str, int]],
    postings: Mapping[PostingKey, int],
    lives: Mapping[str, Mapping[str, Seqs]],
    assumed_lives: Mapping[tuple[str, str], Seqs | None],
) -> list[Name]:
    """The names in a stretch, in order: those by Scheme and id, and the transactions that it assumed something of.

    Of what it did not ask about, or was told nothing of, it takes nothing to be known before.
    """
    names = [Name(_joined("posting", *key), None, seq) for key, seq in postings.items()]
    for scheme, seqs in webhooks.items():
        names += [Name(_joined("webhook", scheme, one), None, seq) for one, seq in seqs.items()]
    for scheme, known in lives.items():
        before = (assumed_lives.get((scheme, one)) for one in known)
        names += map(Name, (_joined("transaction", scheme, one) for one in known), before, known.values())
    for (scheme, one), answer in assumed_lives.items():
        if one not in lives.get(scheme, ()):
            names.append(Name(_joined("transaction", scheme, one), answer, None))
    names.sort(key=itemgetter(0))
    return names


def follow_each_other(stretches: Sequence[Iterable[Name]]) -> bool:
    """Whether each stretch, in their order, takes of each name to be known what those before it leave."""
    last, known = "", None
    for name, before, after in merge(*stretches, key=itemgetter(0)):  # of one name in the order of the stretches
        if name != last:
            last, known = name, None
        if before != known:
            return False
        known = known if after is None else after
    return True


def _joined(*words: str) -> str:
    """No two names are joined to the same text."""
    return "".join(f"{len(word)}:{word}" for word in words)
