"""Checkpoints are pushed to witnesses: honest, lying, slow, hanging, down and gone ahead, all on real sockets."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from signed_ledger.checkpoints import cosign, cosigned_at, read_vkey, vkey_of
from signed_ledger.encoding import (
    COSIGNATURE,
    cosigner_name,
    decode_add_checkpoint,
    decode_checkpoint,
    decode_signature_lines,
    encode_signature,
)
from signed_ledger.errors import Invalid
from signed_ledger.fetching import Fetcher
from signed_ledger.policy import Policy, decode_policy
from signed_ledger.publishing import Witnesses
from signed_ledger.signing import SoftwareSigner
from signed_ledger.telemetry import Metrics
from tests.witnessing import NOW, OurWitness, SmallLog, serving_app

TIMEOUT_S = 0.5
Answer = Callable[[bytes], Awaitable[web.Response] | web.Response]


class Liar:
    """A witness of the test's own, which answers as it is told to, and keeps what it was asked."""

    def __init__(self, answer: Answer, name: str = "liar.example/w") -> None:
        self.name, self.signer = name, SoftwareSigner(os.urandom(32))
        self.vkey = vkey_of(name, self.signer.public_key, COSIGNATURE)
        self.answer = answer
        self.asked: list[bytes] = []

    def app(self) -> web.Application:
        async def add(request: web.Request) -> web.Response:
            self.asked.append(await request.read())
            answer = self.answer(self.asked[-1])
            return answer if isinstance(answer, web.Response) else await answer

        app = web.Application()
        app.router.add_post("/add-checkpoint", add)
        return app

    def line(self, note: bytes, now: int = NOW, signer: SoftwareSigner | None = None) -> str:
        return encode_signature(cosign(decode_checkpoint(note), self.name, signer or self.signer, now))

    def agree(self, body: bytes) -> web.Response:
        """Cosign whatever it is asked."""
        return web.Response(text=self.line(decode_add_checkpoint(body).checkpoint))


class Issuer:
    """A log that pushes to witnesses. Each `witness` line of the policy is a name, a vkey and a URL."""

    def __init__(self, log: SmallLog, fetcher: Fetcher) -> None:
        self.log, self.fetcher, self.metrics = log, fetcher, Metrics()

    def knows(self, *lines: tuple[str, str, str], quorum: str = "quorum none", timeout_s: float = TIMEOUT_S) -> None:
        text = "".join(f"witness {name} {vkey} {url}\n" for name, vkey, url in lines)
        self.policy: Policy = decode_policy(f"{text}{quorum}\n".encode())
        self.witnesses = Witnesses(self.policy, self.fetcher, self.metrics, timeout_s)

    async def push(self, size: int, log: SmallLog | None = None) -> dict[str, str]:
        log = log or self.log
        return dict(await self.witnesses.cosign(log.note(size), size, log.prove))

    def outcomes(self, witness: str) -> dict[str, int]:
        """How many pushes ended how."""
        pushes = self.metrics.registry.collect()
        samples = [sample for metric in pushes for sample in metric.samples]
        return {
            sample.labels["outcome"]: int(sample.value)
            for sample in samples
            if sample.name == "signed_ledger_witness_pushes_total" and sample.labels["witness"] == witness
            if sample.value
        }

    def gauge(self, name: str, **labels: str) -> Any:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    fetcher = Fetcher(10)
    yield Issuer(SmallLog(), fetcher)
    await fetcher.close()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def lying(stack: AsyncExitStack, issuer: Issuer, answer: Answer) -> Liar:
    """A liar that the issuer pushes to."""
    liar = Liar(answer)
    issuer.knows(("L", liar.vkey, await stack.enter_async_context(serving_app(liar.app()))))
    return liar


def at_once(issuer: Issuer) -> None:
    """Forget what the issuer knows of its witnesses, as a restart does; what they did stays in the metrics."""
    issuer.witnesses = Witnesses(issuer.policy, issuer.fetcher, issuer.metrics, TIMEOUT_S)


