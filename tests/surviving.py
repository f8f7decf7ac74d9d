"""A ledger whose servers are killed again and again under load; what must hold after each death is looked at then.

After each death: the ledger verifies from where it was verified last; every answer stands in it, once, to the byte;
nothing stands in it that was not asked. At the end: everything is asked again, `verify` proves the whole, and each
decision and every balance is a model's.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.running import audit_since
from signed_ledger.encoding import decode_checkpoint
from signed_ledger.killpoints import STEPS
from signed_ledger.money import Money
from signed_ledger.records import Load
from tests.life_model import Conditions, Model
from tests.processes import DEADLINE_SECONDS, Installation, Server
from tests.support import assert_audits
from tests.traffic import Recorded, Traffic

SCHEME: Final = "acme"
FUNDS: Final = 20_000
SOON_MS: Final = 50
LATER_MS: Final = 900
TERMS: Final = Conditions(days={}, otherwise=7, percent={}, rate={})

BY_OTHERS: Final = ("removed", "inserted settlements", "inserted keys", "inserted cosignatures", "making lock")
UNDER_LOAD: Final = tuple(step for step in STEPS if step not in BY_OTHERS)
"""The steps that a server comes to when it is sent webhooks; to the others it takes a command, or a witness."""
BY_PUBLISHING: Final = ("inserted checkpoints", *STEPS[STEPS.index("making lock") :])
KILLED: Final = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""The status of a server that was killed, and of one whose worker was."""


class Done(NamedTuple):
    """What the Issuer did itself: at which seq, and how the model is told."""

    seq: int
    what: str
    of: Any


@dataclass(frozen=True)
class Death:
    """At a step, or `seconds` after the start or after it serves; of one process of them, or of the whole group."""

    step: str | None = None
    seconds: float = 0.0
    starting: bool = False
    alone: bool = False

    @property
    def kind(self) -> str:
        if self.step is not None:
            return self.step.partition(":")[0]
        return ("starting" if self.starting else "serving") + (", one process" if self.alone else ", all processes")


