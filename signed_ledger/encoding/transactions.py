"""A Scheme's messages and what was decided on them <-> members: docs/FORMAT.md, body: transaction."""

from typing import Any, Final

from signed_ledger.encoding.fields import Fields, money_members
from signed_ledger.encoding.text import decode_time, encode_base64, encode_time
from signed_ledger.errors import Invalid
from signed_ledger.money import Money, format_minor, parse_fee
from signed_ledger.records import (
    RESPONSE_CODES,
    CardTransaction,
    EntryRef,
    Iso8583,
    Message,
    Request,
    Totals,
)
from signed_ledger.records.messages import MERCHANT, MESSAGES, MONEY
from signed_ledger.records.requests import ISO8583_ELEMENTS
from signed_ledger.records.states import AMOUNTS

_PLAIN: Final = (*MERCHANT, "authorisation_kind", "presentment_id", "refund_id", "final", "force_post")
_SINCE: Final = ("authorisation_kind", "refund_id", "force_post", "interchange", "iso8583")
"""What release 0.1 did not know."""
_MEMBERS: Final = {name: {*message.required, *message.optional, "billing"} for name, message in MESSAGES.items()}
"""What the record of each message may have of what is asked, given or filled in."""
_TEXTS: Final = (*MERCHANT, "authorisation_kind", "presentment_id", "refund_id")


def encode_card_transaction(body: CardTransaction) -> dict[str, Any]:
    members = {
        "type": body.type,
        "transaction_id": body.transaction_id,
        "scheme": body.scheme,
        "card_id": body.card_id,
        "decision": body.decision,
        "reason": body.reason,
        "hold_change": body.hold_change.amount,
        **_asked(body.request),
    }
    if body.webhook_id is not None:
        members["webhook_id"] = body.webhook_id
    if body.builds_on is not None:
        members["builds_on"] = {"seq": body.builds_on.seq, "leaf": encode_base64(body.builds_on.leaf)}
    if body.form == 1:
        return members
    return members | _outcome(body)


def _asked(request: Request) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(request, name)
        if value is not None:
            members[name] = value
    for name in MONEY:
        money = getattr(request, name)
        if money is not None:
            members |= money_members(name, money)
    if request.interchange is not None:
        members["interchange_amount"] = request.interchange.amount
    if request.iso8583 is not None:
        pairs = zip(ISO8583_ELEMENTS, request.iso8583, strict=True)
        members["iso8583"] = {number: value for number, value in pairs if value is not None}
    return members


def _outcome(body: CardTransaction) -> dict[str, Any]:
    """What entries of the first form do not say."""
    members: dict[str, Any] = {"response_code": RESPONSE_CODES[body.reason]}
    if body.flags:
        members["flags"] = list(body.flags)
    if body.totals is not None:
        currency = body.billing.currency
        members["totals"] = encode_totals(body.totals, currency)
        members["status"] = body.totals.status
        members["hold"] = format_minor(body.totals.open, currency)
    if body.window_days is not None:
        members["window_days"] = body.window_days
    if body.expires is not None:
        members["expires"] = encode_time(body.expires)
    return members


def encode_totals(totals: Totals, currency: str) -> dict[str, Any]:
    """What is nothing is left out."""
    members: dict[str, Any] = {}
    for name in AMOUNTS:
        if amount := getattr(totals, name):
            members[name] = format_minor(amount, currency)
    if totals.clearings:
        members["clearings"] = totals.clearings
    if totals.final:
        members["final"] = True
    return members


def decode_card_transaction(message: Message, fields: Fields) -> CardTransaction:
    form = 2 if fields.has("response_code") else 1
    builds_on = _decode_ref(fields.nested("builds_on")) if fields.has("builds_on") else None
    must_name_one = "transaction_id" in message.required
    request = _decode_asked(message, fields, names_one=builds_on is not None or must_name_one)
    assert request.billing is not None
    currency = request.billing.currency
    reason = fields.text("reason")
    if form == 2:
        fields.exactly("response_code", RESPONSE_CODES.get(reason, ""))
    body = CardTransaction(
        scheme=fields.text("scheme"),
        webhook_id=fields.text_or_none("webhook_id"),
        request=request,
        decision=fields.text("decision"),
        reason=reason,
        hold_change=Money(fields.minor("hold_change", currency), currency),
        builds_on=builds_on,
        form=form,
        **({} if form == 1 else _decode_outcome(fields, currency)),
    )
    if form == 1:
        _check_first_form(body)
    return body


