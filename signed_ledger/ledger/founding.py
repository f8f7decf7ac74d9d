"""A new ledger: its keys are made, approve themselves, and stand in entry 0."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from signed_ledger.keyring import Keyring, approve
from signed_ledger.records import ZERO_DIGEST, Effect, Genesis
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import Signer
from signed_ledger.store import create_database, derived_rows, ledger_rows


def found(
    origin: str,
    *,
    roots: list[Signer],
    threshold: int,
    entry: Signer,
    checkpoint: Signer,
    now: int,
    random_bytes: Callable[[int], bytes],
) -> tuple[Genesis, Sealed]:
    """Give the genesis entry. Raises `Invalid` for an impossible origin, threshold or set of keys."""
    unapproved = Genesis(
        origin, tuple(root.public_key for root in roots), threshold, entry.public_key, checkpoint.public_key
    )
    signers = [(f"{origin}/root", root) for root in roots]
    signers += [(f"{origin}/entry", entry), (f"{origin}/checkpoint", checkpoint)]
    genesis = replace(unapproved, approvals=approve(unapproved, origin, signers))
    Keyring(genesis)  # refuses what it would refuse to read back
    place = Place(origin, 0, ZERO_DIGEST, now)
    return genesis, seal(place, genesis, state=None, evidence=None, signer=entry, random_bytes=random_bytes)


def create_ledger(path: Path, genesis: Genesis, sealed: Sealed) -> None:
    """Make the ledger's file with entry 0, whole or not at all; raises `Invalid` where a file is already."""
    rows = ledger_rows(0, sealed.note, sealed.parts) + derived_rows(0, genesis, Effect())
    create_database(path, rows)
