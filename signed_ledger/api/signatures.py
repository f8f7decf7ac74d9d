"""Who asks: the caller's signature, and what the role of its key allows."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from signed_ledger.errors import KeyUnknown, RoleNotAllowed
from signed_ledger.ledger import Ledger
from signed_ledger.records import Evidence, FindKey, HttpRequest, RegisteredKey
from signed_ledger.schemes import READING, WEBHOOK, Coverage, verify
from signed_ledger.store import Reader

READING_ROLES: Final = ("operator", "auditor")
_CALLING_ROLES: Final = ("scheme", *READING_ROLES)


class Signatures:
    """Verifies callers by the ledger's key registry.

    `authorities` are the host names we answer for; `run_server` alone sets it anew, once it knows its port.
    """

    def __init__(self, ledger: Ledger, reader: Reader, clock: Callable[[], int], authorities: frozenset[str]) -> None:
        self.authorities = authorities
        self._ledger = ledger
        self._reader = reader
        self._clock = clock

    async def verify_webhook(self, request: HttpRequest) -> tuple[str, Evidence]:
        """Give the name of the Scheme that signed, and the evidence. Raises the refusals of `schemes.verify`."""
        try:
            evidence = self._verify(request, self._find_scheme_key, WEBHOOK)
        except KeyUnknown:  # it may just have been registered, by another process
            await self.catch_up()
            evidence = self._verify(request, self._find_scheme_key, WEBHOOK)
        key = self._ledger.find_key(evidence.kid)
        assert key is not None
        return key.whose, evidence

    async def verify_read(self, request: HttpRequest) -> None:
        """Raise a refusal of `schemes.verify`, or `RoleNotAllowed`, unless a reader's valid key signed this."""
        key = await self.verify_caller(request)
        if key.role not in READING_ROLES:
            raise RoleNotAllowed(
                f"Reading is for operators and auditors; this is a {key.role}'s key.", field="signature-input"
            )

    async def verify_caller(self, request: HttpRequest) -> RegisteredKey:
        """Give the key of whoever signed this to read, a Scheme's too. Raises the refusals of `schemes.verify`."""
        with suppress(KeyUnknown):  # it may just have been registered, by another process
            self._verify(request, self._find_calling_key, READING)
        # Of a webhook's key that was retired meanwhile the writer learns before it decides; of a reader's only here.
        await self.catch_up()
        evidence = self._verify(request, self._find_calling_key, READING)
        key = self._ledger.find_key(evidence.kid)
        assert key is not None
        return key

    async def catch_up(self) -> None:
        """Learn of key changes that other processes wrote. Looks at the store first: a look takes the write lock."""
        if await self._reader.key_changes() > self._ledger.keyring.version:
            await self._ledger.look()

    def _verify(self, request: HttpRequest, find_key: FindKey, coverage: Coverage) -> Evidence:
        return verify(request, find_key, self._clock(), coverage=coverage, authorities=self.authorities)

    def _find_scheme_key(self, kid: str) -> RegisteredKey | None:
        key = self._ledger.find_key(kid)
        return key if key is not None and key.role == "scheme" else None

    def _find_calling_key(self, kid: str) -> RegisteredKey | None:
        """The service's own keys sign no requests."""
        key = self._ledger.find_key(kid)
        return key if key is not None and key.role in _CALLING_ROLES else None
