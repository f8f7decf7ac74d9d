"""The docs page: HTML from the OpenAPI document, for people. No script, nothing loaded from elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

import orjson

from signed_ledger.api.problems import PROBLEM_TYPE

CSS: Final = files("signed_ledger.api").joinpath("style.css")
"""Its only asset: /docs/style.css."""

Document = dict[str, Any]


def render_page(document: Document) -> str:
    """Give the page of an OpenAPI document: each operation, each schema, each code."""
    info = document["info"]
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(info['title'])}</title>"
        '<link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<header><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f"<p class=lead>{escape(info['summary'])}</p><p>{escape(info['description'])}</p>"
        '<p><a href="/openapi.json">OpenAPI 3.1</a></p></header>'
        f"<nav>{_contents(document)}</nav><main>{''.join(_sections(document))}</main></body></html>\n"
    )


def _operations(document: Document, tag: str) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _contents(document: Document) -> str:
    parts = []
    for tag in document["tags"]:
        links = (
            f'<li><a href="#{operation["operationId"]}"><b>{method}</b> {escape(path)}</a></li>'
            for method, path, operation in _operations(document, tag["name"])
        )
        parts.append(f"<h2>{escape(tag['name'].title())}</h2><ul>{''.join(links)}</ul>")
    return (
        "".join(parts)
        + '<h2>More</h2><ul><li><a href="#codes">Codes</a></li><li><a href="#shapes">Schemas</a></li></ul>'
    )


def _sections(document: Document) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'].title())}</h2><p>{escape(tag['description'])}</p>"
        for security in _securities(document, tag["name"]):
            yield f"<p class=note>{escape(security['description'])}</p>"
        for method, path, operation in _operations(document, tag["name"]):
            yield _operation(method, path, operation)
    yield f"<h2 id=codes>Codes</h2>{_codes(document)}"
    yield "<h2 id=shapes>Schemas</h2>"
    for name, shape in document["components"]["schemas"].items():
        yield f'<section><h3 id="{name}">{name}</h3>{_shape(shape)}</section>'


def _securities(document: Document, tag: str) -> Iterator[Document]:
    """How the operations of a tag are signed: each way that one of them names."""
    ways = [name for _, _, operation in _operations(document, tag) for way in operation["security"] for name in way]
    for name in dict.fromkeys(ways):
        yield document["components"]["securitySchemes"][name]


def _operation(method: str, path: str, operation: Document) -> str:
    body = operation.get("requestBody")
    answers = "".join(_response(status, answer) for status, answer in operation["responses"].items())
    return (
        f'<section><h3 id="{operation["operationId"]}"><span class="method {method.lower()}">{method}</span> '
        f"<code>{escape(path)}</code></h3><p class=lead>{escape(operation['summary'])}</p>"
        f"<p>{escape(operation['description'])}</p>{_parameters(operation['parameters'])}"
        f"{'<h4>Body</h4>' + _contents_of(body['content']) if body else ''}"
        f"<h4>Answers</h4>{answers}</section>"
    )


def _parameters(parameters: list[Document]) -> str:
    if not parameters:
        return ""
    rows = (
        (
            f"<code>{escape(each['name'])}</code>",
            each["in"] + (", required" if each["required"] else ""),
            _kind(each["schema"]),
            escape(each["description"]),
        )
        for each in parameters
    )
    return f"<h4>Parameters</h4>{_table(('name', 'where', 'type', 'meaning'), rows)}"


def _response(status: str, response: Document) -> str:
    kind = "good" if status < "300" else "bad"
    headers = "".join(
        f"<p>Header <code>{escape(name)}</code>: {escape(header['description'])}</p>"
        for name, header in response.get("headers", {}).items()
    )
    about = f"<summary><b class={kind}>{status}</b> {escape(response['description'])}</summary>"
    return f"<details>{about}{headers}{_contents_of(response['content'])}</details>"


def _contents_of(content: Document) -> str:
    return "".join(_media(media, each) for media, each in content.items())


def _media(media: str, content: Document) -> str:
    if media == PROBLEM_TYPE:
        codes = ", ".join(f'<a href="#{code}"><code>{code}</code></a>' for code in content["examples"])
        first = next(iter(content["examples"].values()))["value"]
        return f"<p><code>{escape(media)}</code> {_link('Problem')}: {codes}</p>{_sample(first)}"
    told = f"<p><code>{escape(media)}</code> {_kind(content['schema'])}</p>"
    return told + (_sample(content["example"]) if "example" in content else "")


def _sample(value: Any) -> str:
    return f"<pre><code>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</code></pre>"


def _codes(document: Document) -> str:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    responses = [response for operation in operations for response in operation["responses"].values()]
    rows = {
        code: _code(code, example["value"])
        for response in [*document["components"]["responses"].values(), *responses]
        for code, example in response["content"].get(PROBLEM_TYPE, {}).get("examples", {}).items()
    }
    return _table(("code", "status", "meaning", "retryable"), sorted(rows.values(), key=lambda row: row[1]))


def _code(code: str, problem: Document) -> list[str]:
    retryable = "yes" if problem["retryable"] else "no"
    return [f'<code id="{code}">{code}</code>', str(problem["status"]), escape(problem["title"]), retryable]


def _shape(shape: Document) -> str:
    about = f"<p>{escape(shape['description'])}</p>" if "description" in shape else ""
    if "properties" not in shape:
        return about
    required = shape.get("required", [])
    rows = (
        (
            f"<code>{escape(name)}</code>",
            _kind(member) + ("" if name in required else ", optional"),
            escape(member.get("description", "")),
        )
        for name, member in shape["properties"].items()
    )
    return about + _table(("field", "type", "meaning"), rows)


def _kind(shape: Document) -> str:
    """A schema in a few words."""
    if "$ref" in shape:
        return _link(shape["$ref"].rpartition("/")[2])
    if "oneOf" in shape:
        return " or ".join(_kind(each) for each in shape["oneOf"])
    if "const" in shape:
        return f"<code>{escape(_literal(shape['const']))}</code>"
    if "enum" in shape:
        return " ".join(f"<code>{escape(_literal(each))}</code>" for each in shape["enum"])
    kinds = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
    told = " or ".join(kinds)
    if kinds == ["array"]:
        told = f"list of {_kind(shape['items'])}"
    if "pattern" in shape:
        told += f" <code class=pattern>{escape(shape['pattern'])}</code>"
    return told


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _link(name: str) -> str:
    return f'<a href="#{name}">{name}</a>'


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th scope=col>{title}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=table><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>"
