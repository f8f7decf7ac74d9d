"""Steps 3, 4 and 5: each entry by itself and in the chain, and its parts. Pure; Ed25519 is left to the caller.

A fault is told once, where it is: the chain goes on from the bytes that stand there, whatever they are.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from signed_ledger.audit.agreement import check_evidence
from signed_ledger.audit.erasing import Erasing
from signed_ledger.audit.opened import Check, Opened
from signed_ledger.audit.reading import Position
from signed_ledger.audit.registry import Registry
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.encoding import SignedEntry, decode_body, decode_entry, decode_evidence, decode_state
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import (
    PART_NAMES,
    ZERO_DIGEST,
    Attestation,
    Body,
    Entry,
    Genesis,
    KeyChange,
    PartDigest,
    RootChange,
)
from signed_ledger.sealing import check_key_id, open_part
from signed_ledger.signing import kid_of
from signed_ledger.tables import Row
from signed_ledger.trust import Trust


def _decode_body(data: bytes) -> Body:
    return decode_body(data).body


_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "body": _decode_body,
    "state": decode_state,
    "evidence": decode_evidence,
}
KEY_KINDS: Final = (Genesis.KIND, KeyChange.KIND, RootChange.KIND, Attestation.KIND)
"""The entries that make the key registry. Their bodies are published."""


class Opener:
    """Opens positions in order of seq."""

    def __init__(
        self,
        tally: Tally,
        trust: Trust | None,
        erasing: Erasing | None = None,
        bodies: Mapping[int, bytes] | None = None,
    ) -> None:
        """`bodies` are those of key entries by seq, where nothing else of the parts is to be had."""
        self._bodies = bodies
        self.registry = Registry(tally, trust)
        self.last: Opened | None = None
        self._tally = tally
        self._erasing = erasing or Erasing(tally)
        self._next_seq = 0
        self._prev: bytes | None = ZERO_DIGEST  # what the next entry must name; None where that is not known
        self._time = 0

    def resume(self, keys: list[Opened], last: Opened) -> None:
        """Go on after `last`, an entry verified before, with the key registry that these entries make."""
        assert last.entry is not None
        for opened in keys:
            self._learn_keys(opened, [])
        self.last, self._next_seq, self._prev, self._time = last, last.seq + 1, last.leaf, last.entry.time

    def open(self, position: Position) -> Opened:
        """Give what of the position is sound; what is not is a fault of the tally."""
        opened = Opened(position)
        notes, parts, *_ = position.rows
        if not position.has_entry:
            if notes or parts:
                self._fault(opened, "no entry can stand here" if notes else "has parts, but there is no entry")
            return opened
        signed = self._chain(opened, notes or [])
        if signed is not None:
            opened.entry = signed.entry
            self._open_parts(opened, parts or []) if self._bodies is None else self._open_key(opened, self._bodies)
        self._learn_keys(opened, parts or [])
        if signed is not None and self.registry.keyring is not None:
            self._check_signature(opened, signed)
            check_evidence(opened, self.registry, self._tally)
        self.last = opened
        return opened

    def _fault(self, opened: Opened, reason: str, step: Step = Step.ENTRIES) -> None:
        self._tally.fault(opened.seq, step, reason)

    # --- 3: form and place -----------------------------------------------------------------------------------------

    def _chain(self, opened: Opened, notes: list[Row]) -> SignedEntry | None:
        """The entry, if it is one that may stand here at all."""
        self._tally.checked[Step.ENTRIES] += 1
        self._check_gap(opened)
        if len(notes) > 1:
            self._fault(opened, f"stands {len(notes)} times in entries")
        note = notes[0][1]
        if type(note) is not bytes:
            self._prev = None
            self._fault(opened, "the entry is not a blob that can be an entry")
            return None
        opened.leaf = leaf_hash(note)
        prev, self._prev = self._prev, opened.leaf
        try:
            signed = decode_entry(note)
        except Invalid as error:
            self._fault(opened, f"the entry is malformed: {error}")
            return None
        return signed if self._is_in_place(opened, signed.entry, prev) else None

    def _check_gap(self, opened: Opened) -> None:
        first, self._next_seq = self._next_seq, opened.seq + 1
        if first == opened.seq:
            return
        opened.follows_gap = True
        self._prev = None
        last = opened.seq - 1
        which = f"entry {first} is" if first == last else f"entries {first} to {last} are"
        self._tally.fault(first, Step.ENTRIES, f"{which} missing")
        self.registry.found(None) if first == 0 else self.registry.change(first, None)

    def _is_in_place(self, opened: Opened, entry: Entry, prev: bytes | None) -> bool:
        keyring = self.registry.keyring
        if entry.seq != opened.seq:
            self._fault(opened, f"the entry that stands here says that it is {entry.seq}")
            return False
        if keyring is not None and entry.origin != keyring.origin:
            self._fault(opened, f"the entry is of another ledger, {entry.origin}")
            return False
        if (entry.kind == Genesis.KIND) != (entry.seq == 0):
            self._fault(opened, f"the entry is a {entry.kind} where none may stand")
        if prev is not None and entry.prev != prev:
            self._fault(opened, "the chain is broken: prev is not the leaf hash of the entry before")
        if entry.time < self._time:
            self._fault(opened, "time goes back")
        self._time = entry.time
        return True

    # --- 5: parts, and 3 again: that they are there ----------------------------------------------------------------

    def _open_key(self, opened: Opened, bodies: Mapping[int, bytes]) -> None:
        assert opened.entry is not None
        if opened.entry.kind in KEY_KINDS:
            opened.body = self._open_part(opened, "body", opened.entry.body, bodies.get(opened.seq))

    def _open_parts(self, opened: Opened, rows: list[Row]) -> None:
        entry = opened.entry
        assert entry is not None
        stored = dict(zip(PART_NAMES, rows[0][1:] if rows else (None, None, None), strict=True))
        gone = self._erasing.look(entry, stored)
        opened.erased_by = gone.get("body")
        if len(rows) > 1 or (not rows and opened.erased_by is None):
            self._fault(opened, f"stands {len(rows)} times in parts" if rows else "its parts are missing")
        if not rows and opened.erased_by is None:
            return
        for name in PART_NAMES:
            if name not in gone:
                setattr(opened, name, self._open_part(opened, name, getattr(entry, name), stored[name]))
        if opened.body is not None and entry.kind != opened.body.KIND:
            self._fault(opened, f"the body is of a {opened.body.KIND} entry, its entry a {entry.kind}", Step.PARTS)
            opened.body = None

    def _open_part(self, opened: Opened, name: str, digest: PartDigest | None, data: Any) -> Any:
        if digest is None and data is None:
            return None
        if digest is None:
            self._fault(opened, f"has a {name} that its entry does not name")
        elif data is None:
            self._fault(opened, f"its {name} is missing")
        elif type(data) is not bytes:
            self._fault(opened, f"its {name} is not a blob that can be one")
        else:
            self._tally.checked[Step.PARTS] += 1
            try:
                return _DECODERS[name](open_part(name, digest, data))
            except Invalid as error:
                self._fault(opened, f"the part is not what was signed: {error}", Step.PARTS)
        return None

    # --- 2 and 4: keys and the Issuer's signature ------------------------------------------------------------------

    def _learn_keys(self, opened: Opened, rows: list[Row]) -> None:
        if opened.entry is not None and opened.entry.kind not in KEY_KINDS:
            return
        body = opened.body if opened.body is not None else _claimed_body(rows)
        if opened.seq == 0:
            self.registry.found(body)
        elif not isinstance(body, Genesis):
            self.registry.change(opened.seq, body)

    def _check_signature(self, opened: Opened, signed: SignedEntry) -> None:
        keyring = self.registry.keyring
        assert keyring is not None
        self._tally.checked[Step.ISSUER] += 1
        key = keyring.entry_key_at(opened.seq)
        try:
            check_key_id(signed, key)
        except Invalid:
            reason = f"not signed by the one entry key valid here, {kid_of(key)[:16]}"
            self.registry.fault_of_key(opened.seq, Step.ISSUER, signed.key_id.hex(), reason)
        else:
            opened.is_signed = True
            opened.checks.append(Check(Step.ISSUER, (key, signed.text, signed.signature)))


def _claimed_body(rows: list[Row]) -> Body | None:
    """The body that stands there though its entry does not vouch for it: a key entry's own approvals might."""
    data = rows[0][1] if rows else None
    try:
        return _decode_body(data) if type(data) is bytes else None
    except Invalid:
        return None
