"""`receipt` and `check-receipt`: one entry proven to an outsider, and the outsider's side of it."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.reading import opened_reader, read_registry, verifying
from signed_ledger.cli.wiring import witness_policy
from signed_ledger.config import Settings
from signed_ledger.disk import whole_file
from signed_ledger.encoding import encode_receipt
from signed_ledger.errors import EntryNotFound, Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.policy import Policy
from signed_ledger.publishing import Published, make_receipt, verified_checkpoint
from signed_ledger.receipts import run_check_receipt
from signed_ledger.records import Parts
from signed_ledger.store import Reader

ALL: Final = "all"
NONE: Final = "none"


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "receipt",
        receipt,
        "write what proves one entry to anybody, with no ledger and no network",
        more="Works on the file alone, under the newest checkpoint kept that covers the entry (and that the quorum of "
        "the witness policy has cosigned, where there is one), and needs no private key. What it writes has been "
        "checked. A receipt shows what its parts say: a state tells a balance, an evidence what the Scheme sent.",
        example="signed-ledger receipt 41 --parts body,evidence --out receipt-41.json",
    )
    parser.add_argument("seq", type=int, metavar="SEQ", help="the entry's number")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file, mode 0600 (default: standard output)")
    parser.add_argument(
        "--parts",
        default=ALL,
        metavar="PARTS",
        help=f"{ALL}, {NONE}, or some of {','.join(Parts._fields)} (default: {ALL})",
    )
    parser = add_command(
        commands,
        "check-receipt",
        check_receipt,
        "check a receipt; say in sentences what it proves, and what not",
        more="Needs no ledger, no network and no private key. The trust file must have come by another road than the "
        "receipt; a policy file (C2SP tlog-policy) says which witnesses must have cosigned.",
        example="signed-ledger check-receipt receipt-41.json --trust trust.json --policy policy.txt",
        facts=True,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the receipt")
    parser.add_argument("--trust", type=Path, metavar="FILE", required=True, help="origin and root public keys")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="the logs and witnesses that count, and how many")


def receipt(options: argparse.Namespace, settings: Settings) -> int:
    shown = _read_parts(options.parts)
    if options.out is not None and options.out.exists():
        raise Invalid("--out", f"{options.out} is there already")
    data = asyncio.run(_receipt(settings, options.seq, shown))
    if options.out is None:
        print(data.decode())
    else:
        with whole_file(options.out) as file:
            file.write(data)
    return 0


def check_receipt(options: argparse.Namespace, settings: Settings) -> int:
    return run_check_receipt(options.file, options.trust, options.policy, options.json, sys.stdout, sys.stderr)


def _read_parts(text: str) -> tuple[str, ...]:
    if text in (ALL, NONE):
        return Parts._fields if text == ALL else ()
    names = tuple(text.split(","))
    for name in names:
        if name not in Parts._fields:
            raise Invalid("--parts", f"{name!r} is none of {ALL}, {NONE}, {', '.join(Parts._fields)}")
    return names


async def _receipt(settings: Settings, seq: int, shown: tuple[str, ...]) -> bytes:
    policy = witness_policy(settings)
    async with opened_reader(settings) as reader:
        head = await reader.head()
        if not 0 <= seq <= head:
            raise EntryNotFound(f"the ledger has no entry {seq}; its newest is {head}")
        stored = await reader.entry(seq)
        keyring = await read_registry(settings)
        with verifying(f"at seq {seq}, or what proves it,"):
            published = await _covering(reader, keyring, policy, seq, head)
            if published is not None:
                return encode_receipt(await make_receipt(reader, keyring, stored, published, shown))
    raise Invalid("checkpoint", f"none that was published covers entry {seq} yet: {_HOW_TO_PUBLISH}")


async def _covering(reader: Reader, keyring: Keyring, policy: Policy | None, seq: int, head: int) -> Published | None:
    """The newest checkpoint kept that covers `seq` and that the policy's quorum cosigned; else the newest that does."""
    newest, size = None, head + 1
    while (kept := await reader.checkpoint(seq + 1, size)) is not None:
        size = kept.size - 1
        if not keyring.trusts_checkpoint(kept.size):  # its key is revoked
            continue
        published = verified_checkpoint(kept, keyring)
        newest = newest or published
        if policy is None or policy.is_met(policy.cosigned(published.signed)):
            return published
    return newest


_HOW_TO_PUBLISH: Final = "a running server publishes one by itself, and signed-ledger checkpoint does"
