"""The one table of what is served. The routes, the OpenAPI document and the docs page are made from it."""

from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from signed_ledger.api.answers import STATUS_BY_DECISION, STATUS_BY_DECLINE
from signed_ledger.api.message_shapes import request_shape
from signed_ledger.api.operation import Codes, Operation, Parameter, Reply
from signed_ledger.api.public_operations import PUBLIC_OPERATIONS
from signed_ledger.api.schema import CURRENCY, MOMENT, NAME, SEQ, WEBHOOK_ID
from signed_ledger.errors import (
    AuthorityUnknown,
    CardNotFound,
    EntryNotFound,
    IntegrityViolation,
    InternalError,
    KeyRevoked,
    KeyUnknown,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestTimeout,
    RoleNotAllowed,
    SignatureExpired,
    SignatureInvalid,
    SignatureMissing,
    TooLarge,
    TransactionNotFound,
    UnsupportedMediaType,
    WebhookIdReused,
)
from signed_ledger.records import MESSAGES, Message
from signed_ledger.schemes import SIGNATURES_CHARS_MAX

SIGNATURE_CODES: Final[Codes] = (
    SignatureMissing,
    SignatureInvalid,
    KeyUnknown,
    KeyRevoked,
    SignatureExpired,
    AuthorityUnknown,
)
BEFORE_ROUTING: Final[Codes] = (Malformed, NotFound, MethodNotAllowed)
"""What any request may meet: bytes that are not HTTP, a path that is not here, a method that the path does not take."""

_SENT: Final[Codes] = (TooLarge, RequestTimeout, UnsupportedMediaType, *SIGNATURE_CODES, Malformed, WebhookIdReused)
_FAILED: Final[Codes] = (IntegrityViolation, InternalError, Overloaded)
_READ: Final[Codes] = (TooLarge, *SIGNATURE_CODES, RoleNotAllowed, Malformed)


def _header(name: str, about: str, required: bool = True, **shape: Any) -> Parameter:
    return Parameter("header", name, {"type": "string", **shape}, about, required)


_SIGNED_BY: Final = (
    _header("Signature-Input", "What is signed, and how: RFC 9421."),
    _header("Signature", "The Ed25519 signature: RFC 9421."),
)
_V1A: Final = "With Standard Webhooks v1a."
_SIGNATURES: Final = f'Signatures with a space between them, one of them "v1a," and base64. {_V1A}'
_WEBHOOK_HEADERS: Final = (
    _header("Webhook-Id", "The event's id, the same on every retry, remembered for ever.", **WEBHOOK_ID),
    _header("Content-Digest", "sha-256 or sha-512 of the body: RFC 9530. With RFC 9421.", required=False),
    *(replace(parameter, required=False) for parameter in _SIGNED_BY),
    _header("Webhook-Timestamp", f"Seconds since 1970 UTC. {_V1A}", required=False, pattern="^(0|[1-9][0-9]{0,14})$"),
    _header("Webhook-Signature", _SIGNATURES, required=False, maxLength=SIGNATURES_CHARS_MAX),
)
_CARD: Final = Parameter("path", "card_id", NAME, "The card.", required=True)
_CURRENCY: Final = Parameter("path", "currency", CURRENCY, "The account's currency.", required=True)
_FROM: Final = Parameter("query", "from", MOMENT, "None before this entry or time.")
_TO: Final = Parameter("query", "to", MOMENT, "Only what is before this entry or time.")
_PAGE: Final = (
    Parameter("query", "limit", {"type": "integer", "minimum": 1}, "Rows of a page; by default the most allowed."),
    Parameter("query", "cursor", {"type": "string"}, "The next_cursor of the page before. Opaque."),
)
_AT: Final = Parameter("query", "at", MOMENT, "As it was then: after this entry, or at this time. Default: now.")
_RETRY: Final = (
    "A retry under the same Webhook-Id with the same body is given the first answer again, with the header "
    "Idempotent-Replayed: true. The answer is sent after the decision reached the disk, never before."
)


def _webhook(message: Message) -> Operation:
    """The operation of a type of message: its row says all that is peculiar to it."""
    replies = [Reply(STATUS_BY_DECISION[message.approving], f"{message.approving.capitalize()}.", "Decision")]
    for status in dict.fromkeys(STATUS_BY_DECLINE.values()):
        if reasons := [why for why in message.declined_for if STATUS_BY_DECLINE[why] == status]:
            replies.append(Reply(status, f"Declined, {', '.join(reasons)}: recorded, signed and final.", "Decision"))
    return Operation(
        tag="webhooks",
        name=message.type,
        method="POST",
        path=f"/{message.type}",
        aliases=(f"/{message.type}/",),
        summary=message.title,
        about=f"{message.about} {_RETRY}",
        parameters=_WEBHOOK_HEADERS,
        body=request_shape(message.type),
        example=message.example,
        replies=tuple(replies),
        codes=(*_SENT, *message.refused_for, *_FAILED),
    )


