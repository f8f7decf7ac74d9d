"""Strict Ed25519, key names, key files and keys in tokens. `cryptography`, libsodium and pkcs11 are met here alone."""

from signed_ledger.signing.closed_files import KeyFileRefused
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
    IN_HARDWARE,
    KeyFolder,
    encode_public_pem,
    read_key_uri,
    read_private_key,
    read_public_key,
    write_private_key,
)
from signed_ledger.signing.key_uri import KeyUri, parse_key_uri
from signed_ledger.signing.pkcs11 import MESSAGE_BYTES_MAX, HardwareSigner

__all__ = [
    "IN_HARDWARE",
    "MESSAGE_BYTES_MAX",
    "HardwareSigner",
    "KeyFileRefused",
    "KeyFolder",
    "KeyUri",
    "PublicKeyRefused",
    "Signer",
    "SoftwareSigner",
    "check_public_key",
    "encode_public_pem",
    "kid_of",
    "note_key_id",
    "parse_key_uri",
    "read_key_uri",
    "read_private_key",
    "read_public_key",
    "verify",
    "write_private_key",
]
