"""Checkpoints are pushed to witnesses (C2SP tlog-witness), and their cosignatures verified before they count.

What a witness does, or does not do, is told by metrics and a line of log; it never raises, and holds nobody up.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Final, NamedTuple, TypeAlias

import structlog

from signed_ledger.checkpoints import cosigned_at
from signed_ledger.encoding import (
    AddCheckpoint,
    SignedCheckpoint,
    VerifierKey,
    cosigner_name,
    decode_checkpoint,
    decode_signature_lines,
    encode_add_checkpoint,
    encode_signature,
)
from signed_ledger.errors import Invalid, SignedLedgerError
from signed_ledger.fetching import Fetcher, Reply, Unreachable
from signed_ledger.policy import Policy, shown
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.publishing")

Prove: TypeAlias = Callable[[int, int], Awaitable[tuple[bytes, ...]]]
"""Gives the consistency proof from one size to another."""

COSIGNED: Final = "cosigned"
OUTCOMES: Final = (
    COSIGNED,
    "unreachable",
    "refused",
    "malformed",
    "wrong_signature",
    "unproven",
    "ahead",
    "inconsistent",
)
ALARMS: Final = ("ahead", "inconsistent")
"""What says that the witness may have seen another history of this log."""

REPLY_BYTES_MAX: Final = 65_536
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 60.0
_TRIES: Final = 3
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class _Offer(NamedTuple):
    """A checkpoint to be cosigned."""

    signed: SignedCheckpoint
    note: bytes
    prove: Prove

    @property
    def size(self) -> int:
        return self.signed.checkpoint.size


_Pushed: TypeAlias = tuple[str, tuple[str, str] | None]
_Push: TypeAlias = Callable[["_Witness", _Offer], Coroutine[None, None, _Pushed]]


class _Failed(Exception):
    """A push that brought no cosignature."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


class Witnesses:
    """The witnesses of a policy that have a URL. To be used inside of one event loop."""

    def __init__(self, policy: Policy, fetcher: Fetcher, metrics: Metrics, timeout_s: float) -> None:
        """Raises `Invalid` for a URL that is not one of http or https."""
        self._policy = policy
        self._metrics = metrics
        self._witnesses = [
            _Witness(name, witness.key, _endpoint(name, witness.url), fetcher, metrics, timeout_s)
            for name, witness in policy.witnesses.items()
            if witness.url is not None
        ]
        self._quorum_size = 0

    async def cosign(self, note: bytes, size: int, prove: Prove) -> list[tuple[str, str]]:
        """Ask all witnesses at once, each one time, to cosign; give (key, signature line) of those that did.

        Returns within twice the timeout: a push that is under way comes first. Where a newer checkpoint is offered
        meanwhile, it is the newer one that is pushed.
        """
        offer = _offer(note, size, prove)
        return [cosignature async for cosignature in self._collect(offer, _Witness.push)]

    async def cosign_each(self, note: bytes, size: int, prove: Prove) -> AsyncGenerator[tuple[str, str], None]:
        """Give each cosignature as it comes: a slow witness does not hold up the quick ones'.

        One that fails is asked again, at its pace, until it cosigns or a newer checkpoint is offered: the last
        checkpoint before a quiet night gets all its cosignatures too. To be run beside the publishing.
        """
        async with aclosing(self._collect(_offer(note, size, prove), _Witness.push_until_done)) as cosignatures:
            async for cosignature in cosignatures:
                yield cosignature

    async def _collect(self, offer: _Offer, push: _Push) -> AsyncGenerator[tuple[str, str], None]:
        names: set[str] = set()
        self._note_quorum(names, offer.size)
        tasks = [asyncio.create_task(push(witness, offer)) for witness in self._witnesses]
        try:
            for next_done in asyncio.as_completed(tasks):
                name, cosignature = await next_done
                if cosignature is not None:
                    names.add(name)
                    self._note_quorum(names, offer.size)
                    yield cosignature
        finally:
            for task in tasks:
                task.cancel()

    def _note_quorum(self, names: set[str], size: int) -> None:
        if size > self._quorum_size and self._policy.is_met(names):
            self._quorum_size = size
            self._metrics.quorum_size.set(size)


