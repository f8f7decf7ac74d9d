"""`verify` and `rebuild`: on the file alone."""

import argparse
import sys
from dataclasses import asdict

from signed_ledger.audit import add_options, run_verify
from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.output import print_json, print_table
from signed_ledger.cli.progress import entries_told
from signed_ledger.cli.wiring import trust_file
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid
from signed_ledger.rebuild import rebuild


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "verify",
        verify,
        "prove the ledger, in numbered steps; name the seq and the reason of each fault",
        more="Reads only, needs no private key, and works on a ledger that is being served.",
        example="signed-ledger verify --trust trust.json",
        facts=True,
    )
    add_options(
        parser,
        trust="origin and root public keys (default: KEYS/trust.json if it is there)",
        last_seen="the checkpoint seen last, bare or as this wrote it: the ledger must have grown from it, and what "
        "was verified then is not again; FILE is made or replaced once all is verified",
    )
    add_command(
        commands,
        "rebuild",
        run_rebuild,
        "make the derived tables anew from the entries",
        more="Mends derived tables only; nothing mends an entry or a part. Verify before and after.",
        example="signed-ledger rebuild",
        facts=True,
    )


def verify(options: argparse.Namespace, settings: Settings) -> int:
    if options.jobs is not None and options.jobs < 1:
        raise Invalid("--jobs", "must be 1 or more")
    beside = trust_file(settings)
    trust = options.trust or (beside if beside.exists() else None)
    return run_verify(settings.database, trust, options, sys.stdout, sys.stderr)


def run_rebuild(options: argparse.Namespace, settings: Settings) -> int:
    with entries_told(settings.database) as progress:
        report = rebuild(settings.database, progress)
    if options.json:
        print_json({"ledger": str(settings.database), **asdict(report)})
    else:
        print(f"Made the derived tables of {settings.database} anew from {report.entries} entries:\n")
        print_table(("table", "rows"), list(report.rows.items()), right=("rows",))
        print("\nNow verify it: signed-ledger verify")
    return 0
