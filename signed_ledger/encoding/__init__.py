"""Records <-> bytes, as docs/FORMAT.md has them. Strict both ways: for all that a decoder accepts, encoding what it
decoded gives the same bytes again."""

from signed_ledger.encoding.bodies import (
    SALT_BYTES,
    Salted,
    approval_digest,
    decode_body,
    decode_state,
    encode_body,
    encode_state,
    members_of,
)
from signed_ledger.encoding.checkpoints import (
    CHECKPOINT_BYTES_MAX,
    COSIGNATURE,
    ED25519,
    Cosignature,
    SignedCheckpoint,
    VerifierKey,
    cosigned_text,
    decode_checkpoint,
    decode_cosignature,
    decode_vkey,
    encode_checkpoint_text,
    encode_cosignature,
    encode_vkey,
)
from signed_ledger.encoding.entries import (
    PART_BYTES_MAX,
    VERSION,
    SignedEntry,
    decode_entry,
    encode_entry_note,
    encode_entry_text,
    entry_key_name,
)
from signed_ledger.encoding.evidence import decode_evidence, encode_evidence
from signed_ledger.encoding.notes import Note, NoteSignature, decode_note, encode_note, encode_signature
from signed_ledger.encoding.proofs import (
    AddCheckpoint,
    InclusionProof,
    decode_add_checkpoint,
    decode_proof,
    encode_add_checkpoint,
    encode_proof,
)
from signed_ledger.encoding.requests import decode_request
from signed_ledger.encoding.settlements import encode_sum, settlement_csv
from signed_ledger.encoding.terms import decode_terms, encode_terms
from signed_ledger.encoding.text import decode_base64, decode_time, encode_base64, encode_json, encode_time
from signed_ledger.encoding.transactions import encode_totals

__all__ = [
    "CHECKPOINT_BYTES_MAX",
    "COSIGNATURE",
    "ED25519",
    "PART_BYTES_MAX",
    "SALT_BYTES",
    "VERSION",
    "AddCheckpoint",
    "Cosignature",
    "InclusionProof",
    "Note",
    "NoteSignature",
    "Salted",
    "SignedCheckpoint",
    "SignedEntry",
    "VerifierKey",
    "approval_digest",
    "cosigned_text",
    "decode_add_checkpoint",
    "decode_base64",
    "decode_body",
    "decode_checkpoint",
    "decode_cosignature",
    "decode_entry",
    "decode_evidence",
    "decode_note",
    "decode_proof",
    "decode_request",
    "decode_state",
    "decode_terms",
    "decode_time",
    "decode_vkey",
    "encode_add_checkpoint",
    "encode_base64",
    "encode_body",
    "encode_checkpoint_text",
    "encode_cosignature",
    "encode_entry_note",
    "encode_entry_text",
    "encode_evidence",
    "encode_json",
    "encode_note",
    "encode_proof",
    "encode_signature",
    "encode_state",
    "encode_sum",
    "encode_terms",
    "encode_time",
    "encode_totals",
    "encode_vkey",
    "entry_key_name",
    "members_of",
    "settlement_csv",
]
