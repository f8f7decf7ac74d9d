"""Requests of all kinds, made by schemathesis from the document that the running server gives of itself.

Some fit the document and some do not; some are signed as docs/API.md asks, some by nobody, by a stranger, or wrongly.
Every answer is one that the document has, and none is a failure of the service. `make fuzz` asks for more of them.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scripts.send_webhook import sign_request, sign_standard
from signed_ledger.api.operation import Operation
from signed_ledger.api.operations import OPERATIONS
from tests.processes import Party, Server, installed

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
"""Of each operation, for each way to generate them."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SIGNERS = [
    "its own key",
    "its own key",
    "its own key",
    "Standard Webhooks",
    "nobody",
    "a stranger",
    "a wrong signature",
]
OURS = ("signature", "signature-input", "content-digest", "webhook-signature", "webhook-timestamp", "content-type")
SENSIBLE: dict[str, Any] = {
    "transaction_id": "t-1",
    "card_id": "card-1",
    "merchant_name": "Shop",
    "merchant_country": "NL",
    "merchant_mcc": "5812",
    **{f"{name}_amount": "0.01" for name in ("billing", "transaction", "settlement", "interchange")},
    **{f"{name}_currency": "EUR" for name in ("billing", "transaction", "settlement")},
    "currency": "EUR",
    "seq": 5,
}
"""Chance alone would never name a card, a currency and an amount that go together."""


class Served(NamedTuple):
    """A server, and those who call it."""

    server: Server
    session: requests.Session
    scheme: Party
    standard: Party
    operator: Party
    stranger: Party
    schema: BaseSchema


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    installation = installed(tmp_path_factory.mktemp("fuzzed") / "installation")
    standard, stranger = Party(installation.folder, "bolt"), Party(installation.folder, "stranger")
    installation.printed("keys", "add", "scheme", "bolt", standard.public_file)
    installation.printed("card", "bind", "card-1", "acme")  # else it is whose request comes first
    with installation.serve(STANDARD_WEBHOOKS="bolt") as server, requests.Session() as session:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        yield Served(server, session, installation.scheme, standard, installation.operator, stranger, schema)
        assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
    assert_nothing_failed(server)
    installation.assert_audits()


def assert_nothing_failed(server: Server) -> None:
    assert "Traceback" not in server.log
    assert not [line for line in server.lines if line["level"] in ("error", "critical")]


def signed(served: Served, request: requests.PreparedRequest, by: str) -> None:
    """Put the signature of `by` in the place of what was made up as one."""
    assert request.method is not None
    assert request.url is not None
    if by == "nobody":
        return
    for name in [name for name in request.headers if name.lower() in OURS]:
        del request.headers[name]
    is_webhook = request.method == "POST"
    body = as_bytes(request.body) if is_webhook else None
    webhook_id = str(request.headers.pop("Webhook-Id", None) or f"w-{time.monotonic_ns()}")
    if by == "Standard Webhooks" and body is not None:
        request.headers.update(sign_standard(served.standard.key, body, webhook_id))
        return
    own = served.scheme if is_webhook else served.operator
    party = served.stranger if by == "a stranger" else own
    headers = sign_request(party.key, request.method, request.url, body, webhook_id if is_webhook else None)
    if by == "a wrong signature":
        headers["Signature"] = headers["Signature"].replace("sig=:", "sig=:AAAA")
    request.headers.update(headers)


def as_bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


def make_sensible(case: Case[Any], names: set[str]) -> None:
    """Give some of a case's members values that mean something here."""
    for members in (case.body, case.path_parameters, case.query):
        if isinstance(members, dict):
            members.update({name: SENSIBLE[name] for name in names & members.keys()})


def send(served: Served, case: Case[Any], by: str) -> requests.Response:
    asked = case.as_transport_kwargs(base_url=served.server.url)
    request = served.session.prepare_request(requests.Request(**asked))
    signed(served, request, by)
    return served.session.send(request, timeout=20, allow_redirects=False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.name for operation in OPERATIONS])
def test_every_answer_to_any_request_is_one_that_the_document_has(served: Served, operation: Operation) -> None:
    asked = served.schema[operation.path][operation.method]
    modes = [GenerationMode.POSITIVE] if operation.tag == "public" else list(GenerationMode)  # any text may be a tile's

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        case=st.one_of([asked.as_strategy(generation_mode=mode) for mode in modes]),
        by=st.sampled_from(SIGNERS),
        sensible=st.sets(st.sampled_from(sorted(SENSIBLE))) | st.just(set(SENSIBLE)),
    )
    def check(case: Case[Any], by: str, sensible: set[str]) -> None:
        make_sensible(case, sensible)
        case.validate_response(send(served, case, by), checks=CHECKS)

    check()


def test_the_requests_made_up_are_no_mere_noise_some_are_approved(served: Served) -> None:
    asked = served.schema["/authorisation"]["POST"]
    statuses: Counter[int] = Counter()

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=asked.as_strategy())
    def check(case: Case[Any]) -> None:
        make_sensible(case, SENSIBLE.keys() - {"transaction_id"})
        statuses[send(served, case, "its own key").status_code] += 1

    check()
    assert statuses[201] > 0, statuses
