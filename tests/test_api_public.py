"""What anyone may ask: the key registry, health and readiness, and the documents."""

import base64
import hashlib

import pytest

from tests.api_support import Site
from tests.world import ORIGIN


async def test_the_registry_tells_every_key_and_when_it_is_valid(site: Site) -> None:
    for role, name in (("operator", "olga"), ("scheme", "acme")):
        await site.caller(role, name)
    await site.retire(await site.caller("scheme", "bolt"), "scheme")
    told = (await site.send("GET", "/keys")).json
    assert (told["origin"], told["threshold"], len(told["root_keys"])) == (ORIGIN, 1, 1)
    assert [(key["role"], key["whose"], key["valid_to"] is None) for key in told["keys"]] == [
        ("entry", ORIGIN, True),
        ("checkpoint", ORIGIN, True),
        ("operator", "olga", True),
        ("scheme", "acme", True),
        ("scheme", "bolt", False),
    ]
    for key in told["keys"]:
        der = base64.b64decode("".join(key["pem"].splitlines()[1:-1]))
        assert hashlib.sha256(der).hexdigest() == key["kid"]
        assert der.endswith(base64.b64decode(key["public_key"]))


@pytest.mark.parametrize("path", ["/keys", "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/style.css"])
async def test_anyone_may_ask_for_what_is_public_by_get_or_head(site: Site, path: str) -> None:
    told = await site.send("GET", path)
    head = await site.send("HEAD", path)
    assert (told.status, head.status, head.raw) == (200, 200, b"")
    assert head.headers["Content-Length"] == str(len(told.raw))


async def test_readiness_tells_the_head(site: Site) -> None:
    assert (await site.send("GET", "/readyz")).json == {"status": "ok", "head": await site.reader.head()}
