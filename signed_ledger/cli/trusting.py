"""The trust file after a change of root keys: the new one in its place, the old one beside it."""

from pathlib import Path

from signed_ledger.cli.output import print_facts
from signed_ledger.cli.wiring import opened_store, registry, trust_file
from signed_ledger.config import Settings
from signed_ledger.disk import whole_file
from signed_ledger.keyring import Keyring
from signed_ledger.trust import Trust, encode_trust, read_trust


def is_behind(settings: Settings, keyring: Keyring) -> bool:
    """Whether the trust file that is here has other root keys than are in use: a change was broken off before it."""
    path = trust_file(settings)
    if not path.exists():
        return False
    trust = read_trust(path)
    return not keyring.root_sets[-1].is_same(trust.root_keys, trust.threshold)


def _encoded(keyring: Keyring) -> bytes:
    return encode_trust(Trust(keyring.origin, keyring.root_keys, keyring.threshold))


async def renew_trust(settings: Settings) -> tuple[Path, Path | None]:
    """Write the root keys as of now; give the file, and where the one before is kept. Can be done again."""
    async with opened_store(settings) as store:
        keyring = await registry(store, settings)
    path = trust_file(settings)
    data = _encoded(keyring)
    old = path.read_bytes() if path.exists() else None
    kept = None
    if old is not None and old != data:
        kept = path.with_name(f"trust-{keyring.version}.json")
        with whole_file(kept, replace=True, mode=0o644) as file:
            file.write(old)
    with whole_file(path, replace=True, mode=0o644) as file:
        file.write(data)
    return path, kept


def tell_trust(path: Path, kept: Path | None) -> None:
    facts: list[tuple[str, object]] = [("trust file", path)]
    print_facts(facts + ([("the one before", kept)] if kept is not None else []))
    print("\nGive the new trust file to your auditors, by another road than the ledger. The old one still verifies.")
