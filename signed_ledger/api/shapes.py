"""JSON schemas of what is sent and answered, with an example each. Tests hold every real answer against them."""

from typing import Any, Final

from signed_ledger.api.query import SEQ as SEQ_PATTERN
from signed_ledger.api.query import TIME
from signed_ledger.errors import Refusal
from signed_ledger.records import Entry
from signed_ledger.records.names import KEY_ROLES, KID
from signed_ledger.records.names import NAME as NAME_PATTERN
from signed_ledger.records.names import WEBHOOK_ID as WEBHOOK_ID_PATTERN

Shape = dict[str, Any]


def _text(about: str = "", **more: Any) -> Shape:
    return {"type": "string", **({"description": about} if about else {}), **more}


def _matching(pattern: str, about: str = "", **more: Any) -> Shape:
    return _text(about, pattern=f"^(?:{pattern})$", **more)


def _object(about: str, required: Shape, optional: Shape | None = None, **more: Any) -> Shape:
    return {
        "type": "object",
        "description": about,
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
        **more,
    }


def _list(items: Shape, about: str) -> Shape:
    return {"type": "array", "items": items, "description": about}


def ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


NAME: Final = _matching(NAME_PATTERN.pattern)
WEBHOOK_ID: Final = _matching(WEBHOOK_ID_PATTERN.pattern)
CURRENCY: Final = _matching("[A-Z]{3}", examples=["EUR"])
SEQ: Final[Shape] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
MOMENT: Final = _matching(f"{SEQ_PATTERN.pattern}|{TIME.pattern}", examples=["2026-11-23T10:00:00Z", "17"])

_AMOUNT_SENT: Final[Shape] = {
    "type": ["string", "number"],
    "description": "Read exactly; not negative; no more decimals than the currency has; less than 10^15 minor units.",
    "examples": ["12.30"],
}
_AMOUNT: Final = _matching(r"-?[0-9]+(\.[0-9]+)?", "With exactly the currency's decimals.")
_TIME_SHOWN: Final = _text(format="date-time")
_BASE64: Final = _text(contentEncoding="base64")


def _money(name: str, amount: Shape) -> Shape:
    return {f"{name}_amount": amount, f"{name}_currency": CURRENCY}


_MERCHANT: Final = {
    "merchant_name": _text("1 to 100 characters, none of them control characters.", minLength=1, maxLength=100),
    "merchant_country": _matching("[A-Z]{2,3}", "ISO 3166-1, alpha-2 or alpha-3."),
    "merchant_mcc": {"type": ["string", "integer"], "description": "4 digits.", "examples": ["5812"]},
}
_SENT: Final[dict[str, Shape]] = {
    "AuthorisationRequest": _object(
        "What a Scheme asks. Unknown fields are refused, and so is null.",
        {
            "transaction_id": NAME,
            "card_id": NAME,
            **_MERCHANT,
            **_money("billing", _AMOUNT_SENT),
            **_money("transaction", _AMOUNT_SENT),
        },
    ),
    "PresentmentRequest": _object(
        "What a Scheme clears. What is given of the authorisation's fields must match it.",
        {"transaction_id": NAME, **_money("settlement", _AMOUNT_SENT)},
        {
            "card_id": NAME,
            **_MERCHANT,
            **_money("billing", {**_AMOUNT_SENT, "description": "What is billed to the card. Default: the open hold."}),
            **_money("transaction", _AMOUNT_SENT),
            "presentment_id": {**NAME, "description": "The Scheme's name for this clearing."},
            "final": {"const": True, "description": "Only true is taken."},
        },
        dependentRequired={
            f"{name}_{one}": [f"{name}_{other}"]
            for name in ("billing", "transaction")
            for one, other in (("amount", "currency"), ("currency", "amount"))
        },
    ),
}

