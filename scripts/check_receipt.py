#!/usr/bin/env python3
"""Checks a receipt of one entry: for those who do not run the service, without ledger, network or settings.

Exit status: 0 it proves the entry, 1 it does not, 2 it could not be asked.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from signed_ledger.receipts import run_check_receipt
except ImportError as error:
    print(f"check_receipt.py: {error}; it needs the packages cryptography, PyNaCl and orjson", file=sys.stderr)
    sys.exit(2)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="check_receipt.py",
        description="Check a receipt in numbered steps; say what it proves, and what not.",
        epilog="exit status: 0 it proves the entry, 1 it does not, 2 it could not be asked",
    )
    parser.add_argument("receipt", type=Path, metavar="FILE", help="the receipt")
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="FILE",
        required=True,
        help="trust.json, got by another road than the receipt: origin, root keys",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="C2SP tlog-policy: which witnesses must have cosigned"
    )
    parser.add_argument("--json", action="store_true", help="print what was found for programs")
    return parser


def main() -> int:
    options = make_parser().parse_args()
    return run_check_receipt(options.receipt, options.trust, options.policy, options.json, sys.stdout, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
