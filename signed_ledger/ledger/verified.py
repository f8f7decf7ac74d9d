"""Reads that decide are verified: a row counts only once the signed entry that it names says the same.

Each function raises `Invalid` (or the `Refusal` of a Scheme's signature that no longer verifies) saying what is wrong.
"""

from typing import NamedTuple

from signed_ledger.encoding import decode_body, decode_evidence, decode_state
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import (
    AccountId,
    Authorisation,
    AuthorisationState,
    Body,
    Entry,
    EntryRef,
    Evidence,
    Presentment,
    State,
)
from signed_ledger.rules import Authorised, authorisation_cleared, authorisation_opened
from signed_ledger.schemes import verify_recorded
from signed_ledger.sealing import open_entry, open_part
from signed_ledger.store import FoundAccount, FoundAuthorisation, StoredEntry


class VerifiedTransaction(NamedTuple):
    """A Scheme's transaction as recorded; both parties' signatures verified, body, evidence and request agreeing."""

    ref: EntryRef
    body: Authorisation | Presentment
    evidence: Evidence


def verified_entry(stored: StoredEntry, keyring: Keyring) -> Entry:
    """The entry, once its Issuer's signature verifies under the one key valid at its seq."""
    if stored.note is None:
        raise Invalid("entry", f"{stored.seq} is missing")
    key = keyring.entry_key_at(stored.seq)
    return open_entry(stored.note, origin=keyring.origin, seq=stored.seq, public_key=key)


def verified_body(stored: StoredEntry, keyring: Keyring) -> Body:
    return _body(stored, verified_entry(stored, keyring))


def _body(stored: StoredEntry, entry: Entry) -> Body:
    body = decode_body(open_part("body", entry.body, stored.parts.body)).body
    if entry.kind != body.KIND:
        raise Invalid("kind", f"of the body is {body.KIND}, of its entry {entry.kind}")
    return body


def verified_account(account: AccountId, found: FoundAccount, keyring: Keyring) -> State:
    """The balance that a row claims, once the `state` that was signed says it."""
    entry = verified_entry(found.entry, keyring)
    state = decode_state(open_part("state", entry.state, found.entry.parts.state))
    if (state.account, state.posted, state.held) != (account, found.posted, found.held):
        raise Invalid("account_states", f"{account.owner} does not stand at what entry {entry.seq} says")
    return state


def verified_transaction(stored: StoredEntry, keyring: Keyring) -> VerifiedTransaction:
    """Both signatures again, from the stored bytes, and that body, evidence and request agree."""
    entry = verified_entry(stored, keyring)
    body = _body(stored, entry)
    if not isinstance(body, Authorisation | Presentment):
        raise Invalid("entry", f"{stored.seq} is not a Scheme's transaction")
    assert stored.note is not None
    evidence = decode_evidence(open_part("evidence", entry.evidence, stored.parts.evidence))
    key = keyring.find(evidence.kid)
    if key is None or not key.is_valid_at(stored.seq):
        raise Invalid("evidence", f"is by a key that was not valid at seq {stored.seq}")
    verify_recorded(body, evidence, key)
    return VerifiedTransaction(EntryRef(stored.seq, leaf_hash(stored.note)), body, evidence)


def verified_authorisation(found: FoundAuthorisation, keyring: Keyring) -> tuple[AuthorisationState, Authorised]:
    """Where an authorisation stands, and itself, once its own entry and the newest about it both say so."""
    own = verified_transaction(found.own, keyring)
    if not isinstance(own.body, Authorisation):
        raise Invalid("authorisation_states", f"names entry {own.ref.seq}, which is no authorisation")
    state = authorisation_opened(own.body, own.ref.seq)
    if found.newest.seq != own.ref.seq:
        newest = verified_transaction(found.newest, keyring)
        if not isinstance(newest.body, Presentment) or newest.body.builds_on != own.ref:
            raise Invalid("authorisation_states", f"names entry {newest.ref.seq}, which is not about it")
        state = authorisation_cleared(state)
    if state != found.state:
        raise Invalid("authorisation_states", f"does not say what entry {found.newest.seq} says")
    return state, Authorised(own.ref, own.body)
