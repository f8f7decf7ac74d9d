"""`keys approve` on the machine of the root keys, `keys apply` where the ledger is."""

import argparse
import asyncio
from pathlib import Path

from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.key_requests import (
    Request,
    approved,
    counted,
    may_approve,
    read_request,
    sentence_of,
    write_request,
)
from signed_ledger.cli.output import print_json
from signed_ledger.cli.passphrases import may_ask
from signed_ledger.cli.registering import Registrar
from signed_ledger.cli.trusting import renew_trust, tell_trust
from signed_ledger.cli.wiring import entry_signers, opened_ledger, passphrases_of
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.records import RootChange
from signed_ledger.signing import Signer, kid_of, read_private_key
from signed_ledger.trust import read_trust


def add_commands(keys: Commands) -> None:
    parser = add_command(
        keys,
        "approve",
        approve_request,
        "sign a request for a key change with the root keys on this machine, which needs no ledger",
        more="Says what would be approved, and asks. Where the root keys are on several machines, take the file on.",
        example="signed-ledger keys approve rotate.json --keys /media/root --trust trust.json",
        facts=True,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the request; the approvals are added to it")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--key", type=Path, metavar="PEM", help="one root key")
    where.add_argument("--keys", type=Path, metavar="FOLDER", help="a folder of root keys (default: KEYS/root)")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="refuse unless the root keys are this trust file's")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_passphrase_file(parser)
    parser = add_command(
        keys,
        "apply",
        apply_request,
        "record the change of a request that enough root keys approved",
        more="Can be run again: what is recorded already is not recorded twice.",
        example="signed-ledger keys apply rotate.json",
        facts=True,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the approved request")
    add_passphrase_file(parser)


def approve_request(options: argparse.Namespace, settings: Settings) -> int:
    request = read_request(options.file)
    if options.trust is not None:
        _compare(request, options.trust)
    signers = _signers(options, settings, request)
    if not options.json or not options.yes:
        _show(request, signers)
    if not options.yes and not _agrees():
        raise KeyChangeRefused("nothing was approved: say yes on a terminal, or by --yes")
    request = approved(request, signers)
    write_request(options.file, request)
    if options.json:
        print_json({"file": str(options.file), "approvals": _counts(request), "complete": _is_complete(request)})
    else:
        _tell(request)
    return 0


def _compare(request: Request, path: Path) -> None:
    trust = read_trust(path)
    theirs = (request.origin, set(request.root_keys), request.threshold)
    if theirs != (trust.origin, set(trust.root_keys), trust.threshold):
        raise Invalid(str(path), "names another ledger or other root keys than the request")


def _signers(options: argparse.Namespace, settings: Settings, request: Request) -> list[Signer]:
    folder = options.keys or settings.keys / "root"
    if (folder / "root").is_dir():
        folder = folder / "root"
    kids = {kid_of(key) for key in may_approve(request)}
    paths = [options.key] if options.key else sorted(path for path in folder.glob("*.pem") if path.stem in kids)
    opening = passphrases_of(options, settings).opening("root")
    signers: list[Signer] = [read_private_key(path, opening) for path in paths]
    if not any(signer.public_key in may_approve(request) for signer in signers):
        where = options.key or folder
        raise Invalid(str(where), "has no root key that may approve this; it must be one of " + ", ".join(sorted(kids)))
    return signers


def _show(request: Request, signers: list[Signer]) -> None:
    print(f"The ledger {request.origin} asks to approve:\n")
    for change in request.changes:
        print(f"  {change.version}. {sentence_of(change)}")
    print("\nwith the root keys here:")
    for signer in signers:
        print(f"  {kid_of(signer.public_key)}")


def _agrees() -> bool:
    return may_ask() and input("\nApprove this? yes or no: ").strip() == "yes"


def _counts(request: Request) -> list[list[dict[str, object]]]:
    return [[count._asdict() for count in counted(request, change)] for change in request.changes]


def _is_complete(request: Request) -> bool:
    return all(count.given >= count.needed for change in request.changes for count in counted(request, change))


def _tell(request: Request) -> None:
    print()
    for change in request.changes:
        for whose, given, needed in counted(request, change):
            missing = max(needed - given, 0)
            print(f"  {change.version}. {given} of {needed} {whose} approved it; {missing} missing")
    print("\nTake the file back: keys apply" if _is_complete(request) else "\nTake the file on to the next root key.")


def apply_request(options: argparse.Namespace, settings: Settings) -> int:
    request = read_request(options.file)
    passphrases = passphrases_of(options, settings)

    async def put() -> list[int]:
        async with opened_ledger(settings, entry_signers(settings, passphrases)) as ledger:
            if request.origin != ledger.keyring.origin:
                raise Invalid(str(options.file), f"is for the ledger {request.origin}, this is {ledger.keyring.origin}")
            return await Registrar(ledger, settings, passphrases, options.file).submit(request)

    seqs = asyncio.run(put())
    renewed = None
    if any(isinstance(change, RootChange) for change in request.changes):
        renewed = asyncio.run(renew_trust(settings))
    if options.json:
        print_json({"seqs": seqs, "recorded_before": len(request.changes) - len(seqs)})
        return 0
    print("Recorded:" if seqs else "All of this is recorded already:")
    for change in request.changes:
        print(f"  {sentence_of(change)}")
    if renewed is not None:
        print()
        tell_trust(*renewed)
    return 0
