"""Answers: the bytes and header fields of what is told, made cheaply since every decision goes through here."""

from typing import Any, Final

import orjson
from aiohttp import web

from signed_ledger.killpoints import reached
from signed_ledger.ledger import Decision
from signed_ledger.records import RESPONSE_CODES

JSON_TYPE: Final = "application/json"
REPLAYED: Final = "Idempotent-Replayed"

STATUS_BY_DECISION: Final = {"approved": 201, "posted": 200}
STATUS_BY_DECLINE: Final = {"insufficient_funds": 403, "card_blocked": 403, "card_not_found": 404}
"""A decision's status: docs/API.md, The answer to a decision."""


COMMON_HEADERS: Final = {"Server": "signed-ledger", "X-Content-Type-Options": "nosniff"}


def json_headers(content_type: str) -> dict[str, str]:
    """The header fields of every answer that is about one caller's own affairs."""
    return {"Content-Type": content_type, "Cache-Control": "no-store", **COMMON_HEADERS}


_HEADERS: Final = json_headers(JSON_TYPE)
_REPLAYED_HEADERS: Final = {**_HEADERS, REPLAYED: "true"}


def decision(decided: Decision) -> web.Response:
    """The answer to a webhook. What was decided is on disk: this is sent after the commit, never before."""
    reached("answering")
    return web.Response(
        body=orjson.dumps(decision_document(decided)),
        status=STATUS_BY_DECISION.get(decided.decision) or STATUS_BY_DECLINE[decided.reason],
        headers=_REPLAYED_HEADERS if decided.replayed else _HEADERS,
    )


def decision_document(decided: Decision) -> dict[str, Any]:
    return {
        "transaction_id": decided.transaction_id,
        "decision": decided.decision,
        "reason": decided.reason,
        "response_code": RESPONSE_CODES[decided.reason],
        "flags": list(decided.flags),
        "seq": decided.seq,
        "receipt": f"/receipts/{decided.seq}",
        "entry": decided.entry.decode(),
        "body": decided.body.decode(),
    }


def json_bytes(data: bytes) -> web.Response:
    """What is JSON already, to the byte."""
    return web.Response(body=data, headers=_HEADERS)


def json_answer(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, headers=_HEADERS)
