"""JSON schemas of what is answered, with an example each. Tests hold every real answer against them."""

from typing import Final

from signed_ledger.api.message_shapes import DECIDED, FIELDS, FLAGGED, ONE_TRANSACTION, RECORDS, RESPONSE_CODE, SENT
from signed_ledger.api.schema import (
    AMOUNT,
    BASE64,
    CURRENCY,
    NAME,
    SEQ,
    TIME_SHOWN,
    Shape,
    list_of,
    matching,
    object_of,
    ref,
    text,
)
from signed_ledger.errors import Refusal
from signed_ledger.records import PART_NAMES, Entry
from signed_ledger.records.names import KEY_ROLES, KID
from signed_ledger.records.states import STATUSES

_STOOD: Final = {
    "posted": {**AMOUNT, "description": "The sum of the account's journal amounts."},
    "held": {**AMOUNT, "description": "What open authorisations keep."},
    "available": {**AMOUNT, "description": "posted - held."},
    "seq": {**SEQ, "description": "The entry whose signed state proves this."},
}
_UNOPENED: Final = {**SEQ, "type": ["integer", "null"], "description": "null: not open yet, and so at nothing."}
_BALANCE: Final = {"currency": CURRENCY, **_STOOD}
_NEXT_CURSOR: Final = {"type": ["string", "null"], "description": "Asks for the next page; null: there is none."}
_AT: Final = {**SEQ, "description": "The newest entry at the moment that was asked for."}
_ANSWERED: Final[dict[str, Shape]] = {
    "Decision": object_of(
        "A decision, recorded and signed, on disk before this was sent.",
        {
            "transaction_id": NAME,
            "decision": DECIDED["decision"],
            "reason": DECIDED["reason"],
            "response_code": RESPONSE_CODE,
            "flags": {**FLAGGED, "description": "Why a posting deserves a look; usually empty."},
            "seq": {**SEQ, "description": "The entry's number."},
            "receipt": text("The path of the receipt, which proves the decision to anybody: GET it, signed."),
            "entry": text("The signed note: the Issuer's signature on the decision."),
            "body": text("The body whose digest the note names; its UTF-8 are the bytes."),
        },
    ),
    "Balance": object_of("One account's amounts.", _BALANCE),
    "Accounts": object_of(
        "A card's accounts.", {"card_id": NAME, "at": _AT, "accounts": list_of(ref("Balance"), "By currency.")}
    ),
    "Account": object_of("One account.", {"card_id": NAME, "at": _AT, **_BALANCE}),
    "Transactions": object_of(
        "One page of transactions.",
        {
            "transactions": list_of(ONE_TRANSACTION, "Newest first."),
            "next_cursor": _NEXT_CURSOR,
        },
    ),
    "OpeningBalance": object_of("What an account stood at before a page.", {**_STOOD, "seq": _UNOPENED}),
    "ClosingBalance": object_of("What it stood at after that page.", _STOOD),
    "Movement": object_of(
        "A journal line on the account, and the balance after it.",
        {
            "seq": {**SEQ, "description": "The line's entry, whose signed state proves the balance."},
            "time": TIME_SHOWN,
            "batch": {**SEQ, "description": "The transaction that caused it."},
            "type": text("That transaction's type."),
            "transaction_id": NAME,
            "amount": AMOUNT,
            "balance": {**AMOUNT, "description": "posted after it."},
        },
        {"merchant_name": FIELDS["merchant_name"]},
    ),
    "Statement": object_of(
        "One page of an account's movements, and what it stood at before and after.",
        {
            "card_id": NAME,
            "currency": CURRENCY,
            "from": {**SEQ, "description": "The first entry of the statement."},
            "to": {**SEQ, "description": "The first entry after it."},
            "opening": ref("OpeningBalance"),
            "movements": list_of(ref("Movement"), "Oldest first."),
            "closing": ref("ClosingBalance"),
            "next_cursor": _NEXT_CURSOR,
        },
        {
            "erased_to": {
                **SEQ,
                "description": "What moved up to this entry was erased on request; opening is after it.",
            }
        },
    ),
    "Transaction": object_of(
        "A transaction and every entry about it.",
        {
            "transaction_id": NAME,
            "status": {"enum": [*STATUSES, "POSTED"], "description": "POSTED: what is no authorisation's."},
            "entries": list_of({"oneOf": [*ONE_TRANSACTION["oneOf"], ref("JournalLine")]}, "Oldest first."),
        },
        {
            "scheme": {**NAME, "description": "Not of a load."},
            "card_id": NAME,
            "currency": CURRENCY,
            "held": {**AMOUNT, "description": "What it keeps now."},
            "totals": ref("Totals"),
            "expires": TIME_SHOWN,
        },
    ),
    "Entry": object_of(
        "An entry.",
        {
            "seq": SEQ,
            "kind": {"enum": list(Entry.KINDS)},
            "time": TIME_SHOWN,
            "note": text("The signed note, whole: the leaf of the ledger's tree."),
            "signed": text("The part of the note that the signature is over."),
            "kid": matching(KID.pattern, "The entry key that is valid here."),
            "parts": object_of("What the note's digests are of, as stored.", {}, {name: text() for name in PART_NAMES}),
            "decoded": object_of(
                "The same, for people.",
                {},
                {
                    "body": {"type": "object"},
                    "state": {"type": "object"},
                    "evidence": {"type": "object"},
                    "request": text("The Scheme's body, as it came."),
                },
            ),
        },
        {
            "erased": object_of(
                "The parts that were erased on request: the entry that says so.", {}, dict.fromkeys(PART_NAMES, SEQ)
            )
        },
    ),
    "Receipt": object_of(
        "A receipt. Texts are such that their UTF-8 are the bytes that were signed or hashed.",
        {
            "seq": SEQ,
            "origin": text("The ledger's name."),
            "entry": text("The signed note, whole: the leaf of the ledger's tree."),
            "parts": object_of("Those shown.", {}, {"body": text(), "state": text(), "evidence": text()}),
            "proof": text("A tlog-proof of C2SP: the place, hashes, and the checkpoint with its cosignatures."),
            "keys": list_of(
                {"type": "object"}, "The key entries that introduced the entry and the checkpoint key, by version."
            ),
        },
    ),
    "Key": object_of(
        "A registered key.",
        {
            "kid": matching(KID.pattern, "The hex SHA-256 of its DER SubjectPublicKeyInfo."),
            "role": {"enum": list(KEY_ROLES)},
            "whose": text(),
            "public_key": {**BASE64, "description": "The 32 bytes of an Ed25519 public key."},
            "pem": text("The same as SubjectPublicKeyInfo PEM."),
            "valid_from": SEQ,
            "valid_to": {"type": ["integer", "null"], "description": "null: still valid."},
            "revoked_at": {
                "type": ["integer", "null"],
                "description": "The size from which on what it signed is not trusted; null: not revoked.",
            },
        },
        {"vkey": text("Of a checkpoint key: its C2SP verifier key, as witnesses and other tools take it.")},
    ),
    "KeyEntry": object_of(
        "A key entry: its body, whose digest the entry of that number names.",
        {"seq": SEQ, "body": text("The bytes of the body part: it holds the approvals of the root.")},
    ),
    "Registry": object_of(
        "The key registry.",
        {
            "origin": text("The ledger's name."),
            "threshold": {"type": "integer", "minimum": 1, "description": "How many root keys approve a key change."},
            "root_keys": list_of(BASE64, "The root public keys."),
            "keys": list_of(ref("Key"), "In the order of their registration."),
            "entries": list_of(ref("KeyEntry"), "What the registry is made of: the key entries, oldest first."),
        },
    ),
    "Health": object_of("The process serves.", {"status": {"const": "ok"}}),
    "Readiness": object_of("The service is ready.", {"status": {"const": "ok"}, "head": SEQ}),
    "Document": {"type": "object", "description": "OpenAPI 3.1."},
}


def _problem(refusals: list[type[Refusal]]) -> Shape:
    return object_of(
        "Why a request was refused: RFC 9457.",
        {
            "type": text("Where the code is explained.", format="uri-reference"),
            "title": text(),
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"enum": [refusal.code for refusal in refusals]},
            "detail": text("What is wrong with this request."),
            "retryable": {"type": "boolean", "description": "Whether the same request may do better later."},
            "response_code": RESPONSE_CODE,
        },
        {"field": text("What is at fault.")},
    )


def all_shapes(refusals: list[type[Refusal]]) -> dict[str, Shape]:
    """Every schema by name; `refusals` are those whose codes a problem may have."""
    return {**SENT, **_ANSWERED, **RECORDS, "Problem": _problem(refusals)}
