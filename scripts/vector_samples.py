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
from signed_ledger.money import BALANCE_MINOR_MAX, WIRE_MINOR_MAX, Fee, Money, format_minor
from signed_ledger.records import (
    ISSUER,
    ZERO_DIGEST,
    AccountId,
    Attestation,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    Entry,
    EntryRef,
    FeeRate,
    Genesis,
    History,
    Iso8583,
    JournalLine,
    KeyChange,
    Load,
    Opening,
    PartDigest,
    Request,
    RootChange,
    Scope,
    SettledSum,
    Settlement,
    State,
    Terms,
    Tolerance,
    Totals,
    Window,
)
from signed_ledger.records.messages import AUTHORISATION_KINDS, FLAGS
from signed_ledger.records.terms import DAYS_MAX, MILLIONTHS_MAX
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
        *authorisation_bodies(),
        *later_bodies(),
        *issuer_bodies(),
        ("a debit", JournalLine(0, 1, 1, "scheme:s", Money(-1, "EUR"))),
        ("a line of zero", JournalLine(7, 4, 4, ISSUER, Money(0, "JPY"))),
        ("the largest credit", JournalLine(7, 3, 4, "card:c", Money(BALANCE_MINOR_MAX, "KWD"))),
    ]


def key_bodies() -> list[tuple[str, Body]]:
    """What release 0.3 added to the key registry."""
    keys = [hashlib.sha256(bytes([number])).digest() for number in range(5)]
    return [
        (
            "a key that commits to the next",
            KeyChange("add", "entry", kid_of(keys[0]), keys[0], "a", 1, "", next_kid=kid_of(keys[1])),
        ),
        (
            "a key that is revoked",
            KeyChange("revoke", "scheme", kid_of(keys[0]), None, "s", 2, "", history=History(3, keys[4])),
        ),
        ("other root keys", RootChange(tuple(keys[:3]), 2, 3, History(0, keys[4]))),
        ("what is signed again", Attestation(kid_of(keys[0]), 3, 2**53 - 1, keys[4])),
    ]


def authorisation_bodies() -> list[tuple[str, Body]]:
    """Authorisations at the edges of what may be, in both forms."""
    request = Request(
        "authorisation",
        transaction_id="A.z_0-9",
        card_id="c",
        merchant_name="\u00e9\u0065\u0301 \U0001f37b \u2028 \ue000",
        merchant_country="GBR",
        merchant_mcc="0000",
        billing=Money(0, "EUR"),
        transaction=Money(1, "CLF"),
    )
    elements = Iso8583("ABCDEFGHIJ 1", "      ", "990", None, "978")
    fullest = replace(request, authorisation_kind="pre_authorisation", iso8583=elements)
    nothing = Money(0, "EUR")
    body = CardTransaction(
        scheme="s",
        webhook_id="w" * 128,
        request=request,
        decision="approved",
        reason="ok",
        hold_change=nothing,
        totals=Totals(),
        expires=TIME_MAX,
        window_days=DAYS_MAX,
    )
    declined = replace(body, decision="declined", reason="card_blocked", totals=None, expires=None, window_days=None)
    quoted = replace(request, merchant_name='"\\/')
    return [
        ("text beyond ASCII, not normalised", body),
        ("an authorisation with all there is", replace(body, request=fullest)),
        ("a decline", replace(declined, reason="card_not_found", request=quoted)),
        ("a decline of a blocked card", declined),
        ("an approval in the form of release 0.1", body.in_first_form),
        ("a decline in the form of release 0.1", replace(declined, reason="insufficient_funds").in_first_form),
    ]


