"""What happens on the worked day: one step for each transaction, in the words of docs/worked-day.md."""

from dataclasses import dataclass, field
from typing import Any, Final

from signed_ledger.money import Money
from signed_ledger.records import Load
from signed_ledger.rules import ChangeCard

DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True)
class Step:
    """`does` is a message's type with its `fields`, or what the Issuer submits itself; `minutes` pass before it."""

    says: str
    does: str | Load | ChangeCard
    fields: dict[str, Any] = field(default_factory=dict)
    minutes: int = 7


def _shop(name: str, country: str, mcc: str) -> dict[str, Any]:
    return {"merchant_name": name, "merchant_country": country, "merchant_mcc": mcc}


def _asks(transaction_id: str, card: str, amount: str, currency: str, shop: dict[str, Any], **more: Any) -> Any:
    billing = {"billing_amount": amount, "billing_currency": currency}
    merchant = {"transaction_amount": amount, "transaction_currency": currency}
    return {"transaction_id": transaction_id, "card_id": card, **shop, **billing, **merchant, **more}


def _settled(transaction_id: str, amount: str, currency: str = "EUR", **more: Any) -> Any:
    return {"transaction_id": transaction_id, "settlement_amount": amount, "settlement_currency": currency, **more}


def _billed(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"billing_amount": amount, "billing_currency": currency}


_HOTEL: Final = _shop("Hotel Post", "AT", "7011")
_CAFE: Final = _shop("Café Central", "AT", "5812")
_BOOKS: Final = _shop("Corner Books", "US", "5942")
_GROCER: Final = _shop("Greißlerei", "AT", "5411")
_ONLINE: Final = _shop("socks.example", "DE", "5651")

STORY: Final = (
    Step("Anna's card is funded.", Load("load-anna", "anna", Money(500_00, "EUR"))),
    Step("So is Ben's.", Load("load-ben", "ben", Money(60_00, "EUR"))),
    Step(
        "A week and more before the day: socks are ordered from the net, and 20.00 are held for ten days.",
        "authorisation",
        _asks("socks", "anna", "20.00", "EUR", _ONLINE, authorisation_kind="card_not_present"),
    ),
    Step(
        "**The day begins.** Anna checks in; the hotel wants 200.00 held, for thirty days.",
        "authorisation",
        _asks(
            "hotel", "anna", "200.00", "EUR", _HOTEL, authorisation_kind="card_present", iso8583={"37": "632910000001"}
        ),
        minutes=11 * DAY_MINUTES,
    ),
    Step(
        "She stays a night longer: the hold grows, and its thirty days start anew.",
        "increment",
        {"transaction_id": "hotel", **_billed("100.00")},
    ),
    Step("Ben tries what his card can not pay.", "authorisation", _asks("phone", "ben", "80.00", "EUR", _ONLINE)),
    Step(
        "Ben's lunch: 20.00.",
        "authorisation",
        _asks("lunch", "ben", "20.00", "EUR", _CAFE, authorisation_kind="card_present"),
    ),
    Step(
        "He tips. 23.00 are cleared: above the hold, but in a restaurant 20 % are tolerated.",
        "presentment",
        _settled("lunch", "23.00", **_billed("23.00"), interchange_amount="0.0483"),
    ),
    Step(
        "Groceries, 31.40.",
        "authorisation",
        _asks("groceries", "anna", "31.40", "EUR", _GROCER, authorisation_kind="card_present"),
    ),
    Step("A part is put back: 6.40 are reversed.", "reversal", {"transaction_id": "groceries", **_billed("6.40")}),
    Step(
        "The rest is cleared; what to bill is left to the open hold.",
        "presentment",
        _settled("groceries", "25.00", interchange_amount="0.0525"),
    ),
    Step(
        "A book in New York: billed in euro, sold in dollars.",
        "authorisation",
        _asks("book", "anna", "40.00", "EUR", _BOOKS, transaction_amount="43.20", transaction_currency="USD"),
    ),
    Step(
        "It is settled in dollars: the batch sums to zero in both currencies.",
        "presentment",
        _settled("book", "43.20", "USD", interchange_amount="0.09072"),
    ),
    Step(
        "Ben orders something and thinks better of it.", "authorisation", _asks("lamp", "ben", "15.00", "EUR", _ONLINE)
    ),
    Step("All of it is reversed.", "reversal", {"transaction_id": "lamp"}),
    Step(
        "The shop presents it all the same. That is refused, and for people to sort out; nothing is recorded.",
        "presentment",
        _settled("lamp", "15.00"),
    ),
    Step(
        "The hotel clears the first night. More is to come, so the rest stays held.",
        "presentment",
        _settled(
            "hotel", "150.00", **_billed("150.00"), presentment_id="night-1", final=False, interchange_amount="0.315"
        ),
    ),
    Step("The hold of the socks is over: the daily task releases it.", "expiry", {"transaction_id": "socks"}),
    Step(
        "The socks are sent a day late. They have to be paid: posted, and flagged.",
        "presentment",
        _settled("socks", "20.00", interchange_amount="0.042"),
    ),
    Step("Ben's card is lost, and blocked.", ChangeCard("block", "ben", None, "reported lost by telephone")),
    Step("Somebody tries it.", "authorisation", _asks("found", "ben", "5.00", "EUR", _GROCER)),
    Step(
        "A toll road that never asks: forced, with nothing behind it, onto a blocked card, into a negative balance.",
        "presentment",
        {**_settled("toll", "41.00", **_billed("41.00")), "card_id": "ben", "force_post": True},
    ),
    Step(
        "The last night of the hotel. It is the final clearing: what is left of the hold is released.",
        "presentment",
        _settled("hotel", "120.00", **_billed("120.00"), presentment_id="night-2", interchange_amount="0.252"),
    ),
    Step(
        "The hotel gives something back for the noise.",
        "refund",
        {**_settled("hotel", "30.00", **_billed("30.00")), "refund_id": "noise", "interchange_amount": "0.063"},
    ),
    Step(
        "A shop refunds Anna something that she bought long ago; it names no transaction.",
        "refund",
        {
            "refund_id": "voucher-77",
            "card_id": "anna",
            **_billed("12.00"),
            "settlement_amount": "12.00",
            "settlement_currency": "EUR",
        },
    ),
)
