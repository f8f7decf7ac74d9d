"""A Scheme that signs requests with `scripts/send_webhook.py`, and what an Issuer knows of it. For the tests."""

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signed_ledger.records import Evidence, HttpRequest, RegisteredKey
from signed_ledger.schemes import WEBHOOK, Coverage, verify

_spec = importlib.util.spec_from_file_location(
    "send_webhook", Path(__file__).parents[1] / "scripts" / "send_webhook.py"
)
assert _spec is not None
assert _spec.loader is not None
send_webhook: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(send_webhook)

NOW = 1_795_000_000
URL = "https://issuer.example/authorisation?batch=7"
BODY = b'{"transaction_id": "tx-1"}'
SCHEME, SUCCESSOR, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
OURS = {"issuer.example"}


def registered(private: Ed25519PrivateKey, valid_to: int | None = None) -> RegisteredKey:
    kid = send_webhook.kid_of(private)
    return RegisteredKey(kid, "scheme", "visa", private.public_key().public_bytes_raw(), 1, valid_to)


def as_request(headers: Mapping[str, str], method: str = "POST", body: bytes = BODY) -> HttpRequest:
    fields = {"host": "issuer.example", **{name.lower(): value for name, value in headers.items()}}
    return HttpRequest(method, "issuer.example", "/authorisation", "?batch=7", fields, body)


def signed(private: Ed25519PrivateKey = SCHEME, **options: Any) -> HttpRequest:
    return as_request(send_webhook.sign_request(private, "POST", URL, BODY, "evt-1", created=NOW, **options))


def with_fields(request: HttpRequest, **fields: str) -> HttpRequest:
    return replace(request, fields={**request.fields, **{name.replace("_", "-"): fields[name] for name in fields}})


def check(
    request: HttpRequest, *keys: RegisteredKey, received: int = NOW * 10**6, coverage: Coverage = WEBHOOK
) -> Evidence:
    known = {key.kid: key for key in keys or [registered(SCHEME)]}
    return verify(request, known.get, received, coverage=coverage, authorities=OURS)
