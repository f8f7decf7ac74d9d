#!/usr/bin/env python3
"""A Scheme in one file: signs one webhook by RFC 9421, or by Standard Webhooks v1a, and sends it to an Issuer.

It shares no code with the Issuer's side and needs only the `cryptography` package, so that it also stands as an
example for a Scheme in any language. The part to copy is `sign_request`, or `sign_standard`, and what it calls.

Exit status: 0 the answer is 2xx, 1 another answer, 2 it could not be asked.
"""

import argparse
import base64
import hashlib
import http.client
import json
import re
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TAG = "signed-ledger"
DEFAULT_PORTS = {"http": 80, "https": 443}
ANSWER_HEADERS = ("Content-Type", "Idempotent-Replayed", "Retry-After")
ANSWER_BYTES_MAX = 1 << 20

KINDS = {
    "authorisation": "may this card spend this?",
    "increment": "may it spend this much more?",
    "reversal": "it will not spend this after all: an amount, or all of it",
    "presentment": "the money moved, or a part of it: post it",
    "refund": "the merchant gave money back: of a transaction, or of none that is named",
}
DEFAULTS = {
    "authorisation": {
        "card_id": "card-1",
        "merchant_name": "Demo Shop",
        "merchant_country": "NL",
        "merchant_mcc": "5411",
        "billing_amount": "12.30",
        "billing_currency": "EUR",
    },
    "increment": {"billing_amount": "5.00", "billing_currency": "EUR"},
    "reversal": {},
    "presentment": {"settlement_amount": "12.30", "settlement_currency": "EUR"},
    "refund": {"billing_amount": "12.30", "billing_currency": "EUR"},
}
DEFAULTS_BY_ITSELF = {"card_id": "card-1", "billing_amount": "12.30", "billing_currency": "EUR"}
"""What has to be said besides where no authorisation says it: a forced presentment, a refund of no transaction."""
LIKE_BILLING = {"authorisation": "transaction", "refund": "settlement"}
"""The amount that by default is the one that is billed."""
FIELDS = {
    "transaction_id": "default of authorisation and forced presentment: a new one",
    "card_id": "",
    "merchant_name": "",
    "merchant_country": "ISO 3166",
    "merchant_mcc": "ISO 18245",
    "billing_amount": "",
    "billing_currency": "ISO 4217",
    "transaction_amount": "default of authorisation: the billing amount",
    "transaction_currency": "default of authorisation: the billing currency",
    "settlement_amount": "default of refund: the billing amount",
    "settlement_currency": "default of refund: the billing currency",
    "authorisation_kind": "card_present, card_not_present, merchant_initiated, final or pre_authorisation",
    "presentment_id": "which of several presentments of the transaction this is",
    "refund_id": "which refund this is; default where no transaction is named: a new one",
    "interchange_amount": "in the settlement currency, exact: 0.0333",
}
FLAGS = {
    "final": "whether it is the transaction's last presentment",
    "force_post": "post the presentment though nothing was authorised",
}


class Unaskable(Exception):
    """The request can not be made or sent."""