def _check_first_form(body: CardTransaction) -> None:
    """Release 0.1 wrote authorisations and presentments of a whole hold: what it could not write has another form."""
    request, change = body.request, body.hold_change
    if body.type not in ("authorisation", "presentment") or body.reason == "card_blocked":
        raise Invalid("response_code", "is missing")
    for name in _SINCE if body.opens else (*_SINCE, *MERCHANT):
        if getattr(request, name) is not None:
            raise Invalid(name, "is not a member of what release 0.1 wrote")
    if body.opens is not (body.type == "authorisation"):
        raise Invalid("builds_on", "must be there in a presentment, and nowhere else")
    if body.opens and change.minor != (body.billing.minor if body.decision == "approved" else 0):
        raise Invalid("hold_change", "is not what the decision holds")
    if not body.opens and request.final is not True:
        raise Invalid("final", "must be True")
    if not body.opens and change.minor > 0:
        raise Invalid("hold_change", "must release a hold")


def _decode_ref(fields: Fields) -> EntryRef:
    ref = EntryRef(fields.integer("seq"), fields.base64("leaf", 32))
    fields.done()
    return ref


def _decode_asked(message: Message, fields: Fields, *, names_one: bool) -> Request:
    """The request as it was completed. Of a refund that names no transaction `transaction_id` is its own id."""
    own_id = fields.text("transaction_id")
    given: dict[str, Any] = {**fields.some_texts(_TEXTS)}
    given |= {name: fields.flag(name) for name in ("final", "force_post") if fields.has(name)}
    given |= {
        name: fields.money(f"{name}_amount", f"{name}_currency") for name in MONEY if fields.has(f"{name}_amount")
    }
    if "billing" not in given:
        raise Invalid("billing_amount", "is missing")
    if fields.has("interchange_amount"):
        if "settlement" not in given:
            raise Invalid("interchange_amount", "is not a member where nothing is settled")
        currency = given["settlement"].currency
        given["interchange"] = parse_fee(fields.text("interchange_amount"), currency, "interchange_amount")
    if fields.has("iso8583"):
        given["iso8583"] = _decode_iso8583(fields.texts("iso8583"))
    if others := given.keys() - _MEMBERS[message.type]:
        raise Invalid(min(others), f"is not a member of a {message.type}")
    if names_one:
        given["transaction_id"] = own_id
    elif given.get("refund_id") != own_id:
        raise Invalid("transaction_id", "must be the refund's own id where it names no transaction")
    return Request(message.type, card_id=fields.text("card_id"), **given)


def _decode_iso8583(elements: dict[str, str]) -> Iso8583:
    if not elements or not elements.keys() <= ISO8583_ELEMENTS.keys():
        raise Invalid("iso8583", f"must have data elements of {', '.join(ISO8583_ELEMENTS)}")
    return Iso8583(*map(elements.get, ISO8583_ELEMENTS))


def _decode_outcome(fields: Fields, currency: str) -> dict[str, Any]:
    outcome: dict[str, Any] = {"window_days": fields.integer_or_none("window_days")}
    if fields.has("flags"):
        outcome["flags"] = tuple(fields.list_of_text("flags"))
        if not outcome["flags"]:
            raise Invalid("flags", "is not a member where there are none")
    if fields.has("expires"):
        outcome["expires"] = decode_time(fields.text("expires"), "expires")
    if fields.has("totals"):
        totals = _decode_totals(fields.nested("totals"), currency)
        fields.exactly("status", totals.status)
        fields.exactly("hold", format_minor(totals.open, currency))
        outcome["totals"] = totals
    return outcome


def _decode_totals(fields: Fields, currency: str) -> Totals:
    given: dict[str, Any] = {name: fields.minor(name, currency) for name in AMOUNTS if fields.has(name)}
    if fields.has("clearings"):
        given["clearings"] = fields.integer("clearings")
    if fields.has("final"):
        given["final"] = fields.flag("final")
    fields.done()
    for name, value in given.items():
        if not value:
            raise Invalid(name, "is nothing, and so is left out")
    return Totals(**given)
