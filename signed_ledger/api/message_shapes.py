"""JSON schemas of what a Scheme may send and of what is recorded, made from the table of messages."""

from typing import Any, Final

from signed_ledger.api.schema import (
    AMOUNT,
    AMOUNT_SENT,
    BASE64,
    CURRENCY,
    NAME,
    SEQ,
    TIME_SHOWN,
    WEBHOOK_ID,
    Shape,
    list_of,
    matching,
    money,
    object_of,
    ref,
    text,
)
from signed_ledger.records import MESSAGES, RESPONSE_CODES, Message
from signed_ledger.records.messages import AUTHORISATION_KINDS, FLAGS, MONEY
from signed_ledger.records.states import AMOUNTS, STATUSES

RESPONSE_CODE: Final = matching("[0-9]{2}", "DE 39 of ISO 8583: docs/API.md, Response codes.")
FLAGGED: Final = list_of({"enum": list(FLAGS)}, "Why a posting deserves a look.")
_ELEMENTS: Final = {
    "37": matching("[A-Za-z0-9 ]{12}", "Retrieval reference number."),
    "38": matching("[A-Za-z0-9 ]{6}", "Approval code."),
    "49": matching("[0-9]{3}", "Currency of the transaction amount, ISO 4217 number."),
    "50": matching("[0-9]{3}", "Currency of the settlement amount."),
    "51": matching("[0-9]{3}", "Currency of the billing amount."),
}
FIELDS: Final[dict[str, Shape]] = {
    "transaction_id": NAME,
    "card_id": NAME,
    "merchant_name": text("1 to 100 characters, none of them control characters.", minLength=1, maxLength=100),
    "merchant_country": matching("[A-Z]{2,3}", "ISO 3166-1, alpha-2 or alpha-3."),
    "merchant_mcc": {"type": ["string", "integer"], "description": "4 digits.", "examples": ["5812"]},
    "authorisation_kind": {"enum": list(AUTHORISATION_KINDS), "description": "What the hold's time depends on."},
    "presentment_id": {**NAME, "description": "The Scheme's name for this clearing: it is posted once."},
    "refund_id": {**NAME, "description": "The Scheme's name for this refund; required where no transaction is named."},
    "final": {"type": "boolean", "description": "Whether this clearing is the last. Default: true."},
    "force_post": {"type": "boolean", "description": "Post it though no authorisation has this transaction id."},
    "iso8583": {
        **object_of("Data elements of ISO 8583, kept as they are sent.", {}, _ELEMENTS),
        "minProperties": 1,
    },
}
_SENT_ABOUT: Final = {
    "presentment": "What is billed to the card. Default: what is authorised and not cleared yet.",
    "reversal": "What is taken back. Default: all that is authorised and not cleared yet.",
}
_FEE: Final = {"type": "string", "description": "Interchange in the settlement currency, exact: up to 6 decimals more."}


def _sent_field(message: Message, name: str) -> Shape:
    if name in MONEY:
        amount = AMOUNT_SENT
        if name == "billing" and message.type in _SENT_ABOUT:
            amount = {**AMOUNT_SENT, "description": _SENT_ABOUT[message.type]}
        return money(name, amount)
    return {"interchange_amount": _FEE} if name == "interchange" else {name: FIELDS[name]}


def _sent(message: Message) -> Shape:
    required = {k: v for name in message.required for k, v in _sent_field(message, name).items()}
    optional = {k: v for name in message.optional for k, v in _sent_field(message, name).items()}
    pairs = [name for name in message.optional if name in MONEY]
    both = (("amount", "currency"), ("currency", "amount"))
    more = {"dependentRequired": {f"{name}_{one}": [f"{name}_{other}"] for name in pairs for one, other in both}}
    return object_of(f"{message.title} Unknown fields are refused, and so is null.", required, optional, **more)


