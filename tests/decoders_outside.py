"""What callers and people write, each with its decoder; and the table of all there are."""

import atexit
import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from signed_ledger.api.query import read_cursor, read_moment, read_query, write_cursor
from signed_ledger.audit.last_seen import LastSeen, Mark, read_last_seen, write_last_seen
from signed_ledger.checkpoints import vkey_of
from signed_ledger.cli.key_requests import Request as KeyRequest
from signed_ledger.cli.key_requests import read_request, write_request
from signed_ledger.cli.terms import decode_toml, encode_toml
from signed_ledger.daily.reconciling import Posting
from signed_ledger.daily.scheme_file import OPTIONAL, REQUIRED, read_scheme_file
from signed_ledger.encoding import PART_BYTES_MAX, decode_evidence, decode_request, encode_evidence
from signed_ledger.errors import Malformed, Refusal
from signed_ledger.policy import Policy, decode_policy
from signed_ledger.records import (
    MESSAGES,
    Evidence,
    History,
    HttpRequest,
    KeyChange,
    RegisteredKey,
    Request,
    RootChange,
)
from signed_ledger.records.messages import MONEY
from signed_ledger.records.requests import ISO8583_ELEMENTS
from signed_ledger.schemes import READING, WEBHOOK, rfc9421, standard_webhooks
from signed_ledger.signing import SoftwareSigner, encode_public_pem, kid_of, read_public_key
from signed_ledger.signing.key_uri import parse_key_uri
from signed_ledger.trust import Trust, decode_trust, encode_trust
from tests.decoders import OF_THE_LEDGER, OF_THE_LOG, SIGNER, Decoder, bytes_of, one_form, one_meaning, text_of
from tests.decoders import checkpoints as log_checkpoints
from tests.receipting import WITNESSES
from tests.world import AUTHORITY, ORIGIN, START, Party, StandardParty

T = TypeVar("T")
CALLER, STANDARD = Party("visa", bytes(31) + b"1"), StandardParty("visa", bytes(31) + b"1")
KEY = RegisteredKey(CALLER.kid, "scheme", "visa", CALLER.signer.public_key, 0)
BODY_BYTES_MAX = 32_768
SALT = bytes(16)
QUERY = ("at", "from", "to", "limit", "cursor")
QUESTION = ("transactions", "card-1")


# --- webhook bodies ---


def webhook_bodies(kind: str) -> list[bytes]:
    example = {**MESSAGES[kind].example, "transaction_id": "t.1_-", "card_id": "c"}
    more = {"iso8583": {"37": "abc 12345678", "49": "978"}, "merchant_name": "Café 東京", "merchant_mcc": 5812}
    return [json.dumps(example).encode(), json.dumps({**example, **more}, ensure_ascii=False).encode()]


def write_request_body(request: Request) -> bytes:
    """A request as a Scheme could have sent it."""
    members: dict[str, Any] = {}
    for name in (field.name for field in fields(Request) if field.name != "type"):
        value = getattr(request, name)
        if value is None:
            continue
        if name in MONEY:
            members |= {f"{name}_amount": value.amount, f"{name}_currency": value.currency}
        elif name == "interchange":
            members["interchange_amount"] = value.amount
        elif name == "iso8583":
            members[name] = {number: text for number, text in zip(ISO8583_ELEMENTS, value, strict=True) if text}
        else:
            members[name] = value
    return json.dumps(members).encode()


# --- signed requests: a query, header fields, an empty line, the body ---


def http_request(data: bytes, method: str = "POST") -> HttpRequest:
    """Header fields as `incoming.as_signed` gives them: trimmed, several lines of one joined."""
    head, _, body = data.partition(b"\n\n")
    query, *lines = text_of(head).split("\n")
    given: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        given[name] = f"{given[name]}, {value}" if name in given else value
    return HttpRequest(method, given.get("host", "").lower(), "/authorisation", f"?{query}", given, body)


def http_bytes(request: HttpRequest) -> bytes:
    lines = "".join(f"\n{name}: {value}" for name, value in {**request.fields, "host": AUTHORITY}.items())
    return bytes_of(f"{request.query[1:]}{lines}\n\n") + request.body


def signed_requests(party: Party) -> list[bytes]:
    return [http_bytes(party.request("/authorisation", body, "evt_1", START)) for body in (b"{}", b"", b"x\n\ny" * 9)]


