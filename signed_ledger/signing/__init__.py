"""Strict Ed25519, key names and key files. `cryptography` and libsodium are met here alone."""

from signed_ledger.signing.ed25519 import (
    PublicKeyRefused,
    Signer,
    SoftwareSigner,
    check_public_key,
    kid_of,
    note_key_id,
    verify,
)
from signed_ledger.signing.files import (
    KeyFileRefused,
    KeyFolder,
    encode_public_pem,
    read_private_key,
    read_public_key,
    write_private_key,
)

__all__ = [
    "KeyFileRefused",
    "KeyFolder",
    "PublicKeyRefused",
    "Signer",
    "SoftwareSigner",
    "check_public_key",
    "encode_public_pem",
    "kid_of",
    "note_key_id",
    "read_private_key",
    "read_public_key",
    "verify",
    "write_private_key",
]
