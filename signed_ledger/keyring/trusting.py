"""What a revoked key signed: trusted before the size of its revocation, and where its successor vouches for it."""

from collections.abc import Callable

from signed_ledger.errors import KeyChangeRefused
from signed_ledger.records import Attestation, RegisteredKey


class Revocations:
    """From which size on each revoked key is not trusted, and what was signed again since. In order of seq."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._attested: dict[str, list[tuple[int, Attestation]]] = {}
        self._trusted: set[int] | None = None  # the attestations that count, as far as asked

    def __bool__(self) -> bool:
        return bool(self.sizes)

    def revoke(self, kid: str, size: int) -> None:
        self.sizes[kid] = size
        self._trusted = None

    def attest(self, body: Attestation, seq: int) -> None:
        self._attested.setdefault(body.kid, []).append((seq, body))
        self._trusted = None

    def is_revoked_at(self, kid: str, seq: int) -> bool:
        """Whether what this key signed at `seq` is not to be trusted on its word."""
        return kid in self.sizes and seq >= self.sizes[kid]

    def is_trusted(self, kid: str, seq: int, signer_of: Callable[[int], str]) -> bool:
        """Whether what this key signed at `seq` counts; `signer_of` gives the kid that signed an entry."""
        return not self.is_revoked_at(kid, seq) or self._is_attested(kid, seq, self._attestations(signer_of))

    def _is_attested(self, kid: str, seq: int, trusted: set[int]) -> bool:
        return any(at in trusted and body.first <= seq <= body.last for at, body in self._attested.get(kid, ()))

    def _attestations(self, signer_of: Callable[[int], str]) -> set[int]:
        """Those that are trusted themselves. Each is about what came before it, so the newest is judged first."""
        if self._trusted is None:
            trusted: set[int] = set()
            for at in sorted((at for attested in self._attested.values() for at, _ in attested), reverse=True):
                if not self.is_revoked_at(kid := signer_of(at), at) or self._is_attested(kid, at, trusted):
                    trusted.add(at)
            self._trusted = trusted
        return self._trusted


def check_attestation(body: Attestation, seq: int, key: RegisteredKey | None, signer: RegisteredKey) -> None:
    """Raise `KeyChangeRefused` unless `body` may stand at `seq`, signed by `signer`, about `key`."""
    if key is None or key.revoked_at is None:
        raise KeyChangeRefused("only what a revoked key signed is signed again", field="kid")
    if signer.revoked_at is not None:
        raise KeyChangeRefused("the entry key in use is revoked itself; replace it first", field="kid")
    if key.role == "checkpoint":
        raise KeyChangeRefused("a checkpoint key signs no entries", field="kid")
    if body.first < key.revoked_at:
        raise KeyChangeRefused(f"what the key signed before {key.revoked_at} is trusted as it is", field="first")
    end = seq if key.valid_to is None else min(seq, key.valid_to)
    if body.last >= end:
        raise KeyChangeRefused(f"the key signed nothing from {end} on", field="last")
    if key.role == "entry" and body.first < key.valid_from:
        raise KeyChangeRefused(f"the key signed nothing before {key.valid_from}", field="first")
