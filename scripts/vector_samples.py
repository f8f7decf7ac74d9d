"""Records one by one, for make_vectors.py: every class, with what the small ledger does not have."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from signed_ledger.encoding import (
    encode_base64,
    encode_body,
    encode_entry_note,
    encode_entry_text,
    encode_state,
    encode_time,
    entry_key_name,
)
from signed_ledger.merkle import leaf_hash
from signed_ledger.money import BALANCE_MINOR_MAX, WIRE_MINOR_MAX, Money, format_minor
from signed_ledger.records import (
    ISSUER,
    ZERO_DIGEST,
    AccountId,
    Authorisation,
    AuthorisationRequest,
    Body,
    Entry,
    EntryRef,
    Genesis,
    JournalLine,
    KeyChange,
    Load,
    Opening,
    PartDigest,
    Presentment,
    State,
)
from signed_ledger.signing import SoftwareSigner, kid_of, note_key_id

Plain = Callable[[Any], Any]
TIME_MAX: Final = 253_402_300_799_999_999

AMOUNTS: Final = [
    *((minor, "EUR") for minor in (0, 1, -1, 5, 10, 99, 100, 1230, -1230, WIRE_MINOR_MAX, BALANCE_MINOR_MAX)),
    *((minor, "JPY") for minor in (0, 1, -1, 1230, -BALANCE_MINOR_MAX)),
    *((minor, "KWD") for minor in (0, 1, -1, 1230, -999)),
    *((minor, "CLF") for minor in (0, 1, 12345, -10000)),
]
TIMES: Final = [0, 1, 951_782_400_000_000, 1_795_428_000_000_000, 1_795_428_000_000_001, TIME_MAX]


def sample_bodies() -> list[tuple[str, Body]]:
    keys = [hashlib.sha256(bytes([number])).digest() for number in range(5)]
    request = AuthorisationRequest(
        "A.z_0-9", "c", "\u00e9\u0065\u0301 \U0001f37b \u2028 \ue000", "GBR", "0000", Money(0, "EUR"), Money(1, "CLF")
    )
    presentment = Presentment(
        "s", "W_0-", "t", "c", Money(0, "JPY"), Money(5, "KWD"), Money(0, "JPY"), EntryRef(2**53 - 1, ZERO_DIGEST)
    )
    extra: dict[str, Any] = {"transaction": Money(WIRE_MINOR_MAX, "KWD"), "presentment_id": "p" * 64}
    return [
        ("one root key, no approvals yet", Genesis("a", (keys[0],), 1, keys[1], keys[2])),
        (
            "a port, a path, two roots",
            Genesis("a-1.b:8080/x/~y", tuple(keys[:2]), 2, keys[2], keys[3], "a\n\n— b AAAA\n"),
        ),
        ("a key that ends", KeyChange("retire", "auditor", kid_of(keys[0]), keys[0], "x" * 64, 2**53 - 1)),
        ("an account of the Issuer", Opening(AccountId(ISSUER, "CLF"))),
        ("an account of an outsider", Opening(AccountId("external:bank", "JPY"))),
        ("the smallest load", Load("t", "c", Money(1, "KWD"))),
        ("the largest load", Load("t", "c", Money(WIRE_MINOR_MAX, "EUR"))),
        ("text beyond ASCII, not normalised", Authorisation("s", "w" * 128, request, "approved", "ok")),
        ("a decline", Authorisation("s", "w", replace(request, merchant_name='"\\/'), "declined", "card_not_found")),
        ("a presentment with all that is required", presentment),
        ("a presentment with all there is", replace(presentment, **extra)),
        ("a debit", JournalLine(0, 1, 1, "scheme:s", Money(-1, "EUR"))),
        ("a line of zero", JournalLine(7, 4, 4, ISSUER, Money(0, "JPY"))),
        ("the largest credit", JournalLine(7, 3, 4, "card:c", Money(BALANCE_MINOR_MAX, "KWD"))),
    ]


STATES: Final = [
    ("a new account", State(AccountId(ISSUER, "EUR"), 0, 0)),
    ("below zero, with a hold", State(AccountId("card:c", "KWD"), -1230, 1)),
    ("as much as can be", State(AccountId("scheme:s", "JPY"), BALANCE_MINOR_MAX, BALANCE_MINOR_MAX)),
]


def sample_entries(origin: str) -> list[tuple[str, Entry]]:
    body, state = PartDigest(hashlib.sha256(b"body").digest(), 1), PartDigest(hashlib.sha256(b"state").digest(), 65535)
    evidence = PartDigest(hashlib.sha256(b"evidence").digest(), 10000)
    return [
        ("a body alone", Entry(origin, "genesis", 0, ZERO_DIGEST, 0, body)),
        ("a state too", Entry(origin, "account", 10, body.sha256, 1, body, state)),
        ("evidence too", Entry(origin, "transaction", 999, body.sha256, 1_795_428_000_000_000, body, None, evidence)),
        ("all parts", Entry(origin, "journal", 2**53 - 1, body.sha256, TIME_MAX, body, state, evidence)),
    ]


def made_samples(signer: SoftwareSigner, origin: str, salts: Callable[[int], bytes], plain: Plain) -> dict[str, Any]:
    """The vectors of records.json; `plain` gives a record as JSON values, `signer` signs the entries."""
    bodies = [(about, body, encode_body(body, salts(16))) for about, body in sample_bodies()]
    states = [(about, state, encode_state(state, salts(16))) for about, state in STATES]
    return {
        "amounts": [
            {"minor": minor, "currency": currency, "text": format_minor(minor, currency)} for minor, currency in AMOUNTS
        ],
        "times": [{"microseconds": time, "text": encode_time(time)} for time in TIMES],
        "bodies": [told_part(about, plain(body), part) for about, body, part in bodies],
        "states": [told_part(about, plain(state), part) for about, state, part in states],
        "entries": [_told_entry(about, entry, signer, plain) for about, entry in sample_entries(origin)],
    }


def told_part(about: str, meaning: Any, part: bytes) -> dict[str, Any]:
    """A part, what it means, and what an entry would name."""
    digest = encode_base64(hashlib.sha256(part).digest())
    return {"about": about, "meaning": meaning, "part": part.decode(), "sha256": digest, "bytes": len(part)}


def _told_entry(about: str, entry: Entry, signer: SoftwareSigner, plain: Plain) -> dict[str, Any]:
    text = encode_entry_text(entry)
    key_id = note_key_id(entry_key_name(entry.origin), signer.public_key)
    note = encode_entry_note(text, entry.origin, key_id, signer.sign(text))
    return {
        "about": about,
        "meaning": plain(entry),
        "text": text.decode(),
        "key_id": key_id.hex(),
        "note": note.decode(),
        "leaf": encode_base64(leaf_hash(note)),
    }