_RECORD: Final = {"seq": SEQ, "time": _TIME_SHOWN}
_ANY_TRANSACTION: Final = {
    **_RECORD,
    "kind": {"const": "transaction"},
    "transaction_id": NAME,
    "card_id": NAME,
    **_money("billing", _AMOUNT),
    "decision": {"enum": ["approved", "declined", "posted"]},
    "reason": {"enum": ["ok", "insufficient_funds", "card_not_found"]},
    "hold_change": _AMOUNT,
}
_BY_SCHEME: Final = {**_ANY_TRANSACTION, "scheme": NAME, "webhook_id": WEBHOOK_ID}
_BUILDS_ON: Final = _object("The authorisation's entry.", {"seq": SEQ, "leaf": _BASE64})
_RECORDS: Final[dict[str, Shape]] = {
    "Load": _object("Money put on a card by the Issuer.", {**_ANY_TRANSACTION, "type": {"const": "load"}}),
    "Authorisation": _object(
        "The Issuer's decision on an authorisation.",
        {
            **_BY_SCHEME,
            "type": {"const": "authorisation"},
            **_MERCHANT,
            **_money("transaction", _AMOUNT),
        },
    ),
    "Presentment": _object(
        "A clearing that was posted.",
        {
            **_BY_SCHEME,
            "type": {"const": "presentment"},
            "final": {"const": True},
            "builds_on": _BUILDS_ON,
            **_money("settlement", _AMOUNT),
        },
        {**_money("transaction", _AMOUNT), "presentment_id": NAME},
    ),
    "JournalLine": _object(
        "One debit (negative) or credit of one account.",
        {
            **_RECORD,
            "kind": {"const": "journal"},
            "batch": {**SEQ, "description": "The transaction that caused it."},
            "line": {"type": "integer", "minimum": 1},
            "lines": {"type": "integer", "minimum": 1},
            "account": _text(),
            "currency": CURRENCY,
            "amount": _AMOUNT,
        },
    ),
}
_ONE_TRANSACTION: Final[Shape] = {"oneOf": [ref("Load"), ref("Authorisation"), ref("Presentment")]}

