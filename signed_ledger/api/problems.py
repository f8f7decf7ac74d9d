"""Refusals as callers meet them (RFC 9457): counted by code, and logged where someone may be trying."""

import time
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from signed_ledger.api.answers import json_headers
from signed_ledger.errors import QUEUE_FULL, InternalError, Malformed, MethodNotAllowed, NotFound, Overloaded, Refusal
from signed_ledger.listening import Words, answer_bytes
from signed_ledger.telemetry import Metrics

log = structlog.get_logger("signed_ledger.api")

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1
LINE_SECONDS: Final = 1.0
"""The least time between two log lines of one code."""

_LOGGED_STATUSES: Final = frozenset({401, 403})
_CLOSING_STATUSES: Final = frozenset({408, 413})
"""The rest of the body is not waited for, and so the connection is of no further use."""
_HEADERS: Final = json_headers(PROBLEM_TYPE)
_HEADERS_BY_STATUS: Final = {
    # A 401 must name a way to be let in (RFC 9110 section 11.6.1); no registered scheme is RFC 9421's.
    401: {**_HEADERS, "WWW-Authenticate": 'Signature tag="signed-ledger"'},
    503: {**_HEADERS, "Retry-After": str(RETRY_AFTER_SECONDS)},
}


class Problems:
    """Makes the answer to each refused request. Owner of every mutable field: the event loop's thread."""

    def __init__(self, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._overloaded = metrics.refusals.labels(Overloaded.code)
        self._monotonic = monotonic
        self._lines: dict[str, tuple[float, int]] = {}  # code: when last logged, how many not logged since

    def answer(self, refusal: Refusal, request: web.BaseRequest) -> web.Response:
        """Count and log a refusal, and give its problem document."""
        self._metrics.refusals.labels(refusal.code).inc()
        if refusal.status in _LOGGED_STATUSES:
            self._log(refusal, request)
        return problem(refusal)

    @property
    def words(self) -> Words:
        """What is answered, and counted, where no handler is asked."""
        return Words(self._malformed, self._too_many)

    def _malformed(self, request: web.BaseRequest) -> web.Response:
        return self.answer(
            Malformed("This is not HTTP/1.1 as it is taken here: bad syntax, or a header too long."), request
        )

    def _too_many(self) -> bytes:
        self._overloaded.inc()
        return answer_bytes(problem(Overloaded("There are too many connections; nothing was decided.")), closing=True)

    def shed(self) -> bytes:
        """What is answered, and counted, where nothing is parsed: made once, for it is told thousands of times."""
        self._overloaded.inc()
        return _SHED

    def failed(self, error: Exception, request: web.BaseRequest) -> web.Response:
        """Log an error that nobody foresaw; the caller is told that it happened and nothing else."""
        log.error("unexpected_error", method=request.method, path=_clipped(request.path), exc_info=error)
        return self.answer(
            InternalError("The service failed on this request; whether it took effect is unknown."), request
        )

    def unrouted(self, error: web.HTTPException, request: web.BaseRequest) -> web.Response:
        """The answer where aiohttp knows no handler: no such path, or not this method."""
        if isinstance(error, web.HTTPMethodNotAllowed):
            allowed = ", ".join(sorted(error.allowed_methods))
            response = self.answer(MethodNotAllowed(f"This path takes {allowed} only."), request)
            response.headers["Allow"] = allowed
            return response
        return self.answer(NotFound("There is no such path; GET /docs lists all there are."), request)

    def _log(self, refusal: Refusal, request: web.BaseRequest) -> None:
        now = self._monotonic()
        last, held_back = self._lines.get(refusal.code, (-LINE_SECONDS, 0))
        if now - last < LINE_SECONDS:
            self._lines[refusal.code] = (last, held_back + 1)
            return
        self._lines[refusal.code] = (now, 0)
        log.warning(
            "refused",
            code=refusal.code,
            detail=refusal.detail,
            remote=request.remote,
            path=_clipped(request.path),
            held_back=held_back,
        )


def problem(refusal: Refusal) -> web.Response:
    headers = _HEADERS_BY_STATUS.get(refusal.status, _HEADERS)
    response = web.Response(body=orjson.dumps(problem_document(refusal)), status=refusal.status, headers=headers)
    if refusal.status in _CLOSING_STATUSES:
        response.force_close()
    return response


def problem_document(refusal: Refusal) -> dict[str, Any]:
    """Give the problem document of a refusal (RFC 9457); its type is the place in /docs that explains the code."""
    document: dict[str, Any] = {
        "type": f"/docs#{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "code": refusal.code,
        "detail": _printable(refusal.detail),
        "retryable": refusal.retryable,
        "response_code": refusal.response_code,
    }
    if refusal.field is not None:
        document["field"] = _printable(refusal.field)
    return document


def _printable(text: str) -> str:
    """A detail may quote the request, and a request may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _clipped(path: str) -> str:
    return _printable(path[:100])


_SHED: Final = answer_bytes(problem(Overloaded(QUEUE_FULL)))