_PROVED_BY: Final = "Each balance names the entry (seq) whose signed state proves it: GET /entries/{seq} has its bytes."

OPERATIONS: Final = (
    *map(_webhook, filter(attrgetter("is_sent"), MESSAGES.values())),
    Operation(
        tag="reading",
        name="accounts",
        method="GET",
        path="/accounts/{card_id}",
        summary="A card's balances",
        about=f"Posted, held and available of each of the card's accounts, now or then. {_PROVED_BY}",
        parameters=(_CARD, _AT, *_SIGNED_BY),
        replies=(Reply(200, "The balances.", "Accounts"),),
        codes=(*_READ, CardNotFound, EntryNotFound, *_FAILED),
    ),
    Operation(
        tag="reading",
        name="account",
        method="GET",
        path="/accounts/{card_id}/{currency}",
        summary="A card's balance in one currency",
        about=f"Posted, held and available, now or then. {_PROVED_BY}",
        parameters=(_CARD, _CURRENCY, _AT, *_SIGNED_BY),
        replies=(Reply(200, "The balance.", "Account"),),
        codes=(*_READ, CardNotFound, EntryNotFound, *_FAILED),
    ),
    Operation(
        tag="reading",
        name="statement",
        method="GET",
        path="/accounts/{card_id}/{currency}/statement",
        summary="An account's statement, oldest movement first",
        about=f"What was posted from one moment up to another, by default all of it, between an opening and a closing "
        f"balance: the opening one and the amounts sum to the closing one. A page closes where the next one opens; "
        f"next_cursor is as in GET /transactions, and keeps to what the first page knew of. {_PROVED_BY}",
        parameters=(_CARD, _CURRENCY, _FROM, _TO, *_PAGE, *_SIGNED_BY),
        replies=(Reply(200, "One page.", "Statement"),),
        codes=(*_READ, CardNotFound, *_FAILED),
    ),
    Operation(
        tag="reading",
        name="transactions",
        method="GET",
        path="/transactions",
        summary="Transactions, newest first",
        about="All of the ledger's, or one card's, in pages: next_cursor, given as cursor with the same parameters, "
        "asks for the next one, until it is null. What is recorded meanwhile disturbs nothing.",
        parameters=(
            Parameter("query", "card_id", NAME, "This card's only."),
            _FROM,
            _TO,
            *_PAGE,
            *_SIGNED_BY,
        ),
        replies=(Reply(200, "One page.", "Transactions"),),
        codes=(*_READ, *_FAILED),
    ),
    Operation(
        tag="reading",
        name="transaction",
        method="GET",
        path="/transactions/{transaction_id}",
        summary="A transaction, and every entry about it",
        about="Its state, its entries and their journal lines, oldest first. Loads and settlements are found too.",
        parameters=(
            Parameter("path", "transaction_id", NAME, "The transaction.", required=True),
            Parameter(
                "query",
                "scheme",
                {"type": "string", "pattern": "^[A-Za-z0-9._-]{0,64}$"},
                "Whose transaction, needed only where more than one Scheme uses the id; empty: the Issuer's own load.",
            ),
            *_SIGNED_BY,
        ),
        replies=(Reply(200, "The transaction.", "Transaction"),),
        codes=(*_READ, TransactionNotFound, *_FAILED),
    ),
    Operation(
        tag="reading",
        name="entry",
        method="GET",
        path="/entries/{seq}",
        summary="An entry: the bytes that prove it, and what they say",
        about="The signed note, its parts, and the exact bytes that the Issuer signed, each as text whose UTF-8 are "
        "the bytes. The digests in the note are those of the parts; the note verifies under the key kid.",
        parameters=(Parameter("path", "seq", SEQ, "The entry's number, from 0.", required=True), *_SIGNED_BY),
        replies=(Reply(200, "The entry.", "Entry"),),
        codes=(*_READ, EntryNotFound, *_FAILED),
    ),
    Operation(
        tag="reading",
        name="receipt",
        method="GET",
        path="/receipts/{seq}",
        summary="A receipt: what proves an entry to anybody, with no ledger and no network",
        about="The entry, the parts that the asker may see, a proof that it stands under a signed checkpoint, and what "
        "leads from the root keys to the two keys that signed; canonical JSON (RFC 8785): keep the bytes as they are. "
        "signed-ledger check-receipt checks it. A Scheme's key gets the receipts of that Scheme's own transactions, "
        "without the state. An entry that no checkpoint covers yet is waited for, two seconds at most.",
        parameters=(Parameter("path", "seq", SEQ, "The entry's number, from 0.", required=True), *_SIGNED_BY),
        replies=(Reply(200, "The receipt.", "Receipt"),),
        codes=(*_READ, EntryNotFound, *_FAILED),
    ),
    *PUBLIC_OPERATIONS,
)