_STOOD: Final = {
    "posted": {**_AMOUNT, "description": "The sum of the account's journal amounts."},
    "held": {**_AMOUNT, "description": "What open authorisations keep."},
    "available": {**_AMOUNT, "description": "posted - held."},
    "seq": {**SEQ, "description": "The entry whose signed state proves this."},
}
_UNOPENED: Final = {**SEQ, "type": ["integer", "null"], "description": "null: not open yet, and so at nothing."}
_BALANCE: Final = {"currency": CURRENCY, **_STOOD}
_NEXT_CURSOR: Final = {"type": ["string", "null"], "description": "Asks for the next page; null: there is none."}
_AT: Final = {**SEQ, "description": "The newest entry at the moment that was asked for."}
_ANSWERED: Final[dict[str, Shape]] = {
    "Decision": _object(
        "A decision, recorded and signed, on disk before this was sent.",
        {
            "transaction_id": NAME,
            "decision": _ANY_TRANSACTION["decision"],
            "reason": _ANY_TRANSACTION["reason"],
            "seq": {**SEQ, "description": "The entry's number."},
            "entry": _text("The signed note: the Issuer's signature on the decision."),
            "body": _text("The body whose digest the note names; its UTF-8 are the bytes."),
        },
    ),
    "Balance": _object("One account's amounts.", _BALANCE),
    "Accounts": _object(
        "A card's accounts.", {"card_id": NAME, "at": _AT, "accounts": _list(ref("Balance"), "By currency.")}
    ),
    "Account": _object("One account.", {"card_id": NAME, "at": _AT, **_BALANCE}),
    "Transactions": _object(
        "One page of transactions.",
        {
            "transactions": _list(_ONE_TRANSACTION, "Newest first."),
            "next_cursor": _NEXT_CURSOR,
        },
    ),
    "OpeningBalance": _object("What an account stood at before a page.", {**_STOOD, "seq": _UNOPENED}),
    "ClosingBalance": _object("What it stood at after that page.", _STOOD),
    "Movement": _object(
        "A journal line on the account, and the balance after it.",
        {
            "seq": {**SEQ, "description": "The line's entry, whose signed state proves the balance."},
            "time": _TIME_SHOWN,
            "batch": {**SEQ, "description": "The transaction that caused it."},
            "type": _text("That transaction's type."),
            "transaction_id": NAME,
            "amount": _AMOUNT,
            "balance": {**_AMOUNT, "description": "posted after it."},
        },
        {"merchant_name": _MERCHANT["merchant_name"]},
    ),
    "Statement": _object(
        "One page of an account's movements, and what it stood at before and after.",
        {
            "card_id": NAME,
            "currency": CURRENCY,
            "from": {**SEQ, "description": "The first entry of the statement."},
            "to": {**SEQ, "description": "The first entry after it."},
            "opening": ref("OpeningBalance"),
            "movements": _list(ref("Movement"), "Oldest first."),
            "closing": ref("ClosingBalance"),
            "next_cursor": _NEXT_CURSOR,
        },
    ),
    "Transaction": _object(
        "A transaction and every entry about it.",
        {
            "transaction_id": NAME,
            "status": {"enum": ["PENDING", "DECLINED", "CLEARED", "POSTED"], "description": "POSTED: a load."},
            "entries": _list({"oneOf": [*_ONE_TRANSACTION["oneOf"], ref("JournalLine")]}, "Oldest first."),
        },
        {
            "scheme": {**NAME, "description": "Not of a load."},
            "card_id": NAME,
            "currency": CURRENCY,
            "held": {**_AMOUNT, "description": "What it keeps now."},
        },
    ),
    "Entry": _object(
        "An entry.",
        {
            "seq": SEQ,
            "kind": {"enum": list(Entry.KINDS)},
            "time": _TIME_SHOWN,
            "note": _text("The signed note, whole: the leaf of the ledger's tree."),
            "signed": _text("The part of the note that the signature is over."),
            "kid": _matching(KID.pattern, "The entry key that is valid here."),
            "parts": _object(
                "What the note's digests are of, as stored.", {"body": _text()}, {"state": _text(), "evidence": _text()}
            ),
            "decoded": _object(
                "The same, for people.",
                {"body": {"type": "object"}},
                {
                    "state": {"type": "object"},
                    "evidence": {"type": "object"},
                    "request": _text("The Scheme's body, as it came."),
                },
            ),
        },
    ),
    "Key": _object(
        "A registered key.",
        {
            "kid": _matching(KID.pattern, "The hex SHA-256 of its DER SubjectPublicKeyInfo."),
            "role": {"enum": list(KEY_ROLES)},
            "whose": _text(),
            "public_key": {**_BASE64, "description": "The 32 bytes of an Ed25519 public key."},
            "pem": _text("The same as SubjectPublicKeyInfo PEM."),
            "valid_from": SEQ,
            "valid_to": {"type": ["integer", "null"], "description": "null: still valid."},
        },
    ),
    "Registry": _object(
        "The key registry.",
        {
            "origin": _text("The ledger's name."),
            "threshold": {"type": "integer", "minimum": 1, "description": "How many root keys approve a key change."},
            "root_keys": _list(_BASE64, "The root public keys."),
            "keys": _list(ref("Key"), "In the order of their registration."),
        },
    ),
    "Health": _object("The process serves.", {"status": {"const": "ok"}}),
    "Readiness": _object("The service is ready.", {"status": {"const": "ok"}, "head": SEQ}),
    "Document": {"type": "object", "description": "OpenAPI 3.1."},
}


def _problem(refusals: list[type[Refusal]]) -> Shape:
    return _object(
        "Why a request was refused: RFC 9457.",
        {
            "type": _text("Where the code is explained.", format="uri-reference"),
            "title": _text(),
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"enum": [refusal.code for refusal in refusals]},
            "detail": _text("What is wrong with this request."),
            "retryable": {"type": "boolean", "description": "Whether the same request may do better later."},
        },
        {"field": _text("What is at fault.")},
    )


def all_shapes(refusals: list[type[Refusal]]) -> dict[str, Shape]:
    """Every schema by name; `refusals` are those whose codes a problem may have."""
    return {**_SENT, **_ANSWERED, **_RECORDS, "Problem": _problem(refusals)}
