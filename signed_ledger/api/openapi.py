"""The OpenAPI 3.1 document, made from the table of operations."""

from collections.abc import Iterable
from typing import Any, Final

from signed_ledger import __version__
from signed_ledger.api.answers import REPLAYED
from signed_ledger.api.examples import reply_examples
from signed_ledger.api.operation import Operation, Parameter, Reply
from signed_ledger.api.operations import BEFORE_ROUTING, OPERATIONS
from signed_ledger.api.problems import PROBLEM_TYPE, problem_document
from signed_ledger.api.schema import ref
from signed_ledger.api.shapes import all_shapes
from signed_ledger.api.signatures import READING_ROLES
from signed_ledger.errors import NotFound, Overloaded, Refusal
from signed_ledger.schemes import FRESH_SECONDS, READING, SIGNATURES_MAX, TAG, WEBHOOK

_TAGS: Final = {
    "webhooks": "For Schemes: signed by a key whose role is scheme.",
    "reading": f"Signed by a key whose role is {' or '.join(READING_ROLES)}. Nothing that is read is recorded.",
    "public": "For anyone.",
}


def openapi_document() -> dict[str, Any]:
    """Give the document; it is the same for every ledger."""
    examples = reply_examples()
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, examples)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Signed ledger",
            "version": __version__,
            "summary": "A card issuer's ledger that nobody has to trust.",
            "description": _about(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": all_shapes(all_refusals()),
            "responses": {refusal.code: _problem_response([refusal]) for refusal in BEFORE_ROUTING},
            "securitySchemes": _security_schemes(),
        },
    }


def all_refusals() -> list[type[Refusal]]:
    """Every refusal that a caller may meet, each once, in the order of the checks."""
    codes = [refusal for operation in OPERATIONS for refusal in operation.codes]
    return list(dict.fromkeys([*BEFORE_ROUTING, *codes]))


def _about() -> str:
    return (
        "Every decision is signed by the Issuer, rests on a request that the Scheme signed, and stands in a history "
        "that can only grow. Requests are signed by RFC 9421 (Ed25519) with RFC 9530's Content-Digest, or by Standard "
        "Webhooks v1a where the Issuer has agreed so with a Scheme. Every refusal "
        f"is a problem document of RFC 9457 ({PROBLEM_TYPE}) with a code of the list below."
    )


def _security_schemes() -> dict[str, Any]:
    return {
        "webhooks": _security(WEBHOOK.components, "a scheme"),
        "standard_webhooks": _standard_security(),
        "reading": _security(READING.components, " or ".join(f"an {role}" for role in READING_ROLES)),
    }


def _security(components: Iterable[str], whose: str) -> dict[str, Any]:
    covered = " ".join(f'"{name}"' for name in components)
    about = (
        f"RFC 9421 by an Ed25519 key of {whose}, over at least {covered}, with the parameters created (within "
        f'{FRESH_SECONDS} s of now), keyid (the registered kid) and tag="{TAG}".'
    )
    return {"type": "apiKey", "in": "header", "name": "Signature", "description": about}


def _standard_security() -> dict[str, Any]:
    about = (
        "In place of RFC 9421, and only by Schemes that the Issuer has set so: Standard Webhooks v1a. An Ed25519 key "
        'of a scheme signs Webhook-Id, ".", Webhook-Timestamp, "." and the body; Webhook-Signature holds "v1a," '
        f"and base64 of it. The timestamp is within {FRESH_SECONDS} s of now, and there is no query. At most "
        f"{SIGNATURES_MAX} v1a signatures are tried; those of other versions are passed over."
    )
    return {"type": "apiKey", "in": "header", "name": "Webhook-Signature", "description": about}


def _security_of(operation: Operation) -> list[dict[str, list[str]]]:
    """Any one of them is enough."""
    names = {"public": (), "webhooks": ("webhooks", "standard_webhooks")}.get(operation.tag, (operation.tag,))
    return [{name: []} for name in names]


def _operation(operation: Operation, examples: dict[tuple[str, int], Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.about,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": _responses(operation, examples),
        "security": _security_of(operation),
    }
    if operation.body is not None:
        content = {"schema": ref(operation.body), "example": operation.example}
        made["requestBody"] = {"required": True, "content": {"application/json": content}}
    return made


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "in": parameter.where,
        "name": parameter.name,
        "required": parameter.required,
        "description": parameter.about,
        "schema": parameter.shape,
    }


def _responses(operation: Operation, examples: dict[tuple[str, int], Any]) -> dict[str, Any]:
    responses = {str(reply.status): _reply(operation, reply, examples) for reply in operation.replies}
    by_status: dict[int, list[type[Refusal]]] = {}
    for refusal in _codes(operation):
        by_status.setdefault(refusal.status, []).append(refusal)
    for status, refusals in sorted(by_status.items()):
        assert str(status) not in responses
        responses[str(status)] = _problem_response(refusals)
    return dict(sorted(responses.items()))


def _codes(operation: Operation) -> list[type[Refusal]]:
    """Its own, and where there are parameters in the path, that it is not spelled as it is here."""
    misspelled = (NotFound,) if "{" in operation.path else ()
    return list(dict.fromkeys([*misspelled, *operation.codes]))


def _reply(operation: Operation, reply: Reply, examples: dict[tuple[str, int], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": ref(reply.shape) if reply.shape else {"type": "string"}}
    if (operation.name, reply.status) in examples:
        content["example"] = examples[operation.name, reply.status]
    response: dict[str, Any] = {"description": reply.about, "content": {reply.media: content}}
    if operation.tag == "webhooks":
        response["headers"] = {REPLAYED: _header("string", "true on an answer that was given before.")}
    return response


def _header(kind: str, about: str) -> dict[str, Any]:
    return {"description": about, "schema": {"type": kind}}


def _problem_response(refusals: list[type[Refusal]]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": " ".join(f"{refusal.code}: {refusal.title}." for refusal in refusals),
        "content": {PROBLEM_TYPE: _problem(refusals)},
    }
    if refusals[0].status == Overloaded.status:
        response["headers"] = {"Retry-After": _header("integer", "Seconds after which to come again.")}
    return response


def _problem(refusals: list[type[Refusal]]) -> dict[str, Any]:
    shape = {"allOf": [ref("Problem"), {"properties": {"code": {"enum": [refusal.code for refusal in refusals]}}}]}
    examples = {
        refusal.code: {"value": problem_document(refusal("What is wrong with this request, in a sentence."))}
        for refusal in refusals
    }
    return {"schema": shape, "examples": examples}
