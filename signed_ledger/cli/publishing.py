"""`checkpoint`: publish what is in the ledger now; and the one way to make a lock file anew."""

import argparse
import asyncio
import sys

from signed_ledger.checkpoints import vkey_of
from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.outcome import DONE
from signed_ledger.cli.output import print_facts, print_json, warn
from signed_ledger.cli.passphrases import may_ask
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.wiring import checkpoint_lock, checkpoint_signers, entry_signers, opened_ledger, passphrases_of
from signed_ledger.config import Settings
from signed_ledger.encoding import encode_base64
from signed_ledger.errors import Invalid
from signed_ledger.publishing import Published, Publisher
from signed_ledger.telemetry import Metrics

WARNING = (
    "the lock file is all that keeps two histories from being signed with one checkpoint key. Make one anew only where "
    "it is lost for good, no other server has this key, and this database is the newest there is: not a backup."
)


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "checkpoint",
        checkpoint,
        "publish a checkpoint of all that is in the ledger now, and print it",
        more="A running server does this by itself, twice a second where there is something new; this harms it not. "
        "Needs the entry key and the checkpoint key, and the lock file. Where a lock file is lost for good, --new-lock "
        "makes one from the newest checkpoint kept in the ledger; it asks for the ledger's name first.",
        example="signed-ledger checkpoint",
        facts=True,
    )
    parser.add_argument("--new-lock", action="store_true", help="make a lock file that is lost for good anew; asks")
    parser.add_argument("--confirm", metavar="ORIGIN", help="the answer to what --new-lock asks: the ledger's name")
    add_passphrase_file(parser)


def checkpoint(options: argparse.Namespace, settings: Settings) -> int:
    if options.confirm is not None and not options.new_lock:
        raise Invalid("--confirm", "goes with --new-lock")
    published, vkey = asyncio.run(_publish(options, settings))
    facts: list[tuple[str, object]] = [
        ("origin", published.checkpoint.origin),
        ("size", published.size),
        ("root", encode_base64(published.checkpoint.root)),
        ("vkey", vkey),
    ]
    note = published.cosigned.decode()
    if options.json:
        print_json({**dict(facts), "note": note})
    else:
        print_facts(facts)
        print(f"\n{note}", end="")
    return DONE


async def _publish(options: argparse.Namespace, settings: Settings) -> tuple[Published, str]:
    passphrases = passphrases_of(options, settings)
    signers = entry_signers(settings, passphrases), checkpoint_signers(settings, passphrases)
    async with opened_ledger(settings, signers[0]) as ledger, opened_reader(settings) as reader:
        publisher = Publisher(ledger, reader, checkpoint_lock(settings), signers[1], Metrics())
        if options.new_lock:
            _confirm(options.confirm, ledger.keyring.origin)
            await publisher.renew_lock()
        await publisher.open()
        published = await publisher.publish()
        key = ledger.keyring.checkpoint_key_at(published.size)
        return published, vkey_of(published.checkpoint.origin, key)


def _confirm(given: str | None, origin: str) -> None:
    """Raise `Invalid` unless the operator names the ledger."""
    warn(WARNING)
    if given is None:
        if not may_ask():
            raise Invalid("--new-lock", "asks in a terminal, and this is none; use --confirm ORIGIN")
        print("Type the ledger's name to go on: ", end="", file=sys.stderr, flush=True)
        given = sys.stdin.readline().strip()
    if given != origin:
        raise Invalid("--confirm", f"{given!r} is not the ledger's name, {origin}: nothing was made")