def said_yes(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """What was changed would never be signed right; how it is read is what is asked here."""
    return len(signature) == 64


def check_evidence_of(evidence: Evidence, reverify: Callable[..., None]) -> None:
    """It can be verified again from itself, and be kept."""
    reverify(evidence, KEY, verify_signature=said_yes)
    part = encode_evidence(evidence, SALT)
    assert decode_evidence(part) == evidence
    assert len(part) <= PART_BYTES_MAX or len(evidence.request.body) > BODY_BYTES_MAX


def check_webhook(data: bytes) -> None:
    """By RFC 9421."""
    find_key = {KEY.kid: KEY}.get
    asked: Any = {"coverage": WEBHOOK, "authorities": {AUTHORITY}, "verify_signature": said_yes}
    check_evidence_of(rfc9421.verify(http_request(data), find_key, START, **asked), rfc9421.reverify)


def check_read(data: bytes) -> None:
    find_key = {KEY.kid: KEY}.get
    asked: Any = {"coverage": READING, "authorities": {AUTHORITY}, "verify_signature": said_yes}
    rfc9421.verify(http_request(data, "GET"), find_key, START, **asked)


def check_standard(data: bytes) -> None:
    asked: Any = {"authorities": {AUTHORITY}, "verify_signature": said_yes}
    check_evidence_of(standard_webhooks.verify(http_request(data), [KEY], START, **asked), standard_webhooks.reverify)


def check_moment(data: bytes) -> None:
    """The store can ask for it: SQLite has no larger integers."""
    (value,) = read_moment(text_of(data), "at")
    assert abs(value) < 2**63


# --- files ---


@cache
def folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="signed-ledger-test-"))
    atexit.register(shutil.rmtree, made)
    return made


def in_file(read: Callable[[Path], T]) -> Callable[[bytes], T]:
    """The reader of a file as a decoder of bytes."""

    def decode(data: bytes) -> T:
        path = folder() / "read"
        path.write_bytes(data)
        return read(path)

    return decode


def out_of_file(write: Callable[[Path, T], None]) -> Callable[[T], bytes]:
    def encode(value: T) -> bytes:
        path = folder() / "written"
        write(path, value)
        return path.read_bytes()

    return encode


def policies() -> list[bytes]:
    witnesses = "".join(
        f"witness {name} {vkey_of(name, key.public_key, 4)} https://w\n" for name, key in WITNESSES.items()
    )
    log = f"log {vkey_of(ORIGIN, SIGNER.public_key)}\n"
    groups = f"# two\ngroup a any {' '.join(WITNESSES)}\ngroup b 1 a\nquorum b\n"
    return [f"{log}{witnesses}{groups}".encode(), b"quorum none\n"]


def write_policy(policy: Policy) -> bytes:
    def line(kind: str, words: list[str | None]) -> str:
        return " ".join([kind, *(word for word in words if word is not None)]) + "\n"

    logs = [line("log", [vkey_of(log.key.name, log.key.public_key), log.url]) for log in policy.logs]
    witnesses = [
        line("witness", [name, vkey_of(one.key.name, one.key.public_key, 4), one.url])
        for name, one in policy.witnesses.items()
    ]
    groups = [line("group", [name, str(one.threshold), *one.members]) for name, one in policy.groups.items()]
    return bytes_of("".join([*logs, *witnesses, *groups, f"quorum {policy.quorum}\n"]))


def trust_files() -> list[bytes]:
    keys = tuple(SoftwareSigner(bytes([number]) * 32).public_key for number in range(3))
    return [encode_trust(Trust(ORIGIN, keys, 2))]


def terms_files() -> list[bytes]:
    return [(Path(__file__).parents[1] / "docs" / "terms-example.toml").read_bytes(), b"window_days = 7\n"]


def scheme_files() -> list[bytes]:
    rows = ["presentment,t1,p1,1.00,EUR,0.0125", "refund,,r1,5,JPY,", "presentment,t2,,1.000,KWD,0.000000001"]
    header = ",".join((*REQUIRED, *OPTIONAL))
    return ["\r\n".join([header, *rows, ""]).encode(), f"\ufeff{header}\n{rows[0]}\n".encode()]


def read_postings(path: Path) -> list[Posting]:
    """Each line but for where it stands."""
    return [posting._replace(at=0) for posting in read_scheme_file(path)]


