"""Answers: the bytes and header fields of what is told, made cheaply since every decision goes through here."""

from typing import Any, Final

import orjson
from aiohttp import web

from signed_ledger.ledger import Answer
from signed_ledger.records import RESPONSE_CODES, CardTransaction

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


def decision(answer: Answer) -> web.Response:
    """The answer to a webhook. `answer` is on disk: this is sent after the commit, never before."""
    body = answer.body
    assert isinstance(body, CardTransaction)
    return web.Response(
        body=orjson.dumps(decision_document(answer, body)),
        status=STATUS_BY_DECISION.get(body.decision) or STATUS_BY_DECLINE[body.reason],
        headers=_REPLAYED_HEADERS if answer.replayed else _HEADERS,
    )


def decision_document(answer: Answer, body: CardTransaction) -> dict[str, Any]:
    return {
        "transaction_id": body.transaction_id,
        "decision": body.decision,
        "reason": body.reason,
        "response_code": RESPONSE_CODES[body.reason],
        "flags": list(body.flags),
        "seq": answer.seq,
        "receipt": f"/receipts/{answer.seq}",
        "entry": answer.entry.decode(),
        "body": answer.body_bytes.decode(),
    }


def json_bytes(data: bytes) -> web.Response:
    """What is JSON already, to the byte."""
    return web.Response(body=data, headers=_HEADERS)


def json_answer(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, headers=_HEADERS)
