"""The words of which the JSON schemas are made."""

from typing import Any, Final

from signed_ledger.api.query import SEQ as SEQ_PATTERN
from signed_ledger.api.query import TIME
from signed_ledger.records.names import NAME as NAME_PATTERN
from signed_ledger.records.names import WEBHOOK_ID as WEBHOOK_ID_PATTERN

Shape = dict[str, Any]


def text(about: str = "", **more: Any) -> Shape:
    return {"type": "string", **({"description": about} if about else {}), **more}


def matching(pattern: str, about: str = "", **more: Any) -> Shape:
    return text(about, pattern=f"^(?:{pattern})$", **more)


def object_of(about: str, required: Shape, optional: Shape | None = None, **more: Any) -> Shape:
    return {
        "type": "object",
        "description": about,
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
        **more,
    }


def list_of(items: Shape, about: str) -> Shape:
    return {"type": "array", "items": items, "description": about}


def ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


NAME: Final = matching(NAME_PATTERN.pattern)
WEBHOOK_ID: Final = matching(WEBHOOK_ID_PATTERN.pattern)
CURRENCY: Final = matching("[A-Z]{3}", examples=["EUR"])
SEQ: Final[Shape] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
MOMENT: Final = matching(f"{SEQ_PATTERN.pattern}|{TIME.pattern}", examples=["2026-11-23T10:00:00Z", "17"])

AMOUNT_SENT: Final[Shape] = {
    "type": ["string", "number"],
    "description": "Read exactly; not negative; no more decimals than the currency has; less than 10^15 minor units.",
    "examples": ["12.30"],
}
AMOUNT: Final = matching(r"-?[0-9]+(\.[0-9]+)?", "With exactly the currency's decimals.")
TIME_SHOWN: Final = text(format="date-time")
BASE64: Final = text(contentEncoding="base64")


def money(name: str, amount: Shape) -> Shape:
    return {f"{name}_amount": amount, f"{name}_currency": CURRENCY}