class _Witness:
    """One witness: what it is known to have cosigned, whose turn it is, and how long to leave it alone."""

    def __init__(
        self, name: str, key: VerifierKey, url: str, fetcher: Fetcher, metrics: Metrics, timeout_s: float
    ) -> None:
        self.name = name
        self._key = key
        self._url = url
        self._fetcher = fetcher
        self._timeout_s = timeout_s
        self._known = 0
        self._newest = 0  # the size of the largest checkpoint offered: smaller ones need not be pushed any more
        self._overtaken = asyncio.Event()  # set, and replaced, when a larger one is offered
        self._turn = asyncio.Lock()
        self._state = ""
        self._failures = 0
        self._rests_until = 0.0
        self._pushes = {outcome: metrics.witness_pushes.labels(shown(name), outcome) for outcome in OUTCOMES}
        self._cosigned_size = metrics.witness_cosigned_size.labels(shown(name))

    async def push_until_done(self, offer: _Offer) -> _Pushed:
        """Push again and again, until it has cosigned or another checkpoint overtakes this one."""
        while True:
            pushed = await self.push(offer)
            if pushed[1] is not None or offer.size < self._newest:
                return pushed
            overtaken = self._overtaken
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._rests_until):
                    await overtaken.wait()

    async def push(self, offer: _Offer) -> _Pushed:
        """Push once, if it is not left alone now. Give its name and, where it cosigned, (key, signature line)."""
        if offer.size > self._newest:
            self._newest = offer.size
            self._overtaken.set()
            self._overtaken = asyncio.Event()
        async with self._turn:
            if offer.size < self._newest or asyncio.get_running_loop().time() < self._rests_until:
                return self.name, None
            try:
                async with asyncio.timeout(self._timeout_s):
                    cosignature = await self._ask(offer)
            except TimeoutError:
                self._fail("unreachable", f"no answer within {self._timeout_s:g} s")
            except Unreachable as error:
                self._fail("unreachable", str(error))
            except _Failed as failed:
                self._fail(failed.outcome, str(failed))
            else:
                self._succeed(offer.size)
                return self.name, cosignature
        return self.name, None

    async def _ask(self, offer: _Offer) -> tuple[str, str]:
        """Push, and push again from where the witness says that it is."""
        for _ in range(_TRIES):
            if self._known > offer.size:
                raise _Failed("ahead", f"has cosigned {self._known} entries, and we have published {offer.size}")
            body = encode_add_checkpoint(AddCheckpoint(self._known, await self._proof(offer), offer.note))
            reply = await self._fetcher.post(
                self._url, body, content_type="text/plain; charset=utf-8", bytes_max=REPLY_BYTES_MAX
            )
            if reply.status != 409:
                return self._read(reply, offer.signed)
            match = _SIZE.fullmatch(reply.body)
            if match is None or int(match[1]) == self._known:
                raise _Failed("malformed", "says that it is elsewhere, but not where")
            self._known = int(match[1])
        raise _Failed("malformed", "says each time that it is elsewhere")

    async def _proof(self, offer: _Offer) -> tuple[bytes, ...]:
        if self._known in (0, offer.size):
            return ()
        try:
            return await offer.prove(self._known, offer.size)
        except SignedLedgerError as error:
            raise _Failed("unproven", f"no proof from {self._known} entries: {error}") from error

    def _read(self, reply: Reply, signed: SignedCheckpoint) -> tuple[str, str]:
        """The witness's signature line, verified; those of other keys are passed over."""
        if reply.status == 422:
            raise _Failed(
                "inconsistent", f"says that {signed.checkpoint.size} entries do not continue what it has seen"
            )
        if reply.status != 200:
            raise _Failed("refused", f"answers {reply.status}: {reply.body[:200].decode('utf-8', 'replace').strip()}")
        try:
            lines = decode_signature_lines(reply.body, "answer")
        except Invalid as error:
            raise _Failed("malformed", str(error)) from None
        for line in lines:
            time = cosigned_at(signed._replace(signatures=(line,)), self._key)
            if time:  # it may not be 0 either (C2SP tlog-witness)
                return cosigner_name(line), encode_signature(line)
        raise _Failed("wrong_signature", "gives no cosignature of this checkpoint by its key")

    def _succeed(self, size: int) -> None:
        self._known = size
        self._failures = 0
        self._cosigned_size.set(size)
        self._become(COSIGNED, "")

    def _fail(self, outcome: str, reason: str) -> None:
        rest = min(BACKOFF_FIRST_S * 2.0**self._failures, BACKOFF_MAX_S)
        self._rests_until = asyncio.get_running_loop().time() + rest
        self._failures = min(self._failures + 1, 16)
        if outcome == "ahead":
            self._known = 0  # asked again next time: it may have been told off
        self._become(outcome, reason)

    def _become(self, state: str, reason: str) -> None:
        self._pushes[state].inc()
        if state == self._state:
            return
        self._state = state
        if state == COSIGNED:
            log.info("witness_cosigns", witness=shown(self.name))
        elif state in ALARMS:
            log.error(f"witness_{state}", witness=shown(self.name), reason=reason)
        else:
            log.warning("witness_failing", witness=shown(self.name), outcome=state, reason=reason)


def _offer(note: bytes, size: int, prove: Prove) -> _Offer:
    offer = _Offer(decode_checkpoint(note), note, prove)
    assert offer.size == size
    return offer


def _endpoint(name: str, url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url) or url != shown(url):
        raise Invalid("witness", f"{shown(name)}: its URL must be of http or https, and have no query")
    return f"{url.rstrip('/')}/add-checkpoint"
