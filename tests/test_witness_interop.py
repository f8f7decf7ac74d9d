"""Witnesses that are not ours cosign the ledger, and tools that are not ours accept our witness's cosignatures."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from aics_tlog import parse_checkpoint, parse_note, verify_cosignature
from aics_witness.config import LogConfig
from aics_witness.service import Witness, WitnessHTTPServer, make_server
from aics_witness.store import WitnessStore
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signed_ledger.checkpoints import vkey_of
from signed_ledger.fetching import Fetcher
from signed_ledger.ledger import Ledger
from signed_ledger.merkle import leaf_hash, verify_inclusion
from signed_ledger.money import Money
from signed_ledger.policy import Policy, decode_policy
from signed_ledger.publishing import Publisher, Witnesses
from signed_ledger.publishing.proofs import consistency, inclusion
from signed_ledger.records import Load
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics
from tests.support import assert_audits
from tests.witnessing import NOW, OurWitness, SmallLog
from tests.world import ORIGIN, World, opened, reading

SIZES = (0, 1, 40, 253, 254, 255, 300, 700)
"""Loads after which is published: within a tile, at its edges, and across several."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@contextmanager
def their_witness(folder: Path, vkey: str) -> Iterator[WitnessHTTPServer]:
    key = Ed25519PrivateKey.generate()
    with WitnessStore(folder / "theirs.db", create=True) as store:
        witness = Witness("theirs.example/w", key, store, [LogConfig.from_strings(ORIGIN, [vkey])])
        server = make_server(witness)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


async def publish(ledger: Ledger, reader: Reader, publisher: Publisher, witnesses: Witnesses) -> None:
    """Publish what there is, have it cosigned, and keep the cosignatures."""
    published = await publisher.publish()
    cosignatures = await witnesses.cosign(published.note, published.size, partial(consistency, reader))
    await publisher.add_cosignatures(published.size, dict(cosignatures))


async def live(world: World, policy: Policy, log: Ledger, reader: Reader) -> Publisher:
    """A ledger that grows, and is cosigned as it does."""
    publisher, fetcher = world.publisher(log, reader), Fetcher(10)
    await publisher.open()
    try:
        witnesses = Witnesses(policy, fetcher, Metrics(), timeout_s=10)
        done = 0
        for size in SIZES:
            loads = [Load(f"load-{number}", "card-1", Money(1, "EUR")) for number in range(done, size)]
            await asyncio.gather(*(log.submit(load) for load in loads))
            done = size
            await publish(log, reader, publisher, witnesses)
            assert publisher.newest is not None
            assert len(publisher.newest.cosignatures) == len(policy.witnesses), size
    finally:
        await fetcher.close()
    return publisher


async def test_their_witness_and_ours_cosign_the_ledger_as_it_grows(world: World, tmp_path: Path) -> None:
    vkey = vkey_of(ORIGIN, world.checkpoint.public_key)
    ours = OurWitness(tmp_path)
    ours.follow(ORIGIN, vkey)
    with their_witness(tmp_path, vkey) as theirs:
        async with ours.serving() as our_url, opened(world) as ledger, reading(world) as reader:
            policy = decode_policy(
                f"log {vkey}\nwitness ours {ours.vkey} {our_url}\n"
                f"witness theirs {theirs.witness.vkey_text} {theirs.url}\n"
                "group both all ours theirs\nquorum both\n".encode()
            )
            publisher = await live(world, policy, ledger, reader)
            kept = await reader.checkpoint(1, ledger.tree.size)
            assert kept is not None
            assert publisher.newest is not None
            assert kept.cosignatures == publisher.newest.cosignatures
            cosigned = publisher.newest.cosigned
    assert_theirs_accept(cosigned, ours)
    assert_audits(world.path)


def assert_theirs_accept(note: bytes, ours: OurWitness) -> None:
    """aics-tlog finds our witness's cosignature on a checkpoint, and finds it good."""
    read = parse_note(note)
    checkpoint = parse_checkpoint(read.text)
    (line,) = [line for line in read.signatures if line.name == ours.name]
    said = (ours.name, ours.signer.public_key, checkpoint.origin, checkpoint.size)
    assert verify_cosignature(line.signature, *said, checkpoint.root)
    assert not verify_cosignature(line.signature, *said, bytes(32))


async def test_their_tool_accepts_what_our_witness_serves_to_monitors(tmp_path: Path) -> None:
    log = SmallLog()
    ours = OurWitness(tmp_path, log)
    with ours.witness() as witness:
        assert witness.add_checkpoint(log.request(0, 42)).status == 200
    with ours.opened() as state:
        followed = state.find(log.origin)
    assert followed is not None
    assert followed.note is not None
    assert followed.cosigned_at == NOW
    assert_theirs_accept(followed.note, ours)


async def test_every_entry_of_a_ledger_is_proven_to_be_in_it(world: World) -> None:
    async with opened(world) as ledger, reading(world) as reader:
        await asyncio.gather(*(ledger.submit(Load(f"load-{n}", "c", Money(1, "EUR"))) for n in range(299)))
        size, root = ledger.tree.size, ledger.tree.root()
        for seq in (0, 1, 127, 128, 254, 255, 256, 257, size - 1):
            note = (await reader.entry(seq)).note
            assert note is not None
            verify_inclusion(leaf_hash(note), seq, size, root, await inclusion(reader, seq, size))
    assert_audits(world.path)
