"""Step 14: what revoked keys signed, and the histories that are vouched for.

Of a file a second look, where a key is revoked or a history is named; of a published log what it shows: entries.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from signed_ledger.audit.reading import LedgerFile
from signed_ledger.audit.registry import Registry
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.audit.tiles import SeenTree
from signed_ledger.encoding import decode_body, decode_evidence
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import Attestation, KeyChange, RegisteredKey, RootChange


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
    registry: Registry, file: LedgerFile, size: int, tally: Tally, seen: SeenTree | None = None
) -> tuple[Revoked, ...]:
    """Judge a ledger of `size` entries, of which every signature was looked at before.

    `seen` is the tree of those that an earlier run verified; their leaves are not read again.
    """
    keyring = registry.keyring
    if keyring is None:
        return ()
    if registry.named:
        check_histories(registry, _roots_at({history.size for _, history in registry.named}, file, seen), tally)
    return _judged([(key, _signed_by(key, file, size)) for key in _revoked(keyring)], keyring, tally)


def check_published(registry: Registry, roots: Mapping[int, bytes], size: int, tally: Tally) -> tuple[Revoked, ...]:
    """The same of a log of `size` entries, which shows no evidence: `roots` has, by size, what its tree was."""
    keyring = registry.keyring
    if keyring is None:
        return ()
    check_histories(registry, roots, tally)
    keys = [key for key in _revoked(keyring) if key.role == "entry"]
    return _judged([(key, _entries_of(key, size)) for key in keys], keyring, tally)


def _revoked(keyring: Keyring) -> list[RegisteredKey]:
    return [key for key in keyring if key.revoked_at is not None]


def _judged(signed: list[tuple[RegisteredKey, Iterable[int]]], keyring: Keyring, tally: Tally) -> tuple[Revoked, ...]:
    revoked = tuple(_judge(key, keyring, seqs) for key, seqs in signed)
    for one in revoked:
        tally.checked[Step.REVOCATIONS] += one.before + one.signed_again + one.not_trusted
        if one.role != "checkpoint":  # step 12 compared these with the entries; they vouch for nothing any more
            _tell(one, tally)
    return revoked


def _tell(one: Revoked, tally: Tally) -> None:
    for first, last in one.ranges:
        what = f"what stands in {first} to {last}" if last > first else f"what stands in {first}"
        reason = f"{what} is by the {one.role} key {one.kid[:16]}, revoked from size {one.at_size} on"
        tally.fault(first, Step.REVOCATIONS, f"{reason}, and is not signed again")


def _judge(key: RegisteredKey, keyring: Keyring, seqs: Iterable[int]) -> Revoked:
    assert key.revoked_at is not None
    before = again = bad = 0
    ranges: list[tuple[int, int]] = []
    if isinstance(seqs, range):  # what is trusted as it was need not be gone through
        before = len(range(seqs.start, min(seqs.stop, key.revoked_at)))
        seqs = seqs[before:]
    for seq in seqs:
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
    return Revoked(key.kid, key.role, key.whose, key.revoked_at, before, again, bad, ranges)


def _signed_by(key: RegisteredKey, file: LedgerFile, size: int) -> Iterable[int]:
    """The seqs of what the key signed: entries, the evidence of transactions, or the newest entry of checkpoints."""
    end = size if key.valid_to is None else min(key.valid_to, size)
    if key.role == "entry":
        return _entries_of(key, size)
    if key.role == "checkpoint":
        query = "SELECT seq FROM main.checkpoints WHERE seq >= ? AND seq < ? ORDER BY seq"
        return (row[0] for row in file.rows(query, key.valid_from, end))
    query = "SELECT seq, evidence FROM main.parts WHERE evidence IS NOT NULL AND seq >= ? AND seq < ? ORDER BY seq"
    return (seq for seq, evidence in file.rows(query, key.valid_from, end) if _kid_of(evidence) == key.kid)


def _entries_of(key: RegisteredKey, size: int) -> range:
    return range(key.valid_from, size if key.valid_to is None else min(key.valid_to, size))


def _kid_of(evidence: object) -> str | None:
    try:
        return decode_evidence(evidence).kid if type(evidence) is bytes else None
    except Invalid:
        return None  # a fault by itself, told elsewhere


# --- histories that the root, or an attestation, vouches for --------------------------------------------------------


def named_sizes(bodies: Mapping[int, bytes]) -> set[int]:
    """The sizes of the histories that these entries may vouch for; what is no body of theirs is told elsewhere."""
    sizes = set()
    for seq, data in bodies.items():
        try:
            body = decode_body(data).body
        except Invalid:
            continue
        if isinstance(body, Attestation):
            sizes.add(seq)
        elif isinstance(body, KeyChange | RootChange) and body.history is not None:
            sizes.add(body.history.size)
    return sizes


def check_histories(registry: Registry, roots: Mapping[int, bytes], tally: Tally) -> None:
    """Compare the tree at each size that an entry names with what it says the root was."""
    for seq, history in sorted(registry.named, key=lambda item: item[1].size):
        tally.checked[Step.REVOCATIONS] += 1
        if roots.get(history.size) != history.root:
            reason = f"vouches for {history.size} entries of another root than those before it have"
            tally.fault(seq, Step.REVOCATIONS, reason)


def _roots_at(sizes: set[int], file: LedgerFile, seen: SeenTree | None) -> dict[int, bytes]:
    """By size the tree's root, of sizes that it reached without a gap."""
    start = 0 if seen is None else seen.tree.size
    roots = {} if seen is None else roots_in(seen, sizes)
    tree = Tree() if seen is None else seen.tree.copy()
    ahead = sorted(sizes - roots.keys())
    leaves = _leaves(file, start, max(ahead, default=start))
    for size in ahead:
        for leaf in islice(leaves, size - tree.size):
            tree.append(leaf)
        if tree.size != size:
            return roots
        roots[size] = tree.root()
    return roots


def roots_in(tree: SeenTree, sizes: Iterable[int]) -> dict[int, bytes]:
    """By size the root of the tree that was seen, as far as it had that size."""
    return {size: tree.root_at(size) for size in sizes if size <= tree.tree.size}


def _leaves(file: LedgerFile, start: int, end: int) -> Iterator[bytes]:
    query = "SELECT note FROM main.entries WHERE seq >= ? AND seq < ? ORDER BY seq"
    for note, *_ in file.rows(query, start, end):
        if type(note) is not bytes:
            return
        yield leaf_hash(note)