async def test_three_witnesses_one_lying_the_quorum_is_met_and_the_lie_is_not_served(
    issuer: Issuer, stack: AsyncExitStack, tmp_path: Path
) -> None:
    honest = [OurWitness(tmp_path, issuer.log, name=f"honest.example/w{number}") for number in (1, 2)]
    urls = [await stack.enter_async_context(witness.serving()) for witness in honest]
    fork, liar = issuer.log.fork(), Liar(lambda _: web.Response())
    liar.answer = lambda body: web.Response(text=liar.line(fork.note(decode_checkpoint_size(body))))
    liar_url = await stack.enter_async_context(serving_app(liar.app()))
    lines = [(f"W{n}", witness.vkey, url) for n, (witness, url) in enumerate(zip(honest, urls, strict=True), start=1)]
    issuer.knows(*lines, ("L", liar.vkey, liar_url), quorum="group G 2 W1 W2 L\nquorum G")
    for size in (3, 8, 21):
        got = await issuer.push(size)
        assert sorted(got) == sorted(cosigner_name(line) for line in map(line_of, got.values()))
        served = decode_checkpoint(issuer.log.note(size) + "".join(got.values()).encode())
        assert set(issuer.policy.cosigned(served)) == {"W1", "W2"}
        assert issuer.policy.is_met(issuer.policy.cosigned(served))
        assert issuer.gauge("signed_ledger_quorum_size") == size
    assert issuer.outcomes("W1") == issuer.outcomes("W2") == {"cosigned": 3}
    assert issuer.outcomes("L") == {"wrong_signature": 1}  # then it is left alone for a while
    assert issuer.gauge("signed_ledger_witness_cosigned_size", witness="W2") == 21
    assert issuer.gauge("signed_ledger_witness_cosigned_size", witness="L") == 0


def decode_checkpoint_size(body: bytes) -> int:
    return decode_checkpoint(decode_add_checkpoint(body).checkpoint).checkpoint.size


def line_of(text: str) -> Any:
    (line,) = decode_signature_lines(text.encode())
    return line


@pytest.mark.parametrize("old", [0, 3, 8])
async def test_where_the_witness_stands_is_learnt_from_its_409(
    issuer: Issuer, stack: AsyncExitStack, tmp_path: Path, old: int
) -> None:
    """An Issuer that was restarted does not know it."""
    witness = OurWitness(tmp_path, issuer.log)
    issuer.knows(("W", witness.vkey, await stack.enter_async_context(witness.serving())))
    if old:
        await issuer.push(old)
    at_once(issuer)
    (line,) = (await issuer.push(8)).values()
    signed = decode_checkpoint(issuer.log.note(8) + line.encode())
    assert cosigned_at(signed, read_vkey(witness.vkey)) == NOW
    assert issuer.outcomes("W") == {"cosigned": 2 if old else 1}


async def test_a_log_that_shows_two_histories_to_two_witnesses_is_found(
    issuer: Issuer, stack: AsyncExitStack, tmp_path: Path
) -> None:
    one, two = [OurWitness(tmp_path, issuer.log, name=f"w{number}.example") for number in (1, 2)]
    fork, urls = issuer.log.fork(), [await stack.enter_async_context(witness.serving()) for witness in (one, two)]
    issuer.knows(("W1", one.vkey, urls[0]))
    assert len(await issuer.push(8)) == 1
    issuer.knows(("W2", two.vkey, urls[1]))
    assert len(await issuer.push(8, fork)) == 1
    # Whoever needs both must show one history to both: the second one refuses, and keeps what it was shown.
    issuer.knows(("W1", one.vkey, urls[0]), ("W2", two.vkey, urls[1]), quorum="group G all W1 W2\nquorum G")
    assert list(await issuer.push(8)) == [cosigner_name(line_of(cosign_line(one, issuer.log.note(8))))]
    assert issuer.outcomes("W2") == {"cosigned": 1, "inconsistent": 1}
    assert not issuer.policy.is_met({"W1"})
    with two.opened() as state:
        (seen,) = state.evidence(issuer.log.origin)
    assert seen.is_proof
    assert seen.note == issuer.log.note(8)
    assert seen.ours is not None
    assert seen.ours.startswith(fork.note(8))


def cosign_line(witness: OurWitness, note: bytes) -> str:
    return encode_signature(cosign(decode_checkpoint(note), witness.name, witness.signer, NOW))