def sign_request(
    private_key: Ed25519PrivateKey,
    method: str,
    url: str,
    body: bytes | None,
    webhook_id: str | None = None,
    *,
    created: int | None = None,
    expires: int | None = None,
    nonce: str | None = None,
    label: str = "sig",
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Give the headers to send with a request: a webhook, which has a body and an id, or a read, which has neither.

    `url` is absolute and percent-encoded. `created` (default: now) and `expires` are seconds since 1970 UTC. `extra`
    headers are signed too. Raises `ValueError` for a URL that can not be signed.
    """
    headers = {} if body is None else {"Content-Type": "application/json", "Content-Digest": content_digest(body)}
    if webhook_id is not None:
        headers["Webhook-Id"] = webhook_id
    headers.update(extra or {})
    names = ["@method", "@authority", "@path", "@query", *map(str.lower, headers)]
    params = "(" + " ".join(f'"{name}"' for name in names) + ")"
    params += f";created={int(time.time()) if created is None else created}"
    params += "" if expires is None else f";expires={expires}"
    params += "" if nonce is None else f';nonce="{nonce}"'
    params += f';keyid="{kid_of(private_key)}";tag="{TAG}"'
    headers["Signature-Input"] = f"{label}={params}"
    signature = private_key.sign(signature_base(method, url, headers).encode())
    headers["Signature"] = f"{label}=:{base64.b64encode(signature).decode()}:"
    return headers


def signature_base(method: str, url: str, headers: Mapping[str, str]) -> str:
    """Give the text that is signed (RFC 9421 section 2.5), of what Signature-Input, the only one, lists."""
    parts = split_url(url)
    values = {name.lower(): value for name, value in headers.items()} | {
        "@method": method,
        "@authority": authority(parts),
        "@path": parts.path or "/",
        "@query": f"?{parts.query}",
    }
    params = headers["Signature-Input"].partition("=")[2]
    names = re.findall(r'"([^"]+)"', params.partition(")")[0])
    return "".join(f'"{name}": {values[name]}\n' for name in names) + f'"@signature-params": {params}'


def sign_standard(
    private_key: Ed25519PrivateKey, body: bytes, webhook_id: str, *, timestamp: int | None = None
) -> dict[str, str]:
    """Give the headers to send with a webhook by Standard Webhooks v1a. `timestamp` (default: now) is seconds."""
    headers = {
        "Content-Type": "application/json",
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": str(int(time.time()) if timestamp is None else timestamp),
    }
    signature = private_key.sign(standard_message(headers, body))
    return {**headers, "Webhook-Signature": f"v1a,{base64.b64encode(signature).decode()}"}


def standard_message(headers: Mapping[str, str], body: bytes) -> bytes:
    """Give the bytes that Standard Webhooks v1a signs."""
    return f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body


def kid_of(private_key: Ed25519PrivateKey) -> str:
    """The key's name at the Issuer: the hex SHA-256 of its DER SubjectPublicKeyInfo."""
    spki = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def content_digest(body: bytes) -> str:
    """RFC 9530."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def split_url(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} is not percent-encoded")
    return parts


def authority(parts: SplitResult) -> str:
    """Host and port as RFC 9421 section 2.2.3 signs them: lower case, no default port."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f"{host}:{parts.port}"


def target(parts: SplitResult) -> str:
    """Path and query as the request line has them."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def load_key(key_file: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Read an Ed25519 private key from a PKCS#8 PEM file."""
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), passphrase)
    except (OSError, ValueError, TypeError) as wrong:
        raise Unaskable(f"{key_file}: {wrong}") from wrong
    if not isinstance(key, Ed25519PrivateKey):
        raise Unaskable(f"{key_file}: not an Ed25519 key")
    return key


