"""Following the chain: what the ledger was when this process started, and what other processes wrote since."""

from typing import Final, NamedTuple

import structlog

from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.errors import Fault, Invalid, KeyChangeRefused, Refusal
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.known import Known
from signed_ledger.ledger.verified import signed_body, signed_entry, verified_terms
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import DEFAULT_TERMS, Attestation, Genesis, KeyChange, RegistryChange, RootChange, Terms
from signed_ledger.store import Store, StoredEntry

log = structlog.get_logger("signed_ledger.ledger")

_REGISTRY_KINDS: Final = (KeyChange.KIND, RootChange.KIND, Attestation.KIND)


class Head(NamedTuple):
    """The newest entry and its time in microseconds."""

    seq: int
    note: bytes
    time: int


async def read_keyring(store: Store, newest: int) -> Keyring:
    """Make the registry from the ledger's key entries up to the one at seq `newest`.

    Raises `Invalid` or `KeyChangeRefused` where one does not verify.
    """
    return keyring_of(await store.key_entries(newest))


def keyring_of(key_entries: list[StoredEntry]) -> Keyring:
    """The registry that these key entries, in order of seq, make; see `read_keyring`."""
    genesis, *changes = key_entries or [StoredEntry.missing(0)]
    body = decode_body(genesis.parts.body or b"").body
    if genesis.seq != 0 or not isinstance(body, Genesis):
        raise Invalid("genesis", "is not entry 0")
    keyring = Keyring(body)
    signed_body(genesis, keyring)
    for stored in changes:
        _change_key(stored, keyring)
    return keyring


async def read_known(store: Store, keyring: Keyring, newest: int, cache_accounts_max: int) -> Known:
    """What a writer must know as of the entry at seq `newest`; raises `Invalid` where that does not verify."""
    stored = await store.terms_entry(newest)
    terms = DEFAULT_TERMS if stored is None else verified_terms(stored, keyring)
    known = Known(keyring, terms, await read_tree(store, newest + 1), cache_accounts_max)
    known.terms_seq = 0 if stored is None else stored.seq
    return known


async def read_tree(store: Store, size: int) -> Tree:
    """The tree over the first `size` entries; raises `Invalid` where entries or tiles of its right edge are missing."""
    return Tree.from_stored(size, await store.edges(size))


async def follow(store: Store, known: Known, head: Head, newer: list[tuple[int, bytes]]) -> Head:
    """Follow the chain from our head to the newest entry, taking changes of keys and terms in; give the new head.

    `newer` are the (seq, note) from our head on, that one included. The hash chain is checked link by link, and the
    newest entry's signature, which stands for all before it. Raises `Fault` where this is not our history any more.
    """
    if not newer or newer[0] != (head.seq, head.note):
        raise Fault(f"entry {head.seq} is not the one this process knows: the ledger was swapped or rewritten")
    tree = known.tree.copy()
    try:
        for seq, note in newer[1:]:
            head = await _follow_one(store, known, head, seq, note)
            tree.append(leaf_hash(note))
        signed_entry(await store.entry(head.seq), known.keyring)
    except (Invalid, Refusal) as error:
        raise Fault(f"what another process wrote after entry {newer[0][0]} does not verify: {error}") from error
    known.tree = tree  # not before: what is in it is published
    return head


async def _follow_one(store: Store, known: Known, head: Head, seq: int, note: bytes) -> Head:
    entry = decode_entry(note).entry
    if entry.seq != seq or seq != head.seq + 1 or entry.prev != leaf_hash(head.note):
        raise Invalid("prev", f"of entry {seq} is not the entry before it")
    if entry.kind in _REGISTRY_KINDS:
        _tell(_change_key(await store.entry(seq), known.keyring), seq)
    elif entry.kind == Terms.KIND:
        known.terms, known.terms_seq = verified_terms(await store.entry(seq), known.keyring), seq
        log.info("terms_changed", seq=seq)
    return Head(seq, note, entry.time)


def _tell(change: RegistryChange, seq: int) -> None:
    if isinstance(change, KeyChange):
        log.info("key_changed", op=change.op, role=change.role, whose=change.whose, kid=change.kid, seq=seq)
    elif isinstance(change, RootChange):
        log.info("root_changed", root_keys=len(change.root_keys), threshold=change.threshold, seq=seq)
    else:
        log.info("entries_attested", kid=change.kid, first=change.first, last=change.last, seq=seq)


def _change_key(stored: StoredEntry, keyring: Keyring) -> RegistryChange:
    change = signed_body(stored, keyring)
    if not isinstance(change, RegistryChange):
        raise KeyChangeRefused(f"entry {stored.seq} is not a key entry")
    keyring.check(change, stored.seq)
    keyring.apply(change, stored.seq)
    return change
