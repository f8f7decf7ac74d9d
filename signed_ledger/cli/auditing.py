"""`verify` and `rebuild`: on the file alone."""

import argparse
import sys
from pathlib import Path

from signed_ledger.audit import run_verify
from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.cli.output import print_json
from signed_ledger.cli.wiring import trust_file
from signed_ledger.config import Settings
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
    parser.add_argument(
        "--trust", type=Path, metavar="FILE", help="origin and root public keys (default: KEYS/trust.json if it is there)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="processes to verify with (default: one for each core)")
    parser.add_argument("--all", action="store_true", help="list every fault, however many there are")
    add_command(
        commands,
        "rebuild",
        run_rebuild,
        "make the derived tables anew from the entries",
        more="Mends derived tables only; it can not mend an entry or a part, and nothing should. Verify before and after.",
        example="signed-ledger rebuild",
        facts=True,
    )


def verify(options: argparse.Namespace, settings: Settings) -> int:
    beside = trust_file(settings)
    trust = options.trust or (beside if beside.exists() else None)
    return run_verify(settings.database, trust, options.jobs, options.json, options.all, sys.stdout, sys.stderr)


def run_rebuild(options: argparse.Namespace, settings: Settings) -> int:
    rebuild(settings.database)
    if options.json:
        print_json({"ledger": str(settings.database), "rebuilt": True})
    else:
        print(f"Made the derived tables of {settings.database} anew. Now: signed-ledger verify")
    return 0
