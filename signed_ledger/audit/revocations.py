"""Step 14: what revoked keys signed, and the histories that are vouched for: from a ledger's file, or from its log."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.registry import Registry
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.encoding import decode_evidence
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import RegisteredKey


@dataclass(frozen=True, slots=True)
class Revoked:
    """Of what a revoked key signed: how much is trusted for it was before, how much is signed again, how much neither.

    `ranges` are the seqs, from first to last, of what is not trusted.
    """

    kid: str
    role: str
    whose: str
    at_size: int
    before: int
    signed_again: int
    not_trusted: int
    ranges: list[tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_revocations(
    registry: Registry, file: LedgerFile, size: int, tally: Tally, *, is_whole: bool
) -> tuple[Revoked, ...]:
    """Judge a ledger of `size` entries, of which every signature was looked at before.

    Unless it `is_whole`, no new entry names a history: see `reaches_back`.
    """
    keyring = registry.keyring
    if keyring is None:
        return ()
    if is_whole and registry.named:
        sizes = {history.size for _, history in registry.named}
        _check_histories(registry, _roots_at(sorted(sizes), file), tally)
    revoked = [key for key in keyring if key.revoked_at is not None]
    return tuple([_judge(key, keyring, _signed_by(key, file, size), tally) for key in revoked])


def check_log_revocations(
    registry: Registry, roots: Mapping[int, bytes], size: int, tally: Tally, *, is_whole: bool
) -> tuple[Revoked, ...]:
    """The same of a published log, where the entry keys' signatures are all that is to be seen.

    `roots` are those of its tree at the sizes that were named.
    """
    keyring = registry.keyring
    if keyring is None:
        return ()
    if is_whole:
        _check_histories(registry, roots, tally)
    revoked = [key for key in keyring if key.revoked_at is not None and key.role == "entry"]
    return tuple([_judge(key, keyring, _entries_by(key, size), tally) for key in revoked])


def _tell(one: Revoked, tally: Tally) -> None:
    tally.checked[Step.REVOCATIONS] += one.before + one.signed_again + one.not_trusted
    if one.role == "checkpoint":  # step 12 compared these with the entries; they vouch for nothing any more
        return
    for first, last in one.ranges:
        what = f"what stands in {first} to {last}" if last > first else f"what stands in {first}"
        reason = f"{what} is by the {one.role} key {one.kid[:16]}, revoked from size {one.at_size} on"
        tally.fault(first, Step.REVOCATIONS, f"{reason}, and is not signed again")


def _judge(key: RegisteredKey, keyring: Keyring, signed: Iterable[int], tally: Tally) -> Revoked:
    """Tell of a revoked key what of that which it `signed`, seqs in order, is trusted."""
    assert key.revoked_at is not None
    before = again = bad = 0
    ranges: list[tuple[int, int]] = []
    for seq in signed:
        if seq < key.revoked_at:
            before += 1
        elif keyring.is_trusted(seq) if key.role == "entry" else keyring.is_trusted_of(key.kid, seq):
            again += 1
        else:
            bad += 1
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1] = (ranges[-1][0], seq)
            else:
                ranges.append((seq, seq))
    revoked = Revoked(key.kid, key.role, key.whose, key.revoked_at, before, again, bad, ranges)
    _tell(revoked, tally)
    return revoked


def _signed_by(key: RegisteredKey, file: LedgerFile, size: int) -> Iterable[int]:
    """The seqs of what the key signed: entries, the evidence of transactions, or the newest entry of checkpoints."""
    end = _end(key, size)
    if key.role == "entry":
        return _entries_by(key, size)
    if key.role == "checkpoint":
        query = "SELECT seq FROM main.checkpoints WHERE seq >= ? AND seq < ? ORDER BY seq"
        return (row[0] for row in file.rows(query, key.valid_from, end))
    query = "SELECT seq, evidence FROM main.parts WHERE evidence IS NOT NULL AND seq >= ? AND seq < ? ORDER BY seq"
    return (seq for seq, evidence in file.rows(query, key.valid_from, end) if _kid_of(evidence) == key.kid)


def _entries_by(key: RegisteredKey, size: int) -> range:
    return range(key.valid_from, _end(key, size))


def _end(key: RegisteredKey, size: int) -> int:
    return size if key.valid_to is None else min(key.valid_to, size)


def _kid_of(evidence: object) -> str | None:
    try:
        return decode_evidence(evidence).kid if type(evidence) is bytes else None
    except Invalid:
        return None  # a fault by itself, told elsewhere


# --- histories that the root, or an attestation, vouches for --------------------------------------------------------


def _check_histories(registry: Registry, roots: Mapping[int, bytes], tally: Tally) -> None:
    """Compare the root of the tree at each size that an entry names with what it says that it was."""
    for seq, history in sorted(registry.named, key=lambda item: item[1].size):
        tally.checked[Step.REVOCATIONS] += 1
        if roots.get(history.size) != history.root:
            reason = f"vouches for {history.size} entries of another root than those before it have"
            tally.fault(seq, Step.REVOCATIONS, reason)


def _roots_at(sizes: list[int], file: LedgerFile) -> dict[int, bytes]:
    tree = Tree()
    roots: dict[int, bytes] = {}
    leaves = _leaves(file, sizes[-1])
    for before, size in pairwise([0, *sizes]):
        for _ in range(size - before):
            leaf = next(leaves, None)
            if leaf is None:
                return roots
            tree.append(leaf)
        roots[size] = tree.root()
    return roots


def _leaves(file: LedgerFile, size: int) -> Iterator[bytes]:
    for note, *_ in file.rows("SELECT note FROM main.entries WHERE seq >= 0 AND seq < ? ORDER BY seq", size):
        if type(note) is not bytes:
            return
        yield leaf_hash(note)