def read_file(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as wrong:
        raise Unaskable(f"{name}: {wrong}") from wrong


def make_body(options: argparse.Namespace) -> bytes:
    """Give --body's bytes as they are, --json's text, or a body made of the field options and the defaults."""
    if options.body is not None:
        return read_file(options.body)
    if options.json is not None:
        return str(options.json).encode()
    return json.dumps(make_fields(options)).encode()


def make_fields(options: argparse.Namespace) -> dict[str, object]:
    given = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    fields = {**DEFAULTS[options.kind], **(DEFAULTS_BY_ITSELF if is_by_itself(options) else {}), **given}
    if options.kind == "authorisation" or options.force_post == "true":
        fields.setdefault("transaction_id", f"tx-{secrets.token_hex(8)}")
    if options.kind == "refund" and "transaction_id" not in fields:
        fields.setdefault("refund_id", f"rf-{secrets.token_hex(8)}")
    if like := LIKE_BILLING.get(options.kind):
        fields.setdefault(f"{like}_amount", fields["billing_amount"])
        fields.setdefault(f"{like}_currency", fields["billing_currency"])
    for money in ("billing", "transaction", "settlement"):
        if f"{money}_amount" in fields:
            fields.setdefault(f"{money}_currency", "EUR")
    flags = {name: getattr(options, name) == "true" for name in FLAGS if getattr(options, name) is not None}
    return {**fields, **flags, **({"iso8583": dict(options.de)} if options.de else {})}


def is_by_itself(options: argparse.Namespace) -> bool:
    """Whether no authorisation stands behind it that would say whose card it is, and how much."""
    return options.force_post == "true" or (options.kind == "refund" and options.transaction_id is None)


def send(
    url: str, headers: Mapping[str, str], body: bytes, timeout_seconds: float
) -> tuple[http.client.HTTPResponse, bytes]:
    """POST exactly these headers and this body; give the response and its body."""
    parts = split_url(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
    try:
        connection.request("POST", target(parts), body, {"Host": authority(parts), **headers})
        response = connection.getresponse()
        return response, response.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as wrong:
        raise Unaskable(f"{url}: {wrong or type(wrong).__name__}") from wrong
    finally:
        connection.close()


def show_request(url: str, headers: Mapping[str, str], body: bytes) -> None:
    parts = split_url(url)
    print(f"POST {target(parts)} HTTP/1.1\nHost: {authority(parts)}")
    print("\n".join(f"{name}: {value}" for name, value in headers.items()))
    print(f"\n{body.decode(errors='backslashreplace')}\n\n--- what is signed:")
    if "Signature-Input" in headers:
        print(signature_base("POST", url, headers))
    else:
        print(standard_message(headers, body).decode(errors="backslashreplace"))


def show_answer(response: http.client.HTTPResponse, answer: bytes) -> None:
    print(f"{response.status} {response.reason}")
    for name in ANSWER_HEADERS:
        if value := response.getheader(name):
            print(f"{name}: {value}")
    print(f"\n{answer.decode(errors='backslashreplace')}")


def make_parser() -> argparse.ArgumentParser:
    kinds = "".join(f"  {kind:<15}{what}\n" for kind, what in KINDS.items())
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Sign one webhook as a Scheme would (Ed25519), send it, and print the answer.\n\nkinds:\n{kinds}",
        epilog="Exit status: 0 the answer is 2xx, 1 another answer, 2 it could not be asked.\n"
        "A retry is the same --webhook-id with the same body.",
    )
    parser.add_argument("kind", choices=tuple(KINDS), metavar="KIND", help="one of the above")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the Issuer; default: %(default)s")
    parser.add_argument("--key", required=True, type=Path, metavar="PEM", help="the Scheme's private key, PKCS#8 PEM")
    parser.add_argument("--passphrase-file", metavar="FILE", help="its first line decrypts the key")
    parser.add_argument(
        "--profile",
        choices=("rfc9421", "v1a"),
        default="rfc9421",
        help="sign by RFC 9421, or by Standard Webhooks v1a; which one is agreed with the Issuer; default: %(default)s",
    )
    parser.add_argument("--webhook-id", help="the event's id; default: a new one")
    parser.add_argument("--dry-run", action="store_true", help="print the request and what is signed; send nothing")
    parser.add_argument("--timeout-seconds", type=float, default=10.0, help="default: %(default)s")
    body = parser.add_argument_group("the body", "one of these two, or of the fields below")
    whole = body.add_mutually_exclusive_group()
    whole.add_argument("--body", metavar="FILE", help="sent as it is; - is standard input")
    whole.add_argument("--json", metavar="TEXT", help="sent as it is")
    fields = parser.add_argument_group("fields of a body made here")
    for name, what in FIELDS.items():
        fields.add_argument(option(name), metavar="X", help="; ".join(filter(None, [what, shown_defaults(name)])))
    for name, what in FLAGS.items():
        fields.add_argument(option(name), choices=("true", "false"), help=what)
    fields.add_argument(
        "--de",
        action="append",
        type=data_element,
        metavar="NUMBER=VALUE",
        help="a data element of ISO 8583, 37, 38 or 49 to 51; once for each",
    )
    return parser


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def shown_defaults(name: str) -> str:
    """The values that a field has by default, each with the kinds that have it."""
    kinds: dict[str, list[str]] = {}
    for kind, defaults in DEFAULTS.items():
        if name in defaults:
            kinds.setdefault(defaults[name], []).append(kind)
    return "; ".join(f"default of {' and '.join(of)}: {value}" for value, of in kinds.items())


def data_element(text: str) -> tuple[str, str]:
    number, equals, value = text.partition("=")
    if not number.isdecimal() or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NUMBER=VALUE, such as 37=000000000001")
    return number, value


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser()
    options = parser.parse_args(arguments)
    made_here = options.body is None and options.json is None
    if not made_here and any(getattr(options, name) is not None for name in (*FIELDS, *FLAGS, "de")):
        parser.error("fields can not be given together with --body or --json")
    numbers = [number for number, _ in options.de or []]
    if len(set(numbers)) != len(numbers):
        parser.error("a data element is given twice")
    by_itself = options.kind == "authorisation" or is_by_itself(options)
    if made_here and not by_itself and options.transaction_id is None:
        parser.error(f"the --transaction-id of its authorisation is needed for the {options.kind}")
    return options


def ask(options: argparse.Namespace) -> int:
    passphrase = read_file(options.passphrase_file).partition(b"\n")[0] if options.passphrase_file else None
    key = load_key(options.key, passphrase)
    base = split_url(options.url)
    url = base._replace(path=f"{base.path.rstrip('/')}/{options.kind}").geturl()
    body = make_body(options)
    webhook_id = options.webhook_id or f"evt-{secrets.token_hex(12)}"
    if options.profile == "v1a":
        headers = sign_standard(key, body, webhook_id)
    else:
        headers = sign_request(key, "POST", url, body, webhook_id)
    if options.dry_run:
        show_request(url, headers, body)
        return 0
    response, answer = send(url, headers, body, options.timeout_seconds)
    show_answer(response, answer)
    return 0 if 200 <= response.status < 300 else 1


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        return ask(options)
    except (Unaskable, ValueError) as wrong:
        print(f"send_webhook: {wrong}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