async def test_a_witness_that_has_seen_more_than_was_published_is_an_alarm(
    issuer: Issuer, stack: AsyncExitStack, tmp_path: Path
) -> None:
    witness = OurWitness(tmp_path, issuer.log)
    issuer.knows(("W", witness.vkey, await stack.enter_async_context(witness.serving())))
    await issuer.push(21)
    at_once(issuer)
    assert await issuer.push(8) == {}
    assert issuer.outcomes("W") == {"cosigned": 1, "ahead": 1}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(lambda: web.Response(status=404, text="who?"), "refused", id="404"),
        pytest.param(lambda: web.Response(status=403), "refused", id="403"),
        pytest.param(lambda: web.Response(status=500), "refused", id="500"),
        pytest.param(lambda: web.Response(status=503, headers={"Retry-After": "9"}), "refused", id="503"),
        pytest.param(lambda: web.Response(status=302, headers={"Location": "/"}), "refused", id="a redirect"),
        pytest.param(lambda: web.Response(status=422), "inconsistent", id="422"),
        pytest.param(lambda: web.Response(status=409, text="0\n"), "malformed", id="409 with the size that was sent"),
        pytest.param(lambda: web.Response(status=409, text="seven\n"), "malformed", id="409 without a size"),
        pytest.param(lambda: web.Response(status=409, text="99\n"), "ahead", id="409 with a larger size"),
        pytest.param(lambda: web.Response(text=""), "malformed", id="200 with nothing"),
        pytest.param(lambda: web.Response(text="<html>"), "malformed", id="200 with a page"),
        pytest.param(lambda: web.Response(body=b"\xff" * 99), "malformed", id="200 with noise"),
        pytest.param(lambda: web.Response(body=b"x" * 99_999), "unreachable", id="200 with far too much"),
        pytest.param(lambda: asyncio.sleep(5), "unreachable", id="silence"),
    ],
)
async def test_what_a_witness_answers_wrongly_is_counted_and_never_raised(
    issuer: Issuer, stack: AsyncExitStack, answer: Callable[[], Any], outcome: str
) -> None:
    await lying(stack, issuer, lambda _: answer())
    began = time.monotonic()
    assert await issuer.push(8) == {}
    assert time.monotonic() - began < 2 * TIMEOUT_S
    assert issuer.outcomes("L") == {outcome: 1}


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda liar, log: liar.line(log.note(8), signer=SoftwareSigner(bytes(32))), id="another key"),
        pytest.param(lambda liar, log: liar.line(log.note(7)), id="another checkpoint"),
        pytest.param(lambda liar, log: liar.line(log.fork().note(8)), id="another root"),
        pytest.param(lambda liar, log: liar.line(log.note(8), now=0), id="no time"),
        pytest.param(lambda liar, log: log.note(8).decode().rpartition("\n\n")[2], id="the log's own signature"),
    ],
)
async def test_a_cosignature_counts_only_if_it_is_one_of_this_checkpoint_by_this_key(
    issuer: Issuer, stack: AsyncExitStack, lie: Callable[[Liar, SmallLog], str]
) -> None:
    liar = await lying(stack, issuer, lambda _: web.Response(text=lie(liar, issuer.log)))
    assert await issuer.push(8) == {}
    assert issuer.outcomes("L") == {"wrong_signature": 1}


async def test_lines_of_other_keys_beside_the_right_one_are_passed_over(issuer: Issuer, stack: AsyncExitStack) -> None:
    other = Liar(lambda _: web.Response())
    liar = await lying(
        stack, issuer, lambda _: web.Response(text=other.line(issuer.log.note(8)) + liar.line(issuer.log.note(8)))
    )
    assert list((await issuer.push(8)).values()) == [liar.line(issuer.log.note(8))]


async def test_a_witness_that_says_another_size_each_time_is_given_up(issuer: Issuer, stack: AsyncExitStack) -> None:
    sizes = iter(range(1, 9))
    liar = await lying(stack, issuer, lambda _: web.Response(status=409, text=f"{next(sizes)}\n"))
    assert await issuer.push(8) == {}
    assert issuer.outcomes("L") == {"malformed": 1}
    assert len(liar.asked) == 3


async def test_nobody_at_home_is_counted(issuer: Issuer) -> None:
    issuer.knows(("L", Liar(lambda _: web.Response()).vkey, "http://127.0.0.1:1/"))
    assert await issuer.push(8) == {}
    assert issuer.outcomes("L") == {"unreachable": 1}


async def test_a_failing_witness_is_left_alone_then_asked_again(issuer: Issuer, stack: AsyncExitStack) -> None:
    liar = await lying(stack, issuer, lambda _: web.Response(status=500))
    for size in range(1, 6):
        await issuer.push(size)
    assert len(liar.asked) == 1
    await asyncio.sleep(0.6)
    await issuer.push(6)
    assert len(liar.asked) == 2
    liar.answer = liar.agree
    await asyncio.sleep(0.6)
    assert await issuer.push(7) == {}  # it failed twice, and is left alone for twice as long
    await asyncio.sleep(0.6)
    assert len(await issuer.push(8)) == 1
    assert issuer.outcomes("L") == {"refused": 2, "cosigned": 1}


async def test_the_log_tells_when_a_witness_changes_and_not_at_each_try(issuer: Issuer, stack: AsyncExitStack) -> None:
    liar = await lying(stack, issuer, lambda _: web.Response(status=500))
    with capture_logs() as lines:
        await issuer.push(1)
        await asyncio.sleep(0.6)
        await issuer.push(2)
        liar.answer = lambda _: web.Response(status=422)
        await asyncio.sleep(1.1)
        await issuer.push(3)
    told = [(line["event"], line["log_level"]) for line in lines]
    assert told == [("witness_failing", "warning"), ("witness_inconsistent", "error")]


