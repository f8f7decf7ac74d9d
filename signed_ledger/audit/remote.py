"""`audit URL`: the published log proven without the database. Entries stream by, memory does not grow with them.

Steps 1 to 5 and 12 to 14, as far as the log shows them: the parts are not in it, but for those of key entries.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Final, NamedTuple

from signed_ledger.audit.last_seen import LOG, LastSeen, Mark
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.opening import KEY_KINDS, Opener
from signed_ledger.audit.published import FetchedTiles, Published, paths_to
from signed_ledger.audit.reading import Position
from signed_ledger.audit.report import Head, Report, StepResult
from signed_ledger.audit.revocations import Revoked, check_published, named_sizes, roots_in
from signed_ledger.audit.running import Progress
from signed_ledger.audit.seen import Seen
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.audit.tiles import SeenTree
from signed_ledger.audit.unknown import not_known_of_log
from signed_ledger.audit.verifying import Submit, verifier
from signed_ledger.audit.witnessed import witnessed
from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.encoding import SignedCheckpoint, decode_body, decode_checkpoint, decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.fetching import Fetcher
from signed_ledger.merkle import TILE_WIDTH, FullTile, Tile, Tree, leaf_hash, width_at
from signed_ledger.policy import Policy
from signed_ledger.sealing import open_part
from signed_ledger.trust import Trust

BUNDLES_AHEAD: Final = 8
"""How many are fetched, or verified by other processes, while one is looked at: it bounds the memory of an audit."""
STEPS: Final = tuple(step for step in Step if step < Step.SCHEME or step >= Step.LOG)


class AuditedLog(NamedTuple):
    """The report, and what the next run goes on from."""

    report: Report
    note: bytes
    mark: Mark


async def audit_published(
    url: str,
    fetcher: Fetcher,
    seen: LastSeen | None,
    *,
    trust: Trust | None,
    jobs: int,
    progress: Progress,
    whole: bool = False,
) -> AuditedLog:
    """Prove the log at `url`, or list every fault of it. Raises `Invalid` where it could not be fetched whole."""
    started = time.perf_counter()
    published = Published(url, fetcher)
    note = await published.checkpoint()
    signed = decode_checkpoint(note, may_extend=True)
    if not signed.checkpoint.size:
        raise Invalid("checkpoint", "is of no entry")
    bodies = await published.key_bodies()
    audit = LogAudit(published, signed, bodies, trust, seen)
    if seen is not None and seen.mark is not None and not whole and seen.size <= signed.checkpoint.size:
        try:
            await audit.resume(seen, seen.mark)
        except Invalid:  # what is served is not what was seen, or can not be had: the whole tells what is wrong
            audit = LogAudit(published, signed, bodies, trust, seen)
    with verifier(jobs) as submit:
        await audit.run(submit, progress)
    audit.end(note)
    report = audit.report(url, seen, time.perf_counter() - started)
    form = 1 if seen is None or seen.mark is None else seen.mark.form
    return AuditedLog(report, note, Mark(LOG, tuple(audit.keys), form))


def judged(report: Report, policy: Policy | None, note: bytes) -> Report:
    """The report, and what a policy says of the cosignatures of the checkpoint."""
    names, not_known, _ = witnessed(policy, note)
    said = report.not_known if not_known is None else (*report.not_known, not_known)
    return replace(report, witnesses=None if policy is None else names, not_known=said)


class LogAudit:
    """One run over a log of which `signed` is the newest checkpoint; `bodies` are those of its key entries."""

    def __init__(
        self,
        published: Published,
        signed: SignedCheckpoint,
        bodies: dict[int, bytes],
        trust: Trust | None,
        seen: LastSeen | None,
    ) -> None:
        self.keys: list[int] = []
        self._tally = Tally()
        self._published = published
        self._checkpoint = signed.checkpoint
        self._bodies = bodies
        self._opener = Opener(self._tally, trust, bodies=bodies)
        self._seen = Seen(self._tally, seen)
        self._has_trust = trust is not None
        self._tree = Tree()
        self._start = 0
        self._times: list[int] = []
        self._named = named_sizes(bodies)  # sizes of the tree for which an entry vouches
        self._roots = {0: self._tree.root()}  # as far as they were reached
        self._revoked: tuple[Revoked, ...] = ()

    @property
    def _size(self) -> int:
        return self._checkpoint.size

    # --- from where ------------------------------------------------------------------------------------------------

    async def resume(self, seen: LastSeen, mark: Mark) -> None:
        """Go on after what was seen; raises `Invalid` unless the tiles lead to it."""
        last = seen.size - 1
        seqs = sorted({*mark.keys, last})
        tiles = FetchedTiles()
        edges = [size - 1 for size in self._named if 0 < size <= seen.size]
        await tiles.fetch(self._published, paths_to([*seqs, *edges], seen.size), self._size)
        tree = SeenTree(tiles, seen.checkpoint)
        opened: dict[int, Opened] = {}
        for number in sorted({seq // TILE_WIDTH for seq in seqs}):
            notes = await self._published.bundle(number, self._size)
            opened |= {seq: self._open_seen(tree, seq, notes) for seq in seqs if seq // TILE_WIDTH == number}
        self.keys = [seq for seq in mark.keys if opened[seq].body is not None]
        self._opener.resume([opened[seq] for seq in self.keys], opened[last])
        self._tree, self._start = tree.tree.copy(), seen.size
        self._roots = roots_in(tree, self._named)
        self._seen.check(self._opener.registry.keyring, tree.tree.root())
        if self._tally.findings:
            raise Invalid("checkpoint", "is not what was seen")
        first, newest = opened[min(seqs)].entry, opened[last].entry
        assert first is not None
        assert newest is not None
        self._times = [first.time, newest.time]

    def _open_seen(self, tree: SeenTree, seq: int, notes: list[bytes]) -> Opened:
        note = notes[seq % TILE_WIDTH]
        if leaf_hash(note) != tree.leaf(seq):
            raise Invalid(f"entry {seq}", "is not the one that was seen")
        entry = decode_entry(note).entry
        opened = Opened(Position(seq, ([(seq, note)], [])), leaf=leaf_hash(note), entry=entry)
        if entry.kind in KEY_KINDS:  # of `verify` others may be marked, too, such as terms
            if seq not in self._bodies:
                raise Invalid(f"entry {seq}", "is a key entry, and its body is kept back")
            opened.body = decode_body(open_part("body", entry.body, self._bodies[seq])).body
        return opened

    # --- onwards ---------------------------------------------------------------------------------------------------

    async def run(self, submit: Submit, progress: Progress) -> None:
        """Open every new entry in order; its signature is verified meanwhile."""
        waiting: deque[tuple[list[Opened], Future[list[bool]]]] = deque()
        async for number, notes, hashes in self._bundles():
            chunk = await self._open_bundle(number, notes, hashes)
            waiting.append((chunk, submit([check.signed for opened in chunk for check in opened.checks])))
            if len(waiting) > BUNDLES_AHEAD:
                await self._settle(*waiting.popleft())
            progress(self._tree.size - self._start, self._size - self._start)
        while waiting:
            await self._settle(*waiting.popleft())
        for tile, hashes in self._tree.partial_tiles():
            if tile.level:  # the lowest was compared with its bundle
                self._compare(tile, await self._published.tile(tile), hashes)

    async def _bundles(self) -> AsyncIterator[tuple[int, list[bytes], bytes]]:
        """Each bundle that has something new, and the tile over it; a few are fetched ahead."""
        fetching: deque[tuple[int, asyncio.Task[tuple[list[bytes], bytes]]]] = deque()
        numbers = iter(range(self._start // TILE_WIDTH, -(-self._size // TILE_WIDTH)))
        try:
            while True:
                while len(fetching) < BUNDLES_AHEAD and (number := next(numbers, None)) is not None:
                    fetching.append((number, asyncio.create_task(self._fetch(number))))
                if not fetching:
                    return
                number, task = fetching.popleft()
                notes, hashes = await task
                yield number, notes, hashes
        finally:
            for _, task in fetching:
                task.cancel()
            await asyncio.gather(*(task for _, task in fetching), return_exceptions=True)

    async def _fetch(self, number: int) -> tuple[list[bytes], bytes]:
        notes = await self._published.bundle(number, self._size)
        return notes, await self._published.tile(Tile(0, number, width_at(0, number, self._size)))

    async def _open_bundle(self, number: int, notes: list[bytes], hashes: bytes) -> list[Opened]:
        first = number * TILE_WIDTH
        self._compare(Tile(0, number, len(notes)), hashes, b"".join(map(leaf_hash, notes)))
        chunk = []
        for seq, note in enumerate(notes, start=first):
            if seq < self._start:
                continue
            opened = self._opener.open(Position(seq, ([(seq, note)], [])))
            if opened.body is not None:
                self.keys.append(seq)
            assert opened.leaf is not None
            full = self._tree.append(opened.leaf)
            if self._tree.size in self._named:
                self._roots[self._tree.size] = self._tree.root()
            self._seen.take(opened, self._opener.registry.keyring, self._tree)
            await self._check_tiles(full[1:])
            chunk.append(opened)
        return chunk

    async def _check_tiles(self, full: list[FullTile]) -> None:
        """Tiles above the lowest: they must be served as they are."""
        for tile in full:
            wanted = Tile(tile.level, tile.number)
            self._compare(wanted, await self._published.tile(wanted), tile.hashes)

    def _compare(self, tile: Tile, actual: bytes, wanted: bytes) -> None:
        self._tally.checked[Step.LOG] += 1
        if actual != wanted:
            last = min((tile.number * TILE_WIDTH + tile.width) * TILE_WIDTH**tile.level, self._size) - 1
            reason = f"tile {tile.number} of level {tile.level} is not that of the entries"
            self._tally.repeated_fault(last, Step.LOG, "tiles", reason)

    async def _settle(self, chunk: list[Opened], verified: "Future[list[bool]]") -> None:
        found: list[bool] = await asyncio.wrap_future(verified)
        verdicts = iter(found)
        for opened in chunk:
            for check in opened.checks:
                if not next(verdicts):
                    reason = "the Issuer's signature does not verify under the key valid here"
                    self._tally.fault(opened.seq, check.step, reason)
            if opened.entry is not None:
                self._times = [self._times[0] if self._times else opened.entry.time, opened.entry.time]

    # --- in the end ------------------------------------------------------------------------------------------------

    def end(self, note: bytes) -> None:
        """All of the log is in: the checkpoint must be of it, and signed."""
        self._tally.checked[Step.LOG] += 1
        keyring = self._opener.registry.keyring
        try:
            if keyring is None:
                raise Invalid("checkpoint", "can not be verified: no key of the ledger is known")
            key = keyring.current("checkpoint").public_key
            open_checkpoint(note, origin=keyring.origin, public_key=key)
            if self._tree.root() != self._checkpoint.root:
                raise Invalid("checkpoint", "has another root than the entries that are served with it")
        except Invalid as error:
            self._tally.fault(self._size - 1, Step.LOG, f"the newest checkpoint is not the ledger's: {error}")
        self._seen.end(self._size)
        self._opener.registry.end()
        self._revoked = check_published(self._opener.registry, self._roots, self._size, self._tally)

    def report(self, url: str, seen: LastSeen | None, seconds: float) -> Report:
        keyring, last = self._opener.registry.keyring, self._opener.last
        faults = self._tally.sorted_findings()
        checked = self._tally.checked
        not_known = not_known_of_log(keyring, self._size, seen, self._start, has_trust=self._has_trust)
        return Report(
            ledger=url,
            origin=None if keyring is None else keyring.origin,
            entries=self._size,
            transactions=0,
            batches=0,
            head=Head(last.seq, last.leaf) if last is not None and last.leaf is not None else None,
            first_time=self._times[0] if self._times else None,
            last_time=self._times[-1] if self._times else None,
            totals=(),
            keys=() if keyring is None else tuple(keyring),
            steps=tuple(StepResult(step, checked[step], sum(f.step is step for f in faults)) for step in STEPS),
            faults=tuple(faults),
            revoked=self._revoked,
            not_known=tuple(not_known),
            seconds=seconds,
            from_seq=self._start,
            seen=None if seen is None else seen.size,
            is_log=True,
            trusted_since=self._opener.registry.trusted_since,
        )
