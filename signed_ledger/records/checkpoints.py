"""A checkpoint: how large the ledger's tree was, and its root hash then."""

from dataclasses import dataclass
from typing import Final

from signed_ledger.errors import Invalid
from signed_ledger.records.names import check_natural, check_size

ORIGIN_CHARACTERS_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of `size` entries of the log `origin` has the hash `root` (32 bytes). The log may be another's."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not 1 <= len(self.origin) <= ORIGIN_CHARACTERS_MAX or self.origin.split() != [self.origin]:
            raise Invalid("origin", f"must be 1 to {ORIGIN_CHARACTERS_MAX} characters without a space")
        check_natural(self.size, "size")
        check_size(self.root, 32, "root")