def write_postings(postings: list[Posting]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow((*REQUIRED, *OPTIONAL))
    for name, settlement, interchange, _ in postings:
        fee = "" if interchange is None else interchange.amount
        writer.writerow((*name, settlement.amount, settlement.currency, fee))
    return text.getvalue().encode()


def key_requests() -> list[bytes]:
    roots = tuple(SoftwareSigner(bytes([number]) * 32).public_key for number in range(3))
    changes = (
        KeyChange("add", "scheme", CALLER.kid, CALLER.signer.public_key, "visa", 4),
        KeyChange("revoke", "entry", kid_of(roots[0]), None, ORIGIN, 5, history=History(7, bytes(32))),
        RootChange(roots[:2], 1, 6, History(9, bytes(32))),
    )
    requests = [KeyRequest(ORIGIN, roots, 2, changes), KeyRequest(ORIGIN, roots[:1], 1, changes[:1])]
    return [out_of_file(write_request)(request) for request in requests]


def marked(note: bytes, mark: Mark) -> bytes:
    path = folder() / "written"
    write_last_seen(path, note, mark, "2026-11-23T10:00:00.000000Z")
    return path.read_bytes()


def write_seen(seen: LastSeen | None) -> bytes:
    assert seen is not None
    return seen.note if seen.mark is None else marked(seen.note, seen.mark)


def seen_files() -> list[bytes]:
    note = log_checkpoints()[0]
    return [note, marked(note, Mark("ledger", (0, 3), 2))]


KEY_URIS = [
    b"pkcs11:token=ledger;object=entry;id=%01%ff;type=private?module-path=/usr/lib/x.so&pin-source=file:/pin",
    b"pkcs11:token=a%20b;serial=1;id=%00",
]

FROM_OUTSIDE = {
    **{
        f"{kind} webhook": Decoder(
            one_meaning(partial(decode_request, kind), write_request_body), partial(webhook_bodies, kind)
        )
        for kind, message in MESSAGES.items()
        if message.is_sent
    },
    "RFC 9421 webhook": Decoder(check_webhook, lambda: signed_requests(CALLER), (Refusal,)),
    "RFC 9421 read": Decoder(check_read, lambda: signed_requests(CALLER), (Refusal,)),
    "Standard Webhooks webhook": Decoder(check_standard, lambda: signed_requests(STANDARD), (Refusal,)),
    "query": Decoder(
        one_meaning(
            lambda data: read_query(text_of(data), QUERY),
            lambda read: ("?" + "&".join(f"{name}={quote(value)}" for name, value in read.items())).encode(),
        ),
        lambda: [b"?at=2026-11-23T10:00:00+01:00&limit=7", b"?cursor=%C3%A9&to=", b"?"],
        (Malformed,),
    ),
    "moment": Decoder(
        check_moment,
        lambda: [b"17", b"2026-11-23T10:00:00.123456+01:00", b"2026-02-28t23:59:59z"],
        (Malformed,),
    ),
    "cursor": Decoder(
        one_form(
            lambda data: read_cursor(text_of(data), QUESTION, 2), lambda place: write_cursor(place, QUESTION).encode()
        ),
        lambda: [write_cursor(place, QUESTION).encode() for place in ([0, 1], [7, 2**53 - 1])],
        (Malformed,),
    ),
    "policy": Decoder(one_meaning(decode_policy, write_policy), policies),
    "trust file": Decoder(one_meaning(decode_trust, encode_trust), trust_files),
    "terms file": Decoder(one_meaning(decode_toml, lambda terms: encode_toml(terms).encode()), terms_files),
    "settlement file": Decoder(one_meaning(in_file(read_postings), write_postings), scheme_files),
    "key request": Decoder(one_meaning(in_file(read_request), out_of_file(write_request)), key_requests),
    "last-seen file": Decoder(one_meaning(in_file(read_last_seen), write_seen), seen_files),
    "public key file": Decoder(
        one_meaning(in_file(read_public_key), encode_public_pem), lambda: [encode_public_pem(CALLER.signer.public_key)]
    ),
    "key URI": Decoder(
        one_meaning(lambda data: parse_key_uri(text_of(data), "here"), lambda uri: str(uri).encode()), lambda: KEY_URIS
    ),
}
DECODERS: dict[str, Decoder] = {**OF_THE_LEDGER, **OF_THE_LOG, **FROM_OUTSIDE}
