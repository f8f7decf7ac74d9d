"""The OpenAPI document and the docs page: valid, whole, and the same as what is served."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from signed_ledger.api.answers import STATUS_BY_DECISION, STATUS_BY_DECLINE
from signed_ledger.api.openapi import all_refusals
from signed_ledger.api.operations import OPERATIONS
from signed_ledger.errors import KeyChangeRefused, Refusal
from signed_ledger.money import MINOR_DIGITS
from signed_ledger.records import MESSAGES, RESPONSE_CODES
from signed_ledger.records.messages import MONEY
from tests.api_support import Site, document, validator

PROJECT = Path(__file__).resolve().parent.parent


def _operations() -> Iterator[tuple[str, str, Any]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _contents(operation: Any) -> Iterator[Any]:
    if "requestBody" in operation:
        yield from operation["requestBody"]["content"].values()
    for response in operation["responses"].values():
        yield from response["content"].values()


# --- the document --------------------------------------------------------------------------------------------------


def test_the_document_is_valid_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


async def test_the_document_is_served_as_it_is(site: Site) -> None:
    told = await site.send("GET", "/openapi.json")
    assert told.json == document()


def test_every_example_is_valid_under_its_schema() -> None:
    seen = 0
    for _, _, operation in _operations():
        for content in _contents(operation):
            examples = [each["value"] for each in content.get("examples", {}).values()]
            for example in [*examples, *([content["example"]] if "example" in content else [])]:
                validator(content["schema"]).validate(example)
                seen += 1
    assert seen > len(OPERATIONS)


def test_every_json_answer_has_an_example() -> None:
    for _, path, operation in _operations():
        for content in _contents(operation):
            is_text = content["schema"] == {"type": "string"}
            assert is_text or path == "/openapi.json" or "example" in content or content["examples"], path


async def test_every_route_is_in_the_document_and_every_operation_is_a_route(site: Site) -> None:
    aliases = {alias for operation in OPERATIONS for alias in operation.aliases}
    routes = {
        (route.method, route.resource.canonical)
        for route in site.client.app.router.routes()
        if route.method != "HEAD" and route.resource is not None and route.resource.canonical not in aliases
    }
    assert routes == {(method, path) for method, path, _ in _operations()}


def _leaves(refusal: type[Refusal] = Refusal) -> set[type[Refusal]]:
    own = {each for each in refusal.__subclasses__() if each.__module__ == "signed_ledger.errors"}
    return {leaf for each in own for leaf in (_leaves(each) or {each})}


def test_every_refusal_but_the_operators_own_is_in_the_document_and_no_other() -> None:
    assert set(all_refusals()) == _leaves() - {KeyChangeRefused}
    codes = document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert sorted(codes) == sorted(refusal.code for refusal in all_refusals())


def test_every_decision_has_a_status() -> None:
    assert set(STATUS_BY_DECISION) == {message.approving for message in MESSAGES.values()}
    assert set(STATUS_BY_DECLINE) == {reason for message in MESSAGES.values() for reason in message.declined_for}
    assert set(RESPONSE_CODES) == {"ok", *STATUS_BY_DECLINE}


def test_every_message_that_a_scheme_sends_has_its_path_its_fields_and_its_refusals() -> None:
    paths, schemas = document()["paths"], document()["components"]["schemas"]
    for name, message in MESSAGES.items():
        assert (f"/{name}" in paths) is message.is_sent
        if message.is_sent:
            fields = schemas[f"{name.capitalize()}Request"]
            wired = {wire for field in message.required for wire in _wired(field)}
            assert set(fields["required"]) == wired
            assert set(fields["properties"]) == wired | {wire for field in message.optional for wire in _wired(field)}
            assert {refusal.code for refusal in message.refused_for} <= set(str(paths[f"/{name}"]).split("'"))


def _wired(field: str) -> tuple[str, ...]:
    if field in MONEY:
        return (f"{field}_amount", f"{field}_currency")
    return ("interchange_amount",) if field == "interchange" else (field,)


def test_the_api_document_has_every_code_with_its_status_and_retryability() -> None:
    text = (PROJECT / "docs" / "API.md").read_text()
    rows = re.findall(r"^\| ([0-9]{3}) \| (`[a-z_]+`(?:, `[a-z_]+`)*) \| (yes|no) \|", text, re.MULTILINE)
    written = {
        (code, int(status), retryable == "yes")
        for status, codes, retryable in rows
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    assert written == {(refusal.code, refusal.status, refusal.retryable) for refusal in all_refusals()}


def test_the_api_document_has_every_path() -> None:
    text = (PROJECT / "docs" / "API.md").read_text()
    for _, path, _ in _operations():
        assert path in text or path == "/docs/style.css", path


def test_examples_use_real_currencies() -> None:
    for _, _, operation in _operations():
        for content in _contents(operation):
            for code in re.findall(r"_currency': '([A-Z]{3})'", str(content.get("example"))):
                assert code in MINOR_DIGITS


# --- the page ------------------------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """What a browser would make of it: ids, links, and whether each element is closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "srcset")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


async def _page(site: Site) -> tuple[_Page, str]:
    html = (await site.send("GET", "/docs")).raw.decode()
    return _Page(html), html


async def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(site: Site) -> None:
    page, html = await _page(site)
    css = (await site.send("GET", "/docs/style.css")).raw.decode()
    assert "//" not in "".join(page.links)
    assert re.findall(r"https?://|url\(|@import", html + css) == []
    assert page.tags.isdisjoint({"script", "img", "iframe", "object", "form", "style", "base"})
    assert not [name for name in page.attributes if name.startswith("on") or name == "style"]


async def test_the_pages_links_lead_somewhere(site: Site) -> None:
    page, _ = await _page(site)
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []
    others = {link for link in page.links if not link.startswith("#")}
    assert others == {"/docs/style.css", "/openapi.json"}
    for link in others:
        assert (await site.send("GET", link)).status == 200


async def test_the_page_shows_every_operation_parameter_schema_and_code(site: Site) -> None:
    page, html = await _page(site)
    for _, path, operation in _operations():
        assert operation["operationId"] in page.ids
        assert f"<code>{path}</code>" in html
        for parameter in operation["parameters"]:
            assert f"<code>{parameter['name']}</code>" in html
    for name in document()["components"]["schemas"]:
        assert name in page.ids
    for refusal in all_refusals():
        assert refusal.code in page.ids


async def test_a_problems_type_leads_to_the_pages_word_on_its_code(site: Site) -> None:
    page, _ = await _page(site)
    path, _, fragment = (await site.send("GET", "/nowhere")).json["type"].partition("#")
    assert path == "/docs"
    assert fragment in page.ids


async def test_the_page_has_a_strict_content_security_policy(site: Site) -> None:
    headers = (await site.send("GET", "/docs")).headers
    directives = headers["Content-Security-Policy"].split("; ")
    assert directives == [
        "default-src 'none'",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert (await site.send("GET", "/docs/style.css")).headers["Content-Type"].startswith("text/css")
