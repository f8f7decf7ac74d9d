"""A Scheme's webhooks: from a request to the ledger's answer."""

from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from signed_ledger.api.answers import decision
from signed_ledger.api.incoming import as_signed, check_media_type, read_body
from signed_ledger.api.signatures import Signatures
from signed_ledger.config import Settings
from signed_ledger.encoding import decode_request
from signed_ledger.errors import Invalid, KeyRevoked, Malformed
from signed_ledger.ledger import Decider, Webhook
from signed_ledger.records import Request
from signed_ledger.records.messages import MONEY
from signed_ledger.schemes import webhook_id


class Webhooks:
    """What a Scheme may send, one path for each type of message, checked in docs/API.md's order."""

    def __init__(self, ledger: Decider, signatures: Signatures, settings: Settings) -> None:
        self._ledger = ledger
        self._signatures = signatures
        self._body_bytes_max = settings.body_bytes_max
        self._body_timeout_s = settings.body_timeout_s
        self._currencies = frozenset(settings.currencies)

    def handler(self, kind: str) -> Handler:
        """The handler of messages of type `kind`."""
        return partial(self._take, kind)

    async def _take(self, kind: str, request: web.Request) -> web.Response:
        """Answer a webhook once its decision is on disk; every refusal but the ledger's own is raised before it."""
        body = await read_body(request, self._body_bytes_max, self._body_timeout_s)
        self._ledger.check_room()  # before the signature: under overload, what is refused must cost next to nothing
        check_media_type(request)
        signed = as_signed(request, body)
        scheme, evidence = await self._signatures.verify_webhook(signed)
        asked = self._decode(kind, body)
        webhook = Webhook(scheme, webhook_id(evidence.request), asked, evidence)
        try:
            return decision(await self._ledger.decide(webhook))
        except KeyRevoked:  # by another process, since it was verified: it may be signed by the key's successor, too
            _, evidence = await self._signatures.verify_webhook(signed)
            return decision(await self._ledger.decide(webhook._replace(evidence=evidence)))

    def _decode(self, kind: str, body: bytes) -> Request:
        try:
            asked = decode_request(kind, body)
        except Invalid as error:
            raise Malformed(f"{error.field} {error.detail}.", field=error.field) from None
        if self._currencies:
            self._check_currencies(asked)
        return asked

    def _check_currencies(self, asked: Request) -> None:
        for name in MONEY:
            money = getattr(asked, name, None)
            if money is not None and money.currency not in self._currencies:
                field = f"{name}_currency"
                raise Malformed(f"{field} {money.currency} is not one that is taken here.", field=field)
