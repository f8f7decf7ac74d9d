"""Ed25519 as docs/FORMAT.md has it: RFC 8032, cofactorless, canonical encodings only, no low-order points.

libsodium does the work (docs/adr/0004): it is the fastest at hand and refuses what OpenSSL lets through. What it does
and does not refuse is held by tests against that rule, written down again, on public vectors and made edge cases.
"""

import hashlib
from functools import lru_cache
from typing import Final, Protocol

from nacl import bindings
from nacl.exceptions import BadSignatureError

from signed_ledger.errors import Invalid

_SPKI_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""The DER SubjectPublicKeyInfo of an Ed25519 key, up to its 32 bytes (RFC 8410 section 4)."""


class PublicKeyRefused(Invalid):
    """Bytes that must not be registered as an Ed25519 public key."""


class Signer(Protocol):
    """Something that holds one private key: a file's here, a hardware module's elsewhere."""

    @property
    def public_key(self) -> bytes:
        """The raw 32-byte public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Give the 64-byte signature over `message`."""
        ...


class SoftwareSigner:
    """Signs with a private key held in memory, given as its 32-byte seed (RFC 8032 section 5.1.5)."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, seed: bytes) -> None:
        self.public_key, self._secret = bindings.crypto_sign_seed_keypair(seed)

    def sign(self, message: bytes) -> bytes:
        return bindings.crypto_sign(message, self._secret)[:64]


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is `public_key`'s (32 bytes) over `message`; wrong sizes are a plain no."""
    if len(signature) != 64 or len(public_key) != 32:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def check_public_key(public_key: bytes) -> bytes:
    """Give `public_key` back, or raise `PublicKeyRefused`: wrong size, not canonical, not a point, or of low order.

    To be called wherever a key is registered. A key of mixed order passes: libsodium's cofactorless equation makes its
    signatures as unambiguous as any (docs/FORMAT.md, Ed25519, strictly).
    """
    if len(public_key) != 32:
        raise PublicKeyRefused("public_key", "must be 32 bytes")
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    if y >= _P:
        raise PublicKeyRefused("public_key", "is not a canonical encoding of a point")
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if x_squared and pow(x_squared, (_P - 1) // 2, _P) != 1:
        raise PublicKeyRefused("public_key", "is not a point of the curve")
    if x_squared == 0 and public_key[31] & 0x80:
        raise PublicKeyRefused("public_key", "is not a canonical encoding of a point")
    if y in _LOW_ORDER_Y:
        raise PublicKeyRefused("public_key", "is of low order: anyone could sign with it")
    return public_key


def kid_of(public_key: bytes) -> str:
    """A key's full name: the hex SHA-256 of its DER SubjectPublicKeyInfo."""
    return hashlib.sha256(_SPKI_PREFIX + public_key).hexdigest()


@lru_cache(maxsize=256)
def note_key_id(name: str, public_key: bytes, algorithm: int = 0x01) -> bytes:
    """The 4-byte key id of a signed note's signature line (C2SP signed-note; 0x01 is plain Ed25519)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key).digest()[:4]


_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ORDER_8_Y: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_LOW_ORDER_Y: Final = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
"""The y of the curve's eight points of low order, in canonical form."""
