"""A log as others meet it: served by a real process, exported as files, and a receipt from it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import pytest

from scripts.send_webhook import sign_request
from signed_ledger.checkpoints import vkey_of
from signed_ledger.encoding import Receipt, decode_base64, decode_checkpoint, decode_proof, decode_receipt
from signed_ledger.money import Money
from signed_ledger.records import Load
from tests.callers import authorisation, send
from tests.processes import Installation, Server, installed
from tests.support import assert_audits

LOADS = 100
"""Enough that the first tiles are full: each load is several entries."""


class Log(NamedTuple):
    """What an outsider gets: the URL, the tiles as files with the checkpoint, keys, an older checkpoint, a receipt."""

    url: str
    folder: Path
    tiles: Path
    old_checkpoint: Path
    vkey: str
    entry_vkey: str
    trust: Path
    receipt_file: Path
    receipt: Receipt
    size: int

    def written(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    installation = installed(tmp_path_factory.mktemp("installation"))
    loads = [Load(f"many-{number}", "card-1", Money(1, "EUR")) for number in range(LOADS)]
    asyncio.run(installation.submit(*loads))
    with installation.serve() as server:
        yield _meet(installation, server, tmp_path_factory.mktemp("outsider"))
    assert_audits(installation.database)


def _meet(installation: Installation, server: Server, folder: Path) -> Log:
    """What acme collects: its first receipt's checkpoint, then another receipt, the tiles and the registry."""
    first = decode_receipt(_decided(installation, server, "t-1"))
    (folder / "old-checkpoint").write_bytes(decode_proof(first.proof).checkpoint)
    receipt = _decided(installation, server, "t-2")
    (folder / "receipt.json").write_bytes(receipt)
    installation.printed("export", "--tiles", folder / "tiles")
    keys = {key["role"]: key for key in json.loads(_get(f"{server.url}/keys"))["keys"]}
    entry_key = decode_base64(keys["entry"]["public_key"], "public_key", 32)
    return Log(
        url=server.url,
        folder=folder,
        tiles=folder / "tiles",
        old_checkpoint=folder / "old-checkpoint",
        vkey=keys["checkpoint"]["vkey"],
        entry_vkey=vkey_of(f"{keys['entry']['whose']}/entry", entry_key),
        trust=installation.trust_file,
        receipt_file=folder / "receipt.json",
        receipt=decode_receipt(receipt),
        size=decode_checkpoint((folder / "tiles" / "checkpoint").read_bytes()).checkpoint.size,
    )


def _decided(installation: Installation, server: Server, name: str) -> bytes:
    """Ask, and get the receipt of the answer."""
    told = send(server.url, installation.scheme, "/authorisation", f"wh-{name}", authorisation(name))
    url = server.url + told.document["receipt"]
    return _get(url, sign_request(installation.scheme.key, "GET", url, None, None))


def _get(url: str, headers: dict[str, str] | None = None) -> bytes:
    with urlopen(Request(url, headers=headers or {})) as answer:
        return bytes(answer.read())