class Survivor:
    """The ledger, its traffic, and what was seen of both. Its methods are run one after the other."""

    def __init__(
        self, installation: Installation, seed: int, conversations: int = 12, pause_seconds: float = 0.0
    ) -> None:
        self.draw = Random(seed)
        self.installation = installation
        self.traffic = Traffic(self.installation.scheme, ["card-1"], conversations, pause_seconds, self.draw)
        self.deaths: Counter[str] = Counter()
        self.done = [Done(5, "load", ("card-1", 100_000_000))]
        self.faults = self.traffic.faults
        self.was_recorded = self.was_absent = self.busy = 0
        self._known: dict[str, int] = {}
        self._head = 0
        self._seen: LastSeen | None = None

    async def add_cards(self, count: int = 1) -> None:
        """Cards with little money, that no Scheme has used yet."""
        names = [f"card-{len(self.traffic.cards) + number + 1}" for number in range(count)]
        seqs = await self.installation.submit(*[Load(f"load-{name}", name, Money(FUNDS, "EUR")) for name in names])
        self.done += [Done(seq, "load", (name, FUNDS)) for seq, name in zip(seqs, names, strict=True)]
        self.traffic.cards += names

    # --- a server's life ---------------------------------------------------------------------------------------------

    async def die(self, death: Death, workers: int = 1) -> None:
        """One server, under load until it dies as it is told; then look at what it left."""
        # A checkpoint is kept by the same steps as decisions: where it is these that are to be killed, it comes later.
        publishes_soon = death.step is None or death.kind in BY_PUBLISHING
        interval_ms = SOON_MS if publishes_soon else LATER_MS
        server = self.start("--workers", workers, killed_at=death.step, interval_ms=interval_ms)
        try:
            if death.starting:
                await asyncio.sleep(death.seconds)
            else:
                await self._serve(server, death)
            if death.step is None:
                self.kill(server, alone=death.alone)
            await self.until_dead(server)
        finally:
            server.kill()
        await self.traffic.hold()
        if server.process.returncode not in KILLED:
            self.faults.append(f"ended by itself: with {server.process.returncode}, {server.log}")
        self.deaths[death.kind] += 1
        self.examine()

    def start(self, *arguments: object, killed_at: str | None = None, interval_ms: int = SOON_MS) -> Server:
        return self.installation.start(*arguments, killed_at=killed_at, CHECKPOINT_INTERVAL_MS=interval_ms)

    async def _serve(self, server: Server, death: Death) -> None:
        await self.until(lambda: server.process.poll() is not None or '"serving"' in server.log)
        self.traffic.go([server.url])
        if death.step is None:
            await asyncio.sleep(death.seconds)
        else:
            await self.until(lambda: server.process.poll() is not None)

    def kill(self, server: Server, *, alone: bool) -> None:
        pids = server.pids
        for pid in [self.draw.choice(pids)] if alone else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def until_dead(self, server: Server) -> None:
        """Where one process of several was killed, the others have to end by themselves."""
        await self.until(lambda: server.process.poll() is not None)
        await self.until(lambda: not server.pids)

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 2 * DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not come"
            await asyncio.sleep(0.01)

    # --- what it left ------------------------------------------------------------------------------------------------

    def examine(self) -> None:
        """All servers are dead: hold the file against what was told."""
        self._audit()
        there = {seq: (note, body) for seq, note, body in self.installation.rows(_SINCE, self._head)}
        for seq, (_, body) in there.items():
            self._find(json.loads(body).get("webhook_id"), seq)
        for name, document in self.traffic.documents.items():
            seq, told = document["seq"], (document["entry"].encode(), document["body"].encode())
            rows = [there[seq]] if seq in there else self.installation.rows(_AT, seq)
            if self._known.get(name) != seq or not rows:
                self.faults.append(f"lost: {name} was answered, and is not in the ledger")
            elif rows != [told]:
                self.faults.append(f"changed: {name} is not in the ledger as it was answered, at {seq}")
        self.traffic.documents.clear()
        ((self._head,),) = self.installation.rows("SELECT max(seq) FROM entries")
        for name in self.traffic.in_doubt:
            if name not in self.traffic.recorded:
                self.was_recorded += name in self._known
                self.was_absent += name not in self._known
            self.traffic.recorded[name] = Recorded(self._known.get(name), self._head)

    def _audit(self) -> None:
        audited = audit_since(self.installation.database, self._seen, jobs=1)
        self.faults += [f"not verified: {fault}" for fault in audited.report.faults]
        if audited.kept is not None and audited.report.ok:
            note = audited.kept.note
            self._seen = LastSeen(note, decode_checkpoint(note, may_extend=True), audited.kept.mark)

    def _find(self, name: str | None, seq: int) -> None:
        if name is None:  # the Issuer's own
            return
        if name in self._known:
            self.faults.append(f"doubled: {name} is in the ledger at {self._known[name]} and at {seq}")
        self._known[name] = seq
        if name not in self.traffic.told and name not in self.traffic.in_doubt:
            self.faults.append(f"not asked: {name} is in the ledger at {seq}")

    # --- the end -----------------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """Serve once more until all is answered, ask everything again; then prove the whole, and count it over."""
        server = self.start()
        try:
            await self._serve(server, Death())
            await self._finish(server)
            assert server.stop() == 0, server.log
        finally:
            server.kill()
        self.examine()
        assert_audits(self.installation.database)
        assert self.traffic.in_doubt == set()
        self._hold_against_model()

    async def _finish(self, server: Server) -> None:
        finishing = asyncio.create_task(self.traffic.finish())
        try:
            while not finishing.done():
                assert server.process.poll() is None, f"it ended by itself: {server.log}"
                await asyncio.wait([finishing], timeout=0.1)
            await finishing
        finally:
            finishing.cancel()

    def _hold_against_model(self) -> None:
        model = Model(TERMS)
        steps = [(told.seq, told) for told in self.traffic.told.values()]
        for seq, step in sorted([*steps, *((one.seq, one) for one in self.done)], key=lambda step: step[0]):
            expected, outcome = self._told_to(model, step)
            if expected != outcome:
                self.faults.append(f"wrong: {seq} says {outcome}, and by the rules it is {expected}")
        balances = self._balances()
        for account in {*balances, *model.posted}:
            there, expected_there = balances.get(account, (0, 0)), (model.posted[account], model.held(account))
            if there != expected_there:
                self.faults.append(f"wrong: {account} has {there}, and by the rules {expected_there}")

    def _told_to(self, model: Model, step: Any) -> tuple[object, object]:
        if not isinstance(step, Done):
            return step.message.told_to(model, SCHEME), step.outcome
        if step.what == "load":
            card, amount = step.of
            return model.load(card, "EUR", amount), "ok"
        if step.what == "settlement":
            return model.settle(SCHEME), step.of
        return model.change(step.what, step.of, SCHEME), "ok"

    def _balances(self) -> dict[tuple[str, str], tuple[int, int]]:
        query = (
            "SELECT owner, currency, posted, held FROM account_states AS s WHERE seq = "
            "(SELECT max(seq) FROM account_states AS m WHERE m.owner = s.owner AND m.currency = s.currency)"
        )
        return {(row[0], row[1]): (row[2], row[3]) for row in self.installation.rows(query)}

    def assert_survived(self) -> None:
        assert not self.faults, "\n".join(self.faults[:20])


_ENTRIES: Final = (
    "FROM transactions AS t JOIN entries AS e ON e.seq = t.seq JOIN parts AS p ON p.seq = t.seq WHERE t.seq"
)
_SINCE: Final = f"SELECT t.seq, e.note, p.body {_ENTRIES} > ?"
_AT: Final = f"SELECT e.note, p.body {_ENTRIES} = ?"
