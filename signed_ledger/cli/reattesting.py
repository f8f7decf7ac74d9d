"""`keys reattest`: the honest entries of a revoked key, signed again by its successor. `keys status`: what is left."""

import argparse
import asyncio
from collections.abc import AsyncIterator

from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.key_files import find_by_prefix, unregistered_files
from signed_ledger.cli.output import print_json
from signed_ledger.cli.passphrases import may_ask
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.trusting import is_behind
from signed_ledger.cli.wiring import entry_signers, opened_ledger, opened_store, passphrases_of, registry, trust_file
from signed_ledger.config import Settings
from signed_ledger.encoding import decode_entry, decode_evidence
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Attest
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import ISSUER, RegisteredKey, external, scheme
from signed_ledger.records.names import SERVICE_ROLES
from signed_ledger.sealing import open_entry
from signed_ledger.signing import kid_of
from signed_ledger.store import Store, StoredEntry


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

    async def run() -> tuple[RegisteredKey, list[int], int | None]:
        async with opened_store(settings) as store:
            keyring = await registry(store, settings)
            key = find_by_prefix(keyring, options.kid)
            left = await _left_by(store, keyring, key, options.first, options.last)
        if not left:
            return key, left, None
        _ask(options, key, left)
        async with opened_ledger(settings, entry_signers(settings, passphrases)) as ledger:
            # One entry for all: what lies between them is by other keys, or trusted already.
            return key, left, (await ledger.submit(Attest(key.kid, left[0], left[-1]))).seq

    key, left, seq = asyncio.run(run())
    if options.json:
        told = [] if seq is None else [{"first": left[0], "last": left[-1], "entries": len(left), "seq": seq}]
        print_json({"kid": key.kid, "attested": told})
    elif seq is None:
        print("Nothing is left to be signed again.")
    else:
        print(f"Signed again, by entry {seq}: {_told(left)}.")
    return 0


def _ask(options: argparse.Namespace, key: RegisteredKey, left: list[int]) -> None:
    if options.yes:
        return
    if not may_ask():
        raise KeyChangeRefused(f"{_told(left)} would be signed again; say --yes")
    print(f"By the {key.role} key {key.kid[:16]} {_told(left)} verify and would be signed again.")
    if input("They shall count? yes or no: ").strip() != "yes":
        raise KeyChangeRefused("nothing was signed again")


def _told(seqs: list[int]) -> str:
    return f"{len(seqs)} entr{'y' if len(seqs) == 1 else 'ies'} from {seqs[0]} to {seqs[-1]}"


async def _left_by(
    store: Store, keyring: Keyring, key: RegisteredKey, first: int | None, last: int | None
) -> list[int]:
    """What the key signed in the range and nobody vouches for yet; each entry is verified on the way."""
    if key.revoked_at is None:
        raise KeyChangeRefused(f"the {key.role} key {key.kid[:16]} is not revoked: what it signed is trusted")
    end = (await store.newest()).seq if key.valid_to is None else key.valid_to - 1
    low = max(key.revoked_at, key.valid_from if key.role == "entry" else 0)
    asked_last, last = last, end if last is None else min(last, end)
    first = low if first is None else first
    if first < low:
        raise Invalid("--from", f"must be {low} or later: what the key signed before is trusted")
    if asked_last is not None and asked_last < first:
        raise Invalid("--to", f"must not be before {first}")
    return [seq async for seq in _verified_by(store, keyring, key, first, last)]


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
    if is_behind(settings, keyring):
        since = f"the root keys in use since entry {keyring.root_sets[-1].seq}"
        yield f"{trust_file(settings)} has not {since}: run the keys root, or keys apply, that was broken off again"
    for key in keyring:
        if key.revoked_at is not None and key.role != "checkpoint":
            left = await _left_by(store, keyring, key, None, None)
            if left:
                what = f"by the revoked {key.role} key {key.kid[:16]} {_told(left)}"
                yield f"{what} {'is' if len(left) == 1 else 'are'} not signed again: keys reattest {key.kid[:16]}"
    for account, seq in await _standing_still(keyring, settings):
        again = f"keys reattest {kid_of(keyring.entry_key_at(seq))[:16]} --from {seq} --to {seq}"
        yield f"nothing that moves {account} is decided: its newest line, entry {seq}, is not signed again: {again}"


async def _standing_still(keyring: Keyring, settings: Settings) -> list[tuple[str, int]]:
    """The accounts that many cards share whose balance nobody vouches for, and the entry that says it."""
    if not keyring.revocations:
        return []
    schemes = sorted({key.whose for key in keyring if key.role == "scheme"})
    owners = [ISSUER, *(make(name) for make in (scheme, external) for name in schemes)]
    async with opened_reader(settings) as reader:
        found = [balance for owner in owners for balance in (await reader.balances(owner, None)).balances]
    return [
        (f"{one.state.account.owner} {one.state.account.currency}", one.seq)
        for one in found
        if not keyring.is_trusted(one.seq)
    ]
