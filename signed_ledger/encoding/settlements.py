"""Settlements <-> members of their body, which is the settlement file in JSON; and the same file as CSV."""

import hashlib
from typing import Any, Final

from signed_ledger.encoding.fields import Fields
from signed_ledger.encoding.text import decode_time, encode_base64, encode_time
from signed_ledger.money import Money, parse_fee
from signed_ledger.records import SettledSum, Settlement

CSV_COLUMNS: Final = (
    "scheme",
    "date",
    "currency",
    "gross",
    "refunds",
    "fees",
    "net",
    "count",
    "first_seq",
    "last_seq",
    "is_complete",
    "issuer_result",
    "interchange_exact",
)
ROUNDED_IN_FAVOUR_OF: Final = ["scheme", "issuer"]
"""The parts among which what is left over after flooring is given out, one unit each, in this order."""


def encode_settlement(body: Settlement) -> dict[str, Any]:
    csv = settlement_csv(body)
    return {
        "type": body.type,
        "transaction_id": body.transaction_id,
        "scheme": body.scheme,
        "date": body.date,
        "day_ends": encode_time(body.day_ends),
        "is_complete": body.is_complete,
        "decision": body.decision,
        "reason": body.reason,
        "rounded": ROUNDED_IN_FAVOUR_OF,
        "sums": [encode_sum(each) for each in body.sums],
        "csv": f"sha256:{encode_base64(hashlib.sha256(csv).digest())} {len(csv)}",
    }


def encode_sum(one: SettledSum) -> dict[str, Any]:
    return {
        "currency": one.currency,
        "gross": one.gross.amount,
        "refunds": one.refunds.amount,
        "fees": one.fees.amount,
        "net": one.net.amount,
        "count": one.count,
        "first_seq": one.first_seq,
        "last_seq": one.last_seq,
        "issuer_result": one.result.amount,
        "interchange_exact": one.interchange.amount,
    }


def decode_settlement(fields: Fields) -> Settlement:
    body = Settlement(
        scheme=fields.text("scheme"),
        date=fields.text("date"),
        day_ends=decode_time(fields.text("day_ends"), "day_ends"),
        is_complete=fields.flag("is_complete"),
        sums=tuple(map(_decode_sum, fields.list_of_nested("sums"))),
    )
    derived = encode_settlement(body)
    for name in ("transaction_id", "decision", "reason", "rounded", "csv"):
        fields.exactly(name, derived[name])
    return body


def _decode_sum(fields: Fields) -> SettledSum:
    currency = fields.text("currency")

    def money(name: str) -> Money:
        return Money(fields.minor(name, currency), currency)

    one = SettledSum(
        gross=money("gross"),
        refunds=money("refunds"),
        fees=money("fees"),
        net=money("net"),
        result=money("issuer_result"),
        interchange=parse_fee(fields.text("interchange_exact"), currency, "interchange_exact"),
        count=fields.integer("count"),
        first_seq=fields.integer("first_seq"),
        last_seq=fields.integer("last_seq"),
    )
    fields.done()
    return one


def settlement_csv(body: Settlement) -> bytes:
    """The settlement file as CSV (RFC 4180): a header, and a row for each currency. No value ever needs quoting."""
    same = (body.scheme, body.date)
    complete = "true" if body.is_complete else "false"
    rows = []
    for one in body.sums:
        members = {**encode_sum(one), "scheme": same[0], "date": same[1], "is_complete": complete}
        rows.append(",".join(str(members[name]) for name in CSV_COLUMNS))
    return "".join(f"{row}\r\n" for row in (",".join(CSV_COLUMNS), *rows)).encode()
