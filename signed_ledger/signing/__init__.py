"""Strict Ed25519, key names, and key files. Nothing outside this package touches a private key.

Floor 2: imports errors and records only. `cryptography` is met here alone.
"""

from signed_ledger.signing.ed25519 import (
    PublicKeyRefused,
    Signer,
    SoftwareSigner,
    check_public_key,
    kid_of,
    note_key_id,
    verify,
)

__all__ = ["PublicKeyRefused", "Signer", "SoftwareSigner", "check_public_key", "kid_of", "note_key_id", "verify"]
