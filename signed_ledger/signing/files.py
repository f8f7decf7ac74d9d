"""Key files: PKCS#8 and SubjectPublicKeyInfo PEM. Private ones are mode 0600; looser ones are refused."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from signed_ledger.disk import write_new_file
from signed_ledger.errors import Invalid
from signed_ledger.signing.ed25519 import PublicKeyRefused, SoftwareSigner, check_public_key, kid_of

PASSPHRASE_BYTES_MAX: Final = 1023
"""OpenSSL takes no longer ones."""


class KeyFileRefused(Invalid):
    """A key file that is missing, too open, or not what it should be; `field` is its path."""


class KeyFolder:
    """The folder of the Issuer's own private keys: `<role>/<kid>.pem`, for the roles root, entry and checkpoint.

    `passphrase` is asked once, and only when a file turns out to be encrypted or is to be written.
    """

    def __init__(self, path: Path, passphrase: Callable[[], bytes | None]) -> None:
        self.path = path
        self._passphrase = passphrase

    def create(self, role: str) -> SoftwareSigner:
        """Make a new key, on disk before it is given."""
        seed = os.urandom(32)
        signer = SoftwareSigner(seed)
        folder = self.path / role
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private_key(self._file(role, signer.public_key), seed, self._passphrase())
        return signer

    def signer(self, role: str, public_key: bytes) -> SoftwareSigner:
        """The signer of a known public key; raises `KeyFileRefused` where its file is missing, too open or wrong."""
        path = self._file(role, public_key)
        signer = read_private_key(path, self._passphrase)
        if signer.public_key != public_key:
            raise KeyFileRefused(str(path), "holds another key than its name says")
        return signer

    def held(self, role: str, public_keys: tuple[bytes, ...]) -> list[SoftwareSigner]:
        """The signers of those of `public_keys` whose files are here."""
        return [self.signer(role, key) for key in public_keys if self._file(role, key).exists()]

    def _file(self, role: str, public_key: bytes) -> Path:
        return self.path / role / f"{kid_of(public_key)}.pem"


def write_private_key(path: Path, seed: bytes, passphrase: bytes | None) -> None:
    """Write a new PKCS#8 PEM file of mode 0600, encrypted where a passphrase is given; an existing file is refused."""
    if passphrase and len(passphrase) > PASSPHRASE_BYTES_MAX:
        raise KeyFileRefused(str(path), f"can not be encrypted: the passphrase is over {PASSPHRASE_BYTES_MAX} bytes")
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    try:
        write_new_file(path, pem, mode=0o600)
    except FileExistsError:
        raise KeyFileRefused(str(path), "already exists") from None


def read_private_key(path: Path, passphrase: Callable[[], bytes | None]) -> SoftwareSigner:
    """Read a PKCS#8 PEM file; raise `KeyFileRefused` if others may read it, or it holds no Ed25519 key."""
    pem = _read_closed_file(path)
    encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem
    secret = passphrase() if encrypted else None
    try:
        key = serialization.load_pem_private_key(pem, secret)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        needed = "is encrypted: a passphrase is needed"
        wrong = needed if isinstance(error, TypeError) else "does not open with this passphrase"
        raise KeyFileRefused(str(path), wrong if encrypted else "is not a PKCS#8 PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileRefused(str(path), "is not an Ed25519 key")
    return SoftwareSigner(key.private_bytes_raw())


def _read_closed_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileRefused(str(path), "is not a file")
            if mode & 0o077:
                raise KeyFileRefused(str(path), f"has mode {stat.S_IMODE(mode):04o}; run: chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise KeyFileRefused(str(path), f"can not be read: {error.strerror}") from None


def read_public_key(path: Path) -> bytes:
    """Read a SubjectPublicKeyInfo PEM file; raise `KeyFileRefused` unless it is an Ed25519 key fit to be registered."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise KeyFileRefused(str(path), f"can not be read: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileRefused(str(path), "is not a PEM public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileRefused(str(path), "is not an Ed25519 key")
    try:
        return check_public_key(key.public_bytes_raw())
    except PublicKeyRefused as error:
        raise KeyFileRefused(str(path), f"holds a key that {error.detail}") from None


def encode_public_pem(public_key: bytes) -> bytes:
    """Write a raw public key as SubjectPublicKeyInfo PEM."""
    return Ed25519PublicKey.from_public_bytes(public_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
