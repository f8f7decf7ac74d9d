"""The two applications: the one that callers meet, and the operator's own with the metrics."""

from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from signed_ledger.api.answers import COMMON_HEADERS
from signed_ledger.api.incoming import expect
from signed_ledger.api.operations import OPERATIONS
from signed_ledger.api.problems import Problems
from signed_ledger.api.public import Public, for_all
from signed_ledger.api.reading import Reading
from signed_ledger.api.signatures import Signatures
from signed_ledger.api.webhooks import Webhooks
from signed_ledger.config import Settings
from signed_ledger.errors import Busy, NotFound, Overloaded, Refusal
from signed_ledger.ledger import Decider
from signed_ledger.publishing import Board
from signed_ledger.shedding import Shedding
from signed_ledger.store import Reader
from signed_ledger.telemetry import Metrics

SIGNATURES: Final = web.AppKey("signatures", Signatures)
PROBLEMS: Final = web.AppKey("problems", Problems)
SHEDDING: Final = web.AppKey("shedding", Shedding)

HEADER_BYTES_MAX: Final = 8190
"""The longest request line, and the longest header field."""
HEADER_FIELDS_MAX: Final = 64
LINGER_SECONDS: Final = 1.0
"""How long what is left of a refused body is read and thrown away, so that its sender gets to see the answer."""

_WEBHOOK_PATHS: Final = tuple(
    path for operation in OPERATIONS if operation.tag == "webhooks" for path in operation.paths
)


def make_app(
    ledger: Decider,
    reader: Reader,
    board: Board,
    settings: Settings,
    metrics: Metrics,
    clock: Callable[[], int],
) -> web.Application:
    """What callers meet: every operation of the table, and problem documents for all else. `clock` in microseconds."""
    problems = Problems(metrics)
    standard = frozenset(settings.standard_webhooks)
    signatures = Signatures(ledger, reader, clock, settings.answered_authorities, standard)
    webhooks = Webhooks(ledger, signatures, settings)
    reading = Reading(ledger, reader, board, signatures, settings, metrics)
    public = Public(ledger, reader, board, signatures)
    app = _make_application(problems, settings.keepalive_timeout_s)
    app[SIGNATURES] = signatures
    app[SHEDDING] = Shedding(
        _WEBHOOK_PATHS,
        requests_max=settings.queue_commands_max,
        body_bytes_max=settings.body_bytes_max,
        refuse=problems.shed,
    )
    expecting = partial(expect, bytes_max=settings.body_bytes_max)
    for operation in OPERATIONS:
        if operation.tag == "webhooks":
            handler = webhooks.handler(operation.name)
        else:
            handler = getattr(reading if operation.tag == "reading" else public, operation.name)
        for path in operation.paths:
            app.router.add_route(operation.method, path, handler, expect_handler=expecting)
            if operation.tag == "public":
                app.router.add_route("HEAD", path, handler)
    return app


def make_admin_app(metrics: Metrics) -> web.Application:
    """The operator's own site: `GET /metrics`."""

    async def show_metrics(request: web.Request) -> web.Response:
        headers = {**COMMON_HEADERS, "Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return web.Response(body=generate_latest(metrics.registry), headers=headers)

    app = _make_application(Problems(metrics), keepalive_timeout_s=75)
    app.router.add_get("/metrics", show_metrics)
    return app


def _make_application(problems: Problems, keepalive_timeout_s: int) -> web.Application:
    options = {
        "access_log": None,  # it halves the speed, and the ledger is the record of decisions
        "auto_decompress": False,  # a signature is over the bytes as sent
        "keepalive_timeout": keepalive_timeout_s,
        "lingering_time": LINGER_SECONDS,
        "max_line_size": HEADER_BYTES_MAX,
        "max_field_size": HEADER_BYTES_MAX,
        "max_headers": HEADER_FIELDS_MAX,
    }
    app = web.Application(middlewares=[_with_problems(problems)], handler_args=options)
    app[PROBLEMS] = problems
    return app


def _with_problems(problems: Problems) -> Middleware:
    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give the handler's answer, or the problem document of what it raised."""
        try:
            # The path that was signed is the one that was sent; no other spelling of it is answered.
            if request.path != request.raw_path.partition("?")[0]:
                raise NotFound("The path is not spelled as it is in GET /docs.")
            return await handler(request)
        except Refusal as refusal:
            return for_all(problems.answer(refusal, request), request)
        except Busy:
            return problems.answer(Overloaded("The ledger's store is busy; nothing was decided."), request)
        except web.HTTPException as error:
            return problems.unrouted(error, request)
        except Exception as error:
            return problems.failed(error, request)

    return answer