async def test_a_slow_witness_is_pushed_one_at_a_time_and_only_the_newest(
    issuer: Issuer, stack: AsyncExitStack
) -> None:
    async def slowly(body: bytes) -> web.Response:
        await asyncio.sleep(0.2)
        return liar.agree(body)

    liar = await lying(stack, issuer, slowly)
    pushes = []
    for size in range(1, 9):
        pushes.append(asyncio.create_task(issuer.push(size)))
        await asyncio.sleep(0.01)
    answers = await asyncio.gather(*pushes)
    assert [decode_checkpoint_size(body) for body in liar.asked] == [1, 8]
    assert [len(answer) for answer in answers] == [1, 0, 0, 0, 0, 0, 0, 1]


async def test_a_hanging_witness_holds_up_nobody(issuer: Issuer, stack: AsyncExitStack, tmp_path: Path) -> None:
    witness = OurWitness(tmp_path, issuer.log)
    url = await stack.enter_async_context(witness.serving())
    liar = Liar(lambda _: asyncio.sleep(9, web.Response()))
    liar_url = await stack.enter_async_context(serving_app(liar.app()))
    issuer.knows(("L", liar.vkey, liar_url), ("W", witness.vkey, url), quorum="quorum W")
    began = time.monotonic()
    async with aclosing(issuer.witnesses.cosign_each(issuer.log.note(8), 8, issuer.log.prove)) as coming:
        key, _ = await anext(coming)
        assert time.monotonic() - began < TIMEOUT_S / 2
    assert key.startswith(f"{witness.name}+")
    assert issuer.gauge("signed_ledger_quorum_size") == 8
    assert len(await issuer.push(9)) == 1
    assert time.monotonic() - began < 3 * TIMEOUT_S
    assert pushes_left() == []


async def test_the_last_checkpoint_of_a_day_is_offered_until_it_is_cosigned(
    issuer: Issuer, stack: AsyncExitStack
) -> None:
    liar = await lying(stack, issuer, lambda _: web.Response(status=500))

    async def mended() -> None:
        await asyncio.sleep(0.1)
        liar.answer = liar.agree

    mending = asyncio.create_task(mended())
    each = issuer.witnesses.cosign_each(issuer.log.note(8), 8, issuer.log.prove)
    assert [line async for _, line in each] == [liar.line(issuer.log.note(8))]
    await mending
    assert issuer.outcomes("L") == {"refused": 1, "cosigned": 1}


async def test_a_checkpoint_that_is_overtaken_is_offered_no_more(issuer: Issuer, stack: AsyncExitStack) -> None:
    liar = await lying(stack, issuer, lambda _: web.Response(status=500))

    async def offer(size: int) -> list[tuple[str, str]]:
        each = issuer.witnesses.cosign_each(issuer.log.note(size), size, issuer.log.prove)
        return [cosignature async for cosignature in each]

    first = asyncio.create_task(offer(7))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(offer(8))
    began = time.monotonic()
    assert await first == []
    assert time.monotonic() - began < 0.3
    liar.answer = liar.agree
    assert len(await second) == 1
    assert [decode_checkpoint_size(body) for body in liar.asked] == [7, 8]


async def test_what_is_given_up_half_way_leaves_no_push_behind(issuer: Issuer, stack: AsyncExitStack) -> None:
    """The service stops while a witness hangs."""
    await lying(stack, issuer, lambda _: asyncio.sleep(9, web.Response()))
    waiting = asyncio.create_task(issuer.push(8))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.sleep(0)
    assert waiting.cancelled()
    assert pushes_left() == []


def pushes_left() -> list[str]:
    coroutines = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    return [name for name in coroutines if "_Witness.push" in name]


async def test_where_no_proof_can_be_made_the_witness_is_not_asked(issuer: Issuer, stack: AsyncExitStack) -> None:
    async def broken(old: int, new: int) -> tuple[bytes, ...]:
        raise Invalid("tiles", f"from {old} to {new} are not there")

    liar = await lying(stack, issuer, lambda body: liar.agree(body))
    await issuer.push(5)
    assert await issuer.witnesses.cosign(issuer.log.note(8), 8, broken) == []
    assert issuer.outcomes("L") == {"cosigned": 1, "unproven": 1}
    assert len(liar.asked) == 1


@pytest.mark.parametrize("url", ["ftp://w.example/", "w.example", "https://w.example/?q"])
async def test_a_url_that_can_not_be_pushed_to_is_refused(issuer: Issuer, url: str) -> None:
    with pytest.raises(Invalid, match="URL"):
        issuer.knows(("L", Liar(lambda _: web.Response()).vkey, url))
