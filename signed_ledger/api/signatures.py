"""Who asks: the caller's signature, and what the role of its key allows."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from signed_ledger.errors import KeyUnknown, RoleNotAllowed
from signed_ledger.ledger import Decider
from signed_ledger.records import Evidence, FindKey, HttpRequest, RegisteredKey
from signed_ledger.schemes import READING, WEBHOOK, Coverage, Unverified, verify
from signed_ledger.store import Reader

READING_ROLES: Final = ("operator", "auditor")
_CALLING_ROLES: Final = ("scheme", *READING_ROLES)


class Signatures:
    """Verifies callers by the ledger's key registry.

    `authorities` are the host names we answer for; `run_server` alone sets it anew, once it knows its port. Of the
    Schemes in `standard` only Standard Webhooks v1a counts, of all others only RFC 9421.
    """

    def __init__(
        self,
        ledger: Decider,
        reader: Reader,
        clock: Callable[[], int],
        authorities: frozenset[str],
        standard: frozenset[str],
    ) -> None:
        self.authorities = authorities
        self._standard = standard
        self._standard_keys = self._list_standard_keys if standard else None
        self._ledger = ledger
        self._reader = reader
        self._clock = clock

    async def verify_webhook(self, request: HttpRequest) -> tuple[str, Evidence]:
        """Give the name of the Scheme that signed, and the evidence. Raises the refusals of `schemes.verify`."""
        known = self._ledger.keyring.version
        try:
            evidence = self._verify(request, self._find_scheme_key, WEBHOOK)
        except (KeyUnknown, Unverified):  # its key may just have been registered, by another process
            await self.catch_up()
            if self._ledger.keyring.version == known:
                raise
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
        if await self._reader.key_changes() >= len(self._ledger.keyring.history):
            await self._ledger.look()

    def _verify(self, request: HttpRequest, find_key: FindKey, coverage: Coverage) -> Evidence:
        return verify(
            request,
            find_key,
            self._clock(),
            coverage=coverage,
            authorities=self.authorities,
            standard_keys=self._standard_keys,
        )

    def _find_scheme_key(self, kid: str) -> RegisteredKey | None:
        """Raises `KeyUnknown` for a key that may sign, but not so."""
        key = self._ledger.find_key(kid)
        if key is None or key.role != "scheme":
            return None
        if key.whose in self._standard:
            detail = f"The Scheme {key.whose} must sign by Standard Webhooks v1a here, and not by RFC 9421."
            raise KeyUnknown(detail, field="signature-input")
        return key

    def _list_standard_keys(self) -> list[RegisteredKey]:
        return [key for key in self._ledger.keyring if key.role == "scheme" and key.whose in self._standard]

    def _find_calling_key(self, kid: str) -> RegisteredKey | None:
        """The service's own keys sign no requests."""
        key = self._ledger.find_key(kid)
        return key if key is not None and key.role in _CALLING_ROLES else None
