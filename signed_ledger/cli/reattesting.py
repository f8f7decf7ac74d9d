"""`keys reattest`: the honest entries of a revoked key, signed again by its successor. `keys status`: what is left."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import groupby
from typing import NamedTuple

from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.key_files import find_by_prefix, unregistered_files
from signed_ledger.cli.output import print_json
from signed_ledger.cli.wiring import entry_signers, opened_ledger, opened_store, passphrases_of, registry
from signed_ledger.config import Settings
from signed_ledger.encoding import decode_entry, decode_evidence
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Attest
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import RegisteredKey
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.sealing import open_entry
from signed_ledger.store import Store, StoredEntry


class Span(NamedTuple):
    """Entries from seq `first` to `last`."""

    first: int
    last: int


def add_commands(keys: Commands) -> None:
    parser = add_command(
        keys,
        "reattest",
        reattest,
        "sign again, with the entry key in use, what a revoked key signed from its size on",
        more="Each entry is verified first, signature and chain. Name what is honest by --from and --to, or all is.",
        example="signed-ledger keys reattest 3f2a90c1 --from 1200 --to 1250",
        facts=True,
    )
    parser.add_argument("kid", metavar="KID", help="the revoked key, or its first 8 digits and more")
    parser.add_argument("--from", dest="first", type=int, metavar="SEQ", help="the first entry (default: its size)")
    parser.add_argument("--to", dest="last", type=int, metavar="SEQ", help="the last entry (default: its last)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_passphrase_file(parser)
    add_command(
        keys,
        "status",
        status,
        "say what is left to do: a key to replace, a rotation that was broken off, entries to be signed again",
        example="signed-ledger keys status",
        facts=True,
    )


def reattest(options: argparse.Namespace, settings: Settings) -> int:
    passphrases = passphrases_of(options, settings)

    async def run() -> tuple[RegisteredKey, list[Span], list[int]]:
        async with opened_store(settings) as store:
            keyring = await registry(store, settings)
            key = find_by_prefix(keyring, options.kid)
            spans = await _honest(store, keyring, key, options.first, options.last)
        _ask(options, key, spans)
        async with opened_ledger(settings, entry_signers(settings, passphrases)) as ledger:
            seqs = [(await ledger.submit(Attest(key.kid, *span))).seq for span in spans]
        return key, spans, seqs

    key, spans, seqs = asyncio.run(run())
    if options.json:
        told = [{**span._asdict(), "seq": seq} for span, seq in zip(spans, seqs, strict=True)]
        print_json({"kid": key.kid, "attested": told})
    elif spans:
        print(f"Signed again, in {len(seqs)} entries from seq {seqs[0]} on.")
    else:
        print("Nothing is left to be signed again.")
    return 0


def _ask(options: argparse.Namespace, key: RegisteredKey, spans: list[Span]) -> None:
    if options.yes or not spans:
        return
    count = sum(last - first + 1 for first, last in spans)
    ranges = ", ".join(f"{first} to {last}" for first, last in spans)
    if sys.stdin is None or not sys.stdin.isatty():
        raise KeyChangeRefused(f"{count} entries would be signed again, {ranges}; say --yes")
    print(f"{count} entries by the {key.role} key {key.kid[:16]} verify and would be signed again: {ranges}.")
    if input("They are honest? yes or no: ").strip() != "yes":
        raise KeyChangeRefused("nothing was signed again")


async def _honest(
    store: Store, keyring: Keyring, key: RegisteredKey, first: int | None, last: int | None
) -> list[Span]:
    """What the key signed in the range and nobody vouches for yet, as spans; each entry is verified on the way."""
    if key.revoked_at is None:
        raise KeyChangeRefused(f"the {key.role} key {key.kid[:16]} is not revoked: what it signed is trusted")
    end = (await store.newest()).seq if key.valid_to is None else key.valid_to - 1
    low = max(key.revoked_at, key.valid_from if key.role == "entry" else 0)
    first, last = low if first is None else first, end if last is None else min(last, end)
    if first < low:
        raise Invalid("--from", f"must be {low} or later: what the key signed before is trusted")
    seqs = [seq async for seq in _verified_by(store, keyring, key, first, last)]
    return [Span(run[0], run[-1]) for run in _runs(seqs)]


async def _verified_by(store: Store, keyring: Keyring, key: RegisteredKey, first: int, last: int) -> AsyncIterator[int]:
    prev = leaf_hash((await store.entry(first - 1)).note or b"") if first else None
    for seq in range(first, last + 1):
        stored = await store.entry(seq)
        if stored.note is None:
            raise Invalid("entry", f"{seq} is missing")
        open_entry(stored.note, origin=keyring.origin, seq=seq, public_key=keyring.entry_key_at(seq))
        if prev is not None and decode_entry(stored.note).entry.prev != prev:
            raise Invalid("entry", f"{seq} does not follow the one before it")
        prev = leaf_hash(stored.note)
        if key.role == "entry":
            if not keyring.is_trusted(seq):
                yield seq
        elif _kid_of(stored) == key.kid and not keyring.is_trusted_of(key.kid, seq):
            yield seq


def _kid_of(stored: StoredEntry) -> str | None:
    evidence = stored.parts.evidence
    return None if evidence is None else decode_evidence(evidence).kid


def _runs(seqs: list[int]) -> list[list[int]]:
    return [[seq for _, seq in run] for _, run in groupby(enumerate(seqs), lambda item: item[1] - item[0])]


# --- where things stand ----------------------------------------------------------------------------------------------


def status(options: argparse.Namespace, settings: Settings) -> int:
    async def read() -> list[str]:
        async with opened_store(settings) as store:
            keyring = await registry(store, settings)
            return [sentence async for sentence in _left(store, keyring, settings)]

    left = asyncio.run(read())
    if options.json:
        print_json({"left": left})
    else:
        print("\n".join(left) if left else "Nothing is left to do.")
    return 0


async def _left(store: Store, keyring: Keyring, settings: Settings) -> AsyncIterator[str]:
    if keyring.awaited is not None:
        key = keyring.current(keyring.awaited)
        again = f"keys revoke {key.kid[:16]} --at-size {key.revoked_at}"
        yield f"The {key.role} key is revoked and not replaced yet: {again}"
    for role in SERVICE_ROLES:
        for path in unregistered_files(settings.keys / role, keyring):
            yield f"{path} is of a rotation that was broken off: keys rotate {role} takes it up"
        kid = keyring.next_kids.get(role)
        if kid is not None and (settings.keys / role / f"{kid}.pem").exists():
            yield f"{settings.keys / role / f'{kid}.pem'} is the next {role} key: take it offline"
    for key in keyring:
        if key.revoked_at is not None and key.role != "checkpoint":
            for first, last in await _honest(store, keyring, key, None, None):
                what = f"what stands in {first} to {last} by the revoked {key.role} key {key.kid[:16]}"
                yield f"{what} is not signed again: keys reattest {key.kid[:16]}"