_RECORD: Final = {"seq": SEQ, "time": TIME_SHOWN}
DECIDED: Final[dict[str, Any]] = {
    **_RECORD,
    "kind": {"const": "transaction"},
    "transaction_id": NAME,
    "card_id": NAME,
    **money("billing", AMOUNT),
    "decision": {"enum": ["approved", "declined", "posted"]},
    "reason": {"enum": list(RESPONSE_CODES)},
    "hold_change": AMOUNT,
}
_OUTCOME: Final = {
    "response_code": RESPONSE_CODE,
    "flags": FLAGGED,
    "builds_on": object_of("The entry with which the transaction began.", {"seq": SEQ, "leaf": BASE64}),
    "totals": ref("Totals"),
    "status": {"enum": list(STATUSES)},
    "hold": {**AMOUNT, "description": "What is held after this."},
    "expires": {**TIME_SHOWN, "description": "When the hold's time is over."},
    "window_days": {"type": "integer", "minimum": 1, "description": "How long a hold that begins here lasts."},
}


def _recorded(message: Message) -> Shape:
    required: dict[str, Any] = {**DECIDED, "type": {"const": message.type}, "scheme": NAME}
    optional: dict[str, Any] = dict(_OUTCOME)
    if message.is_sent:
        required["webhook_id"] = WEBHOOK_ID
    for name in (*message.required, *message.optional):
        shape = money(name, AMOUNT) if name in MONEY else {name: FIELDS[name]} if name in FIELDS else {}
        must = name in message.required or name == "final"
        (required if must else optional).update({k: v for k, v in shape.items() if k not in required})
    if "interchange" in message.optional:
        optional["interchange_amount"] = AMOUNT
    return object_of(message.title, required, optional)


def request_shape(kind: str) -> str:
    """The name of the schema of what a Scheme sends."""
    return f"{kind.capitalize()}Request"


SENT: Final[dict[str, Shape]] = {
    request_shape(name): _sent(message) for name, message in MESSAGES.items() if message.is_sent
}
RECORDS: Final[dict[str, Shape]] = {
    "Load": object_of("Money put on a card by the Issuer.", {**DECIDED, "type": {"const": "load"}}),
    **{name.capitalize(): _recorded(message) for name, message in MESSAGES.items()},
    "Settlement": object_of(
        "The daily settlement with a Scheme.",
        {
            **_RECORD,
            "kind": {"const": "transaction"},
            "type": {"const": "settlement"},
            "transaction_id": NAME,
            "scheme": NAME,
            "date": text(format="date"),
            "day_ends": TIME_SHOWN,
            "is_complete": {"type": "boolean"},
            "decision": {"const": "posted"},
            "reason": {"const": "ok"},
            "rounded": list_of(text(), "Who is given a unit that is left over, in this order."),
            "sums": list_of(
                object_of(
                    "One currency's: gross - refunds + fees = net.",
                    {
                        "currency": CURRENCY,
                        **dict.fromkeys(("gross", "refunds", "fees", "net", "issuer_result"), AMOUNT),
                        "interchange_exact": AMOUNT,
                        **dict.fromkeys(("count", "first_seq", "last_seq"), SEQ),
                    },
                ),
                "By currency.",
            ),
            "csv": text("Digest and length of the settlement file as CSV."),
        },
    ),
    "JournalLine": object_of(
        "One debit (negative) or credit of one account.",
        {
            **_RECORD,
            "kind": {"const": "journal"},
            "batch": {**SEQ, "description": "The transaction that caused it."},
            "line": {"type": "integer", "minimum": 1},
            "lines": {"type": "integer", "minimum": 1},
            "account": text(),
            "currency": CURRENCY,
            "amount": AMOUNT,
        },
    ),
    "Totals": object_of(
        "The running totals of an authorisation: hold and status are functions of them. What is nothing is absent.",
        {},
        {
            **dict.fromkeys(AMOUNTS, AMOUNT),
            "clearings": {"type": "integer", "minimum": 1, "description": "How many were posted."},
            "final": {"const": True, "description": "The last one was."},
        },
    ),
}
ONE_TRANSACTION: Final[Shape] = {
    "oneOf": [ref(name) for name in ("Load", *(name.capitalize() for name in MESSAGES), "Settlement")]
}
