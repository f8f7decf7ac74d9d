"""A receipt is made from an entry, the key entries of its two keys, and the tiles of its proof. No more is read."""

from collections.abc import Collection

from signed_ledger.encoding import InclusionProof, KeyBody, Receipt, decode_body, decode_entry, encode_proof
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring, with_root_approvals
from signed_ledger.publishing.kept import Published
from signed_ledger.publishing.proofs import inclusion
from signed_ledger.receipts import check_receipt
from signed_ledger.records import Parts
from signed_ledger.sealing import open_part
from signed_ledger.signing import kid_of
from signed_ledger.store import Reader, StoredEntry
from signed_ledger.trust import Trust


async def make_receipt(
    reader: Reader, keyring: Keyring, stored: StoredEntry, published: Published, shown: Collection[str]
) -> Receipt:
    """Prove `stored` under a checkpoint that covers it, showing the parts of these names that it has.

    What this gives verifies: raises `Invalid`, saying why, where what is stored does not.
    """
    seq, size = stored.seq, published.size
    if stored.note is None:
        raise Invalid("entry", f"{seq} is not there")
    proof = InclusionProof(seq, await inclusion(reader, seq, size), published.cosigned)
    parts = Parts(*(data if name in shown else None for name, data in stored.parts._asdict().items()))
    keys = await _key_bodies(reader, keyring, seq, size)
    receipt = Receipt(seq, keyring.origin, stored.note, parts, encode_proof(proof), keys)
    first = keyring.root_sets[0]
    checked = check_receipt(receipt, Trust(keyring.origin, first.keys, first.threshold))
    if checked.fault is not None:
        raise Invalid("receipt", f"of entry {seq} does not verify: step {checked.fault.step}: {checked.fault.sentence}")
    return receipt


async def _key_bodies(reader: Reader, keyring: Keyring, seq: int, size: int) -> tuple[KeyBody, ...]:
    """The bodies that introduced the entry key valid at `seq` and the checkpoint key valid at `size`, by version.

    With those that changed the root keys before the later of the two: they lead to who approved it.
    """
    found = [keyring.find(kid_of(key)) for key in (keyring.entry_key_at(seq), keyring.checkpoint_key_at(size))]
    introduced = {max(key.valid_from - 1, 0) for key in found if key is not None}
    root_changes = {one.seq for one in keyring.root_sets if 0 < one.seq < max(introduced)}
    return tuple([await _key_body(reader, keyring, at) for at in sorted(introduced | root_changes)])


async def _key_body(reader: Reader, keyring: Keyring, seq: int) -> KeyBody:
    stored = await reader.entry(seq)
    if stored.note is None:
        raise Invalid("entry", f"{seq} is not there")
    body = decode_body(open_part("body", decode_entry(stored.note).entry.body, stored.parts.body)).body
    if not isinstance(body, KeyBody):
        raise Invalid("body", f"entry {seq} is a {body.KIND}, and a key was said to come with it")
    return with_root_approvals(body, keyring.origin, keyring.roots_approving(seq))
