"""An erasure, planned: what is a card's is verified, so that no edited row has another card's erased."""

from signed_ledger.encoding import decode_body, decode_state
from signed_ledger.errors import IntegrityViolation, Invalid, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.verified import verified_entry, verified_settlement
from signed_ledger.rules import AboutCard, Erase, Erasing, decide_erasure, is_about
from signed_ledger.sealing import open_part
from signed_ledger.store import FoundErasing, Store, StoredEntry, read_erasing


async def plan_erasure(store: Store, keyring: Keyring, command: Erase) -> Erasing:
    """What an erasure would record and leave. Raises what the rules do, and `IntegrityViolation`."""
    return planned(await read_erasing(store, command.card_id), keyring, command)


def planned(found: FoundErasing, keyring: Keyring, command: Erase) -> Erasing:
    """The same, from what was found."""
    try:
        about = [_about(command.card_id, stored, keyring) for stored in found.entries]
        for scheme, stored in found.settlements.items():
            verified_settlement(scheme, stored, keyring)
    except (Invalid, Refusal) as error:
        raise IntegrityViolation(
            f"What is stored about card {command.card_id} does not verify: {error}. Nothing was erased."
        ) from error
    return decide_erasure(command, about, {scheme: stored.seq for scheme, stored in found.settlements.items()})


def _about(card_id: str, stored: StoredEntry, keyring: Keyring) -> AboutCard:
    """An entry of the card's, once its signature, its digests and what it says verify."""
    entry, parts = verified_entry(stored, keyring), stored.parts
    state = None if parts.state is None else decode_state(open_part("state", entry.state, parts.state))
    body = None if parts.body is None else decode_body(open_part("body", entry.body, parts.body)).body
    if not is_about(card_id, body, state):
        raise Invalid("entry", f"{stored.seq} is not about it")
    names = {name for name, data in parts._asdict().items() if data is not None}
    return AboutCard(stored.seq, frozenset(names), body, state)
