#!/usr/bin/env python3
"""Proves a ledger from its file alone: for auditors, without the service, its settings or any private key.

Exit status: 0 verified, 1 faults, 2 could not be asked.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from signed_ledger.audit import add_options, run_verify
except ImportError as error:
    print(f"verify_chain.py: {error}; it needs the packages cryptography, PyNaCl, orjson and tqdm", file=sys.stderr)
    sys.exit(2)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify_chain.py",
        description="Prove a signed ledger, in numbered steps; name the seq and the reason of each fault. "
        "Reads only, and works on a ledger that is being served.",
        epilog="exit status: 0 verified, 1 faults, 2 could not be asked",
    )
    parser.add_argument("ledger", type=Path, metavar="LEDGER", help="the ledger's database file")
    add_options(
        parser,
        trust="trust.json, got by another road than the ledger: origin, root keys",
        last_seen="the checkpoint seen last: the ledger must have grown from it; made or replaced once all is verified",
    )
    parser.add_argument("--json", action="store_true", help="print the report for programs")
    return parser


def main() -> int:
    options = make_parser().parse_args()
    return run_verify(options.ledger, options.trust, options, sys.stdout, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
