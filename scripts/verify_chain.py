#!/usr/bin/env python3
"""Proves a ledger from its file alone: for auditors, without the service, its settings or any private key.

Exit status: 0 verified, 1 faults, 2 could not be asked.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from signed_ledger.audit import run_verify
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
    parser.add_argument(
        "--trust", type=Path, metavar="FILE", help="trust.json, got by another road than the ledger: origin, root keys"
    )
    parser.add_argument(
        "--last-seen",
        type=Path,
        metavar="FILE",
        help="the checkpoint seen last: the ledger must have grown from it; made or replaced once all is verified",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="which witnesses must have cosigned the newest checkpoint (C2SP)"
    )
    parser.add_argument("--whole", action="store_true", help="verify every entry, also those verified before")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes to verify with (default: one for each core)")
    parser.add_argument("--json", action="store_true", help="print the report for programs")
    parser.add_argument("--all", action="store_true", help="list every fault, however many there are")
    return parser


def main() -> int:
    options = make_parser().parse_args()
    return run_verify(
        options.ledger,
        options.trust,
        options.jobs,
        options.json,
        options.all,
        sys.stdout,
        sys.stderr,
        seen_path=options.last_seen,
        whole=options.whole,
        policy_path=options.policy,
    )


if __name__ == "__main__":
    sys.exit(main())
