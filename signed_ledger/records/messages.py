"""What a Scheme may send: one row for each type of message. The wire, its documents and the rules follow this table.

A field of money stands for two on the wire: `billing` is `billing_amount` and `billing_currency`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from signed_ledger.errors import AuthorisationNotFound, CardNotFound, Refusal, StateConflict, TransactionExists

Refusals: TypeAlias = tuple[type[Refusal], ...]

MONEY: Final = ("billing", "transaction", "settlement")
MERCHANT: Final = ("merchant_name", "merchant_country", "merchant_mcc")
LIKE_BEFORE: Final = ("card_id", *MERCHANT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A type of message: what it is for, its fields, the reasons for which it may be declined, its own refusals.

    One that may be declined is a question, answered `approved`; any other is an advice, answered `posted`. `direction`
    is 1 where the card pays, -1 where it is paid, 0 where no money moves. What a Scheme does not send (`is_sent` is
    false) is the Issuer's own and rests on no evidence. The examples, in the order of the rows, are one card's life.
    """

    type: str
    title: str
    about: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    declined_for: tuple[str, ...] = ()
    refused_for: Refusals = ()
    direction: int = 0
    example: Mapping[str, Any] = field(default_factory=dict)
    is_sent: bool = True

    @property
    def approving(self) -> str:
        return "approved" if self.declined_for else "posted"

    @property
    def must_begin(self) -> bool:
        """Whether a transaction can only begin with it."""
        return TransactionExists in self.refused_for

    def admits(self, decision: str, reason: str) -> bool:
        """Whether this can be decided on such a message."""
        return reason in self.declined_for if decision == "declined" else (decision, reason) == (self.approving, "ok")


_ROWS: Final = (
    Message(
        type="authorisation",
        title="May this card spend this?",
        about="Approved if available is at least the billing amount, which then is held for as long as the terms say.",
        required=("transaction_id", *LIKE_BEFORE, "billing", "transaction"),
        optional=("authorisation_kind", "iso8583"),
        declined_for=("insufficient_funds", "card_blocked", "card_not_found"),
        refused_for=(TransactionExists,),
        example={
            "transaction_id": "tx-1",
            "card_id": "card-1",
            "merchant_name": "Café Central",
            "merchant_country": "AT",
            "merchant_mcc": "5812",
            "billing_amount": "12.30",
            "billing_currency": "EUR",
            "transaction_amount": "12.30",
            "transaction_currency": "EUR",
            "authorisation_kind": "card_present",
            "iso8583": {"37": "623410000017", "49": "978", "51": "978"},
        },
    ),
    Message(
        type="increment",
        title="May it spend this much more?",
        about="Approved if available is at least the billing amount; the hold then grows, and its time starts anew.",
        required=("transaction_id", "billing"),
        optional=(*LIKE_BEFORE, "transaction", "iso8583"),
        declined_for=("insufficient_funds", "card_blocked"),
        refused_for=(AuthorisationNotFound, StateConflict),
        example={"transaction_id": "tx-1", "billing_amount": "2.00", "billing_currency": "EUR"},
    ),
    Message(
        type="reversal",
        title="It will not spend this after all",
        about="Takes the billing amount off what was authorised, or all of it where none is given.",
        required=("transaction_id",),
        optional=(*LIKE_BEFORE, "billing", "transaction", "iso8583"),
        refused_for=(AuthorisationNotFound, StateConflict),
        example={"transaction_id": "tx-1", "billing_amount": "1.00", "billing_currency": "EUR"},
    ),
    Message(
        type="presentment",
        title="The money moved: post it",
        about="Posts what is billed to the card and what is settled with the Scheme, and takes it off the hold. For an "
        "approved authorisation it posts whatever the balance; what is unusual is flagged, never dropped.",
        required=("transaction_id", "settlement"),
        optional=(
            *LIKE_BEFORE,
            "billing",
            "transaction",
            "presentment_id",
            "final",
            "force_post",
            "interchange",
            "iso8583",
        ),
        refused_for=(AuthorisationNotFound, CardNotFound, StateConflict),
        direction=1,
        example={
            "transaction_id": "tx-1",
            "presentment_id": "clearing-1",
            "billing_amount": "12.30",
            "billing_currency": "EUR",
            "settlement_amount": "12.30",
            "settlement_currency": "EUR",
            "interchange_amount": "0.0246",
        },
    ),
    Message(
        type="refund",
        title="The merchant gave money back: post it",
        about="Credits the card and debits the Scheme: of a cleared transaction, or of none that is named.",
        required=("billing", "settlement"),
        optional=("transaction_id", "refund_id", *LIKE_BEFORE, "transaction", "interchange", "iso8583"),
        refused_for=(AuthorisationNotFound, CardNotFound, StateConflict),
        direction=-1,
        example={
            "transaction_id": "tx-1",
            "refund_id": "refund-1",
            "billing_amount": "4.00",
            "billing_currency": "EUR",
            "settlement_amount": "4.00",
            "settlement_currency": "EUR",
        },
    ),
    Message(
        type="expiry",
        title="The hold's time is over",
        about="The Issuer's own: what is still held is released.",
        required=("transaction_id",),
        is_sent=False,
    ),
)
MESSAGES: Final = {row.type: row for row in _ROWS}
POSTINGS: Final = tuple(row.type for row in _ROWS if row.direction)
"""The types that move money, and so are settled."""

RESPONSE_CODES: Final = {"ok": "00", "insufficient_funds": "51", "card_blocked": "62", "card_not_found": "14"}
"""The reason of each decision as ISO 8583 has it: DE 39."""
FLAGS: Final = (
    "forced",
    "late",
    "over_hold",
    "within_tolerance",
    "excess_disputable",
    "negative_balance",
)
"""Why a posting deserves a look, in the order in which they are written."""
AUTHORISATION_KINDS: Final = ("card_present", "card_not_present", "merchant_initiated", "final", "pre_authorisation")
CARD_ABSENT_KINDS: Final = ("card_not_present", "merchant_initiated")