def later_bodies() -> list[tuple[str, Body]]:
    """What is about a transaction, with all that is required and with all there is."""
    yen = Money(0, "JPY")
    totals = Totals(authorised=5, incremented=1, reversed=2, expired=4, cleared=0, refunded=9, clearings=1, final=True)
    presentment = CardTransaction(
        scheme="s",
        webhook_id="W_0-",
        request=Request(
            "presentment", transaction_id="t", card_id="c", billing=yen, settlement=Money(5, "KWD"), final=True
        ),
        decision="posted",
        reason="ok",
        hold_change=yen,
        builds_on=EntryRef(2**53 - 1, ZERO_DIGEST),
        totals=totals,
    )
    asked = replace(
        presentment.request,
        transaction=Money(WIRE_MINOR_MAX, "KWD"),
        presentment_id="p" * 64,
        force_post=True,
        interchange=Fee((WIRE_MINOR_MAX + 1) * 10**6 - 1, "KWD"),
        iso8583=Iso8583(settlement_currency="414"),
    )

    def message(kind: str, decision: str = "posted", reason: str = "ok", **more: Any) -> CardTransaction:
        request = Request(kind, transaction_id="t", card_id="c", billing=yen, **more)
        webhook_id = None if kind == "expiry" else "w"
        return replace(presentment, request=request, decision=decision, reason=reason, webhook_id=webhook_id)

    alone = Request("refund", refund_id="r", card_id="c", billing=yen, settlement=yen, merchant_mcc="0742")
    far = replace(totals, authorised=BALANCE_MINOR_MAX, reversed=BALANCE_MINOR_MAX)
    return [
        ("a presentment with all that is required", presentment),
        ("a presentment with all there is", replace(presentment, request=asked, flags=FLAGS, expires=0)),
        ("a presentment in the form of release 0.1", presentment.in_first_form),
        ("a presentment that begins its transaction", replace(presentment, builds_on=None, flags=("forced",))),
        ("an increment", replace(message("increment", "approved"), window_days=1, expires=1)),
        (
            "an increment that is declined",
            replace(message("increment", "declined", "insufficient_funds"), totals=None),
        ),
        ("a reversal", message("reversal")),
        ("totals as large as can be", replace(message("reversal"), totals=far)),
        ("a refund of a transaction", message("refund", settlement=yen)),
        ("a refund of none", replace(message("refund", settlement=yen), request=alone, builds_on=None, totals=None)),
        ("an expiry", replace(message("expiry"), hold_change=Money(-4, "JPY"), expires=2)),
    ]


def issuer_bodies() -> list[tuple[str, Body]]:
    """Settlements, terms and cards."""
    one = SettledSum(
        gross=Money(WIRE_MINOR_MAX, "EUR"),
        refunds=Money(1, "EUR"),
        fees=Money(-2, "EUR"),
        net=Money(WIRE_MINOR_MAX - 3, "EUR"),
        result=Money(-1, "EUR"),
        interchange=Fee(2_999_999, "EUR"),
        count=3,
        first_seq=0,
        last_seq=2**53 - 1,
    )
    nothing = dict.fromkeys(("gross", "refunds", "fees", "net", "result"), Money(0, "KWD"))
    other = SettledSum(**nothing, interchange=Fee(-1, "KWD"), count=0, first_seq=1, last_seq=1)
    settlement = Settlement(scheme="s", date="2028-02-29", day_ends=TIME_MAX, is_complete=True, sums=(one, other))
    scope = Scope("s" * 64, AUTHORISATION_KINDS, ((0, 0), (1, 9999)))
    terms = Terms(
        1,
        (Window(scope, DAYS_MAX), Window(Scope(), 1)),
        (Tolerance(scope, MILLIONTHS_MAX, Money(0, "JPY")), Tolerance(Scope(), 1)),
        (FeeRate(scope, 150_000, Money(75_00, "USD")), FeeRate(Scope(mccs=((742, 742),)), 0)),
    )
    return [
        ("a settlement in two currencies", settlement),
        ("a settlement of nothing", replace(settlement, is_complete=False, day_ends=0, sums=())),
        ("terms with all there is", terms),
        ("terms of one window", Terms(DAYS_MAX)),
        ("a card that is bound", CardChange("bind", CardState("c", "s"))),
        ("a card that is blocked, and no Scheme's", CardChange("block", CardState("c" * 64, None, True), "é" * 200)),
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
    # After what was there before, whose salts then stay as they are.
    bodies += [(about, body, encode_body(body, salts(16))) for about, body in key_bodies()]
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
