"""Reads that decide are verified: a row counts only once the signed entry that it names says the same.

Each function raises `Invalid` (or the `Refusal` of a Scheme's signature that no longer verifies) saying what is wrong.
"""

from collections.abc import Set
from typing import NamedTuple

from signed_ledger.encoding import decode_body, decode_evidence, decode_state
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import (
    AccountId,
    AuthorisationState,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    Entry,
    EntryRef,
    Evidence,
    Opening,
    PostingKey,
    Settlement,
    State,
    Terms,
    Unsettled,
    card,
)
from signed_ledger.rules import Authorised, authorisation_after, unsettled_of
from signed_ledger.schemes import verify_recorded
from signed_ledger.sealing import open_entry, open_part
from signed_ledger.store import FoundAccount, FoundAuthorisation, FoundCard, StoredEntry
from signed_ledger.tables import authorisation_row, card_row


class VerifiedTransaction(NamedTuple):
    """A card's transaction as recorded, signed by the Issuer.

    Where a Scheme asked for it, its signature is verified too, and body, evidence and request agree. Where another
    process has vouched for all this, it comes without its evidence.
    """

    ref: EntryRef
    body: CardTransaction
    evidence: Evidence | None


def signed_entry(stored: StoredEntry, keyring: Keyring) -> Entry:
    """The entry, once its Issuer's signature verifies under the one key valid at its seq, revoked or not."""
    if stored.note is None:
        raise Invalid("entry", f"{stored.seq} is missing")
    key = keyring.entry_key_at(stored.seq)
    return open_entry(stored.note, origin=keyring.origin, seq=stored.seq, public_key=key)


def verified_entry(stored: StoredEntry, keyring: Keyring) -> Entry:
    """The same, once that key can be trusted there, or its successor vouches for the entry."""
    entry = signed_entry(stored, keyring)
    if not keyring.is_trusted(stored.seq):
        raise Invalid("entry", f"{stored.seq} is by an entry key that is revoked there, and is not signed again")
    return entry


def signed_body(stored: StoredEntry, keyring: Keyring) -> Body:
    """What an entry says, revoked or not: for entries that the root vouches for, and for who looks only."""
    return _body(stored, signed_entry(stored, keyring))


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


def verified_card(card_id: str, found: FoundCard, keyring: Keyring) -> CardState:
    """Whose a card is and whether it is blocked, once the entry that the row names says so."""
    body = verified_body(found.entry, keyring)
    if isinstance(body, CardChange):
        state = body.card
    elif isinstance(body, Opening) and body.account.owner == card(card_id):
        state = CardState(card_id)
    elif isinstance(body, CardTransaction) and body.form != 1 and body.opens and body.decision != "declined":
        state = CardState(body.card_id, body.scheme)
    else:
        raise Invalid("card_states", f"names entry {found.entry.seq}, which says nothing of a card")
    if card_row(found.entry.seq, state) != (card_id, found.entry.seq, found.scheme, found.blocked):
        raise Invalid("card_states", f"does not say of {card_id} what entry {found.entry.seq} says")
    return state


def verified_transaction(stored: StoredEntry, keyring: Keyring) -> VerifiedTransaction:
    """Both signatures again, from the stored bytes, and that body, evidence and request agree."""
    entry = verified_entry(stored, keyring)
    body = _body(stored, entry)
    if not isinstance(body, CardTransaction):
        raise Invalid("entry", f"{stored.seq} is not a card's transaction")
    assert stored.note is not None
    ref = EntryRef(stored.seq, leaf_hash(stored.note))
    if body.webhook_id is None:
        return VerifiedTransaction(ref, body, None)
    evidence = decode_evidence(open_part("evidence", entry.evidence, stored.parts.evidence))
    key = keyring.find(evidence.kid)
    if key is None or not key.is_valid_at(stored.seq):
        raise Invalid("evidence", f"is by a key that was not valid at seq {stored.seq}")
    if not keyring.is_trusted_of(evidence.kid, stored.seq):
        raise Invalid("evidence", f"of entry {stored.seq} is by a key that is revoked there, and is not signed again")
    verify_recorded(body, evidence, key)
    return VerifiedTransaction(ref, body, evidence)


def _vouched_or_verified(stored: StoredEntry, keyring: Keyring, vouched: Set[bytes]) -> VerifiedTransaction:
    if not vouched or stored.digest not in vouched:
        return verified_transaction(stored, keyring)
    assert stored.note is not None
    assert stored.parts.body is not None
    body = decode_body(stored.parts.body).body
    assert isinstance(body, CardTransaction)
    return VerifiedTransaction(EntryRef(stored.seq, leaf_hash(stored.note)), body, None)


def verified_authorisation(
    found: FoundAuthorisation, keyring: Keyring, vouched: Set[bytes] = frozenset()
) -> tuple[AuthorisationState, Authorised]:
    """Where an authorisation stands, and itself, once its own entry and the newest about it both say so.

    `vouched` has the digests of stored entries that were verified under this very registry.
    """
    own = _vouched_or_verified(found.own, keyring, vouched)
    state = authorisation_after(own.body, own.ref.seq, None)
    if found.newest.seq != own.ref.seq:
        newest = _vouched_or_verified(found.newest, keyring, vouched)
        if newest.body.builds_on != own.ref:
            raise Invalid("authorisation_states", f"names entry {newest.ref.seq}, which is not about it")
        state = authorisation_after(newest.body, newest.ref.seq, state)
    if state is None or state.key != found.key or authorisation_row(state) != found.row:
        raise Invalid("authorisation_states", f"does not say what entry {found.newest.seq} says")
    return state, Authorised(own.ref, own.body)


def verified_posting(key: PostingKey, stored: StoredEntry, keyring: Keyring) -> int:
    """The seq of the posting that has this id, once its entry says so."""
    if verified_transaction(stored, keyring).body.posting_key != key:
        raise Invalid("postings", f"names entry {stored.seq}, which is not {key.name} of {key.transaction_id}")
    return stored.seq


def verified_terms(stored: StoredEntry, keyring: Keyring) -> Terms:
    """Whether their entry is trusted is asked when they are to decide."""
    body = signed_body(stored, keyring)
    if not isinstance(body, Terms):
        raise Invalid("keys", f"names entry {stored.seq}, which has no terms")
    return body


def verified_settlement(scheme: str, stored: StoredEntry, keyring: Keyring) -> Settlement:
    """A settlement with this Scheme."""
    body = verified_body(stored, keyring)
    if not isinstance(body, Settlement) or body.scheme != scheme:
        raise Invalid("settlements", f"names entry {stored.seq}, which settles nothing with {scheme}")
    return body


def verified_of_scheme(scheme: str, stored: StoredEntry, keyring: Keyring) -> CardTransaction:
    """A transaction of this Scheme, once both parties' signatures verify."""
    body = verified_transaction(stored, keyring).body
    if body.scheme != scheme:
        raise Invalid("transactions", f"names entry {stored.seq}, which is not {scheme}'s")
    return body


def verified_posted(scheme: str, stored: StoredEntry, keyring: Keyring) -> dict[str, Unsettled]:
    """What such a transaction adds to the Scheme's next settlement."""
    return unsettled_of(verified_of_scheme(scheme, stored, keyring), stored.seq)
