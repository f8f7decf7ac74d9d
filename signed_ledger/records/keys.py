"""What the entries of the key registry say: who the ledger is, whom it trusts, and how that changes."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

from signed_ledger.errors import Invalid
from signed_ledger.records.names import (
    KEY_OPS,
    KEY_ROLES,
    KID,
    NAME,
    ORIGIN,
    PARTY_ROLES,
    SERVICE_ROLES,
    check_matches,
    check_natural,
    check_size,
)


class History(NamedTuple):
    """The first `size` entries, pinned by the hash of the Merkle tree over them."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """Entry 0: who the ledger is and whom it trusts. Keys are raw 32-byte Ed25519 public keys."""

    KIND: ClassVar[str] = "genesis"

    origin: str
    root_keys: tuple[bytes, ...]
    threshold: int
    entry_key: bytes
    checkpoint_key: bytes
    approvals: str = ""

    def __post_init__(self) -> None:
        if len(self.origin) > 200:
            raise Invalid("origin", "must be at most 200 characters")
        check_matches(ORIGIN, self.origin, "origin", "a URL without a scheme, such as issuer.example/ledger")
        for key in (*self.root_keys, self.entry_key, self.checkpoint_key):
            check_size(key, 32, "key")
        if len({*self.root_keys, self.entry_key, self.checkpoint_key}) != len(self.root_keys) + 2:
            raise Invalid("key", "each key has one role: the same key stands in genesis twice")
        _check_threshold(self.threshold, self.root_keys)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key that is added, or is no longer valid, from the next entry on; or not to be trusted from a size on.

    `next_kid` is the key that shall replace this one. A revocation names its key by the kid alone, since of one that is
    only pre-committed nothing else is known; `history` is up to where the key is still trusted.
    """

    KIND: ClassVar[str] = "key"

    op: str
    role: str
    kid: str
    public_key: bytes | None
    whose: str
    version: int
    approvals: str = ""
    next_kid: str | None = None
    history: History | None = None

    def __post_init__(self) -> None:
        if self.op not in KEY_OPS:
            raise Invalid("op", f"must be one of {', '.join(KEY_OPS)}")
        if (self.op == "revoke") is not (self.history is not None):
            raise Invalid("op", "revoke is what has at_size and root, and nothing else has")
        if self.role not in KEY_ROLES:
            raise Invalid("role", f"must be one of {', '.join(KEY_ROLES)}")
        check_matches(KID, self.kid, "kid", "64 hex digits")
        self._check_public_key()
        if self.role in PARTY_ROLES:
            check_matches(NAME, self.whose, "whose", "1 to 64 of A-Za-z0-9._-")
        else:
            check_matches(ORIGIN, self.whose, "whose", "the ledger's origin")
        check_natural(self.version, "version")
        self._check_next()
        if self.history is not None:
            _check_history(self.history, "at_size")

    def _check_public_key(self) -> None:
        if self.op != "revoke":
            check_size(self.public_key, 32, "public_key")
        elif self.public_key is not None:
            raise Invalid("public_key", "must not be there: a revocation names its key by the kid alone")

    def _check_next(self) -> None:
        if self.next_kid is None:
            return
        if self.op != "add" or self.role not in SERVICE_ROLES:
            raise Invalid("next", f"is for a key that is added as {' or '.join(SERVICE_ROLES)} key")
        check_matches(KID, self.next_kid, "next", "64 hex digits")
        if self.next_kid == self.kid:
            raise Invalid("next", "must be another key")

    @property
    def key(self) -> bytes:
        """The public key of an addition or a retirement."""
        assert self.public_key is not None
        return self.public_key


@dataclass(frozen=True, slots=True)
class RootChange:
    """Other root keys from the next entry on. They vouch for the ledger's `history` so far, where one is named."""

    KIND: ClassVar[str] = "root"

    root_keys: tuple[bytes, ...]
    threshold: int
    version: int
    history: History
    approvals: str = ""

    def __post_init__(self) -> None:
        for key in self.root_keys:
            check_size(key, 32, "root_keys")
        if len(set(self.root_keys)) != len(self.root_keys):
            raise Invalid("root_keys", "must not hold a key twice")
        _check_threshold(self.threshold, self.root_keys)
        check_natural(self.version, "version")
        _check_history(self.history, "size")


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the revoked key `kid` signed from seq `first` to `last` is honest: its successor vouches for it.

    `root` is the hash of the Merkle tree over all entries before this one.
    """

    KIND: ClassVar[str] = "attest"

    kid: str
    first: int
    last: int
    root: bytes

    def __post_init__(self) -> None:
        check_matches(KID, self.kid, "kid", "64 hex digits")
        check_natural(self.first, "first")
        check_natural(self.last, "last")
        if self.last < self.first:
            raise Invalid("last", "must not be before first")
        check_size(self.root, 32, "root")


RegistryChange: TypeAlias = KeyChange | RootChange | Attestation


def _check_threshold(threshold: object, root_keys: tuple[bytes, ...]) -> None:
    if type(threshold) is not int or not 1 <= threshold <= len(root_keys):
        raise Invalid("threshold", "must be from 1 to the number of root keys")


def _check_history(history: History, name: str) -> None:
    check_natural(history.size, name)
    check_size(history.root, 32, "root")
