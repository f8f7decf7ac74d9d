"""Key files: PKCS#8 and SubjectPublicKeyInfo PEM. Private ones are mode 0600; looser ones are refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from signed_ledger.disk import write_new_file
from signed_ledger.signing.closed_files import KeyFileRefused, read_closed_file
from signed_ledger.signing.ed25519 import PublicKeyRefused, Signer, SoftwareSigner, check_public_key, kid_of
from signed_ledger.signing.key_uri import KeyUri, parse_key_uri
from signed_ledger.signing.pkcs11 import HardwareSigner, generate_key

PASSPHRASE_BYTES_MAX: Final = 1023
"""OpenSSL takes no longer ones."""
IN_HARDWARE: Final = ".pkcs11"
"""How the name of a file ends that says where in a token a key is."""


class KeyFolder:
    """The folder of the Issuer's own private keys, for the roles root, entry and checkpoint.

    A key is in `<role>/<kid>.pem`, or in a token, of which `<role>/<kid>.pkcs11` holds the URI. `passphrase` is asked
    once, and only when a file turns out to be encrypted or is to be written, or a token wants its PIN and the URI names
    no file of it. `library` is the PKCS#11 library of URIs that name none.
    """

    def __init__(self, path: Path, passphrase: Callable[[], bytes | None], library: Path | None = None) -> None:
        self.path = path
        self._passphrase = passphrase
        self._library = library

    def create(self, role: str) -> SoftwareSigner:
        """Make a new key, on disk before it is given."""
        seed = os.urandom(32)
        signer = SoftwareSigner(seed)
        self._make(role)
        write_private_key(self._file(role, signer.public_key), seed, self._passphrase())
        return signer

    def create_in_token(self, role: str, token: KeyUri, where: str) -> HardwareSigner:
        """Make a new key in a token, and the file that says where it is. Raises `KeyFileRefused` naming `where`."""
        library = self._library_of(token, where)
        self._make(role)
        signer = generate_key(where, token, library, self._passphrase, f"signed-ledger {role}")
        try:
            path = self._file(role, signer.public_key).with_suffix(IN_HARDWARE)
            write_new_file(path, f"{signer.uri}\n".encode(), mode=0o600)
        except OSError:
            signer.destroy()
            raise
        return signer

    def signer(self, role: str, public_key: bytes) -> Signer:
        """The signer of a known public key; raises `KeyFileRefused` where its file is missing, too open or wrong."""
        path = self.find(role, public_key)
        signer = self.open(path)
        if signer.public_key != public_key:
            raise KeyFileRefused(str(path), "holds another key than its name says")
        return signer

    def open(self, path: Path) -> Signer:
        """The signer that one of the folder's files, of either kind, holds or names. Raises `KeyFileRefused`."""
        if path.suffix != IN_HARDWARE:
            return read_private_key(path, self._passphrase)
        uri = read_key_uri(path)
        return HardwareSigner(str(path), uri, self._library_of(uri, str(path)), self._passphrase)

    def find(self, role: str, public_key: bytes) -> Path:
        """The file of a key; that of a private key where there is none. Raises `KeyFileRefused` where there are two."""
        in_file = self._file(role, public_key)
        in_token = in_file.with_suffix(IN_HARDWARE)
        if not in_token.exists():
            return in_file
        if in_file.exists():
            raise KeyFileRefused(str(in_file), f"and {in_token} are one key in two places: take one of them away")
        return in_token

    def held(self, role: str, public_keys: tuple[bytes, ...]) -> list[Signer]:
        """The signers of those of `public_keys` whose files are here."""
        return [self.signer(role, key) for key in public_keys if self.find(role, key).exists()]

    def _file(self, role: str, public_key: bytes) -> Path:
        return self.path / role / f"{kid_of(public_key)}.pem"

    def _make(self, role: str) -> None:
        (self.path / role).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _library_of(self, uri: KeyUri, where: str) -> Path:
        library = uri.module or self._library
        if library is None:
            raise KeyFileRefused(where, "names no library by module-path, and no setting does")
        return library


def read_key_uri(path: Path) -> KeyUri:
    """Read the file of a key in a token. It names a library that runs in this process, so it is closed as a key is."""
    text = read_closed_file(path).decode(errors="replace").removesuffix("\n")
    uri = parse_key_uri(text, str(path))
    if not uri.names_a_key:
        raise KeyFileRefused(str(path), "names no key: object, id or both are needed")
    return uri


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
    pem = read_closed_file(path)
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
