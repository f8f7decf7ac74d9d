"""GET /receipts/{seq}: what proves an entry, to whom it may be shown, and when there is none yet."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.api import reading as api_reading
from signed_ledger.encoding import decode_proof, decode_receipt
from signed_ledger.merkle import Tile, inclusion_tiles
from signed_ledger.receipts import check_receipt
from signed_ledger.rules import Erase
from tests.api_support import Caller, Site, Told, open_ledger, serving
from tests.support import trust_of
from tests.world import StandardParty, authorisation, opened, presentment

ALL = ("body", "evidence", "state")


class Shop:
    """A served ledger that is published after every entry; acme's authorisation, and one of bolt's."""

    def __init__(self, site: Site, acme: Caller, bolt: Caller, desk: Caller, auditor: Caller) -> None:
        self.site, self.acme, self.bolt, self.desk, self.auditor = site, acme, bolt, desk, auditor
        self.told: dict[str, Any] = {}

    async def get(self, caller: Caller, seq: object) -> Told:
        return await self.site.get(caller, f"/receipts/{seq}")

    async def shown(self, caller: Caller, seq: int) -> tuple[str, ...]:
        """The parts shown in a receipt that proves what it should."""
        told = await self.get(caller, seq)
        assert (told.status, told.headers["Content-Type"]) == (200, "application/json")
        receipt = decode_receipt(told.raw)
        checked = check_receipt(receipt, trust_of(self.site.world))
        assert checked.ok, checked.fault
        assert checked.seq == seq
        return tuple(sorted(told.json["parts"]))


@asynccontextmanager
async def _shop(folder: Path, audited: bool = True) -> AsyncIterator[Shop]:
    async with serving(folder, audited=audited) as site:
        for card_id in ("card-1", "card-2"):
            await site.load(card_id, 10_000)
        acme, bolt = [await site.caller("scheme", name) for name in ("acme", "bolt")]
        shop = Shop(site, acme, bolt, await site.caller("operator", "desk"), await site.caller("auditor", "audra"))
        for scheme, card_id in ((acme, "card-1"), (bolt, "card-2")):
            told = await site.post(scheme, "/authorisation", authorisation("tx-1", card_id, "4.00"))
            shop.told[scheme.name] = told.json
        await site.publisher.publish()
        yield shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with _shop(tmp_path) as shop:
        yield shop


async def test_the_answer_to_every_decision_names_its_receipt(shop: Shop) -> None:
    site = shop.site
    posted = await site.post(shop.acme, "/presentment", presentment("tx-1", "4.00"), "wh-1")
    again = await site.post(shop.acme, "/presentment", presentment("tx-1", "4.00"), "wh-1")
    declined = await site.post(shop.acme, "/authorisation", authorisation("tx-2", "card-1", "9999.00"))
    await site.publisher.publish()
    assert (posted.status, declined.status) == (200, 403)
    assert again.raw == posted.raw
    for told in (shop.told["acme"], posted.json, declined.json):
        assert told["receipt"] == f"/receipts/{told['seq']}"
        receipt = decode_receipt((await site.get(shop.acme, told["receipt"])).raw)
        assert receipt.entry.decode() == told["entry"]
        assert receipt.parts.body is not None
        assert receipt.parts.body.decode() == told["body"]


async def test_operators_and_auditors_get_every_entry_whole(shop: Shop) -> None:
    seq = shop.told["acme"]["seq"]
    assert await shop.shown(shop.desk, seq) == ALL
    assert await shop.shown(shop.auditor, seq) == ALL
    for other in range(await shop.site.reader.head() + 1):
        assert "body" in await shop.shown(shop.desk, other)


async def test_a_scheme_gets_its_own_without_the_balance(shop: Shop) -> None:
    assert await shop.shown(shop.acme, shop.told["acme"]["seq"]) == ("body", "evidence")
    assert await shop.shown(shop.bolt, shop.told["bolt"]["seq"]) == ("body", "evidence")


async def test_a_scheme_gets_nothing_that_is_not_its_own(shop: Shop) -> None:
    """Of another Scheme, of the registry, of an account, a load, a journal line: refused before it is looked at."""
    own = shop.told["acme"]["seq"]
    for seq in range(await shop.site.reader.head() + 1):
        if seq != own:
            told = await shop.get(shop.acme, seq)
            assert told.facts == (403, "role_not_allowed", "signature-input"), seq


async def test_what_is_no_entry_has_no_receipt(shop: Shop) -> None:
    head = await shop.site.reader.head()
    assert (await shop.get(shop.desk, head + 1)).facts == (404, "entry_not_found", "seq")
    assert (await shop.get(shop.acme, head + 1)).facts == (404, "entry_not_found", "seq")
    for wrong in ("x", "-1", "01"):
        assert (await shop.get(shop.desk, wrong)).facts == (400, "malformed", "seq")
    assert (await shop.get(shop.desk, "1?x=1")).facts == (400, "malformed", "x")


async def test_who_does_not_sign_gets_none(shop: Shop) -> None:
    assert (await shop.site.send("GET", "/receipts/1")).facts[:2] == (401, "signature_missing")
    await shop.site.retire(shop.acme, "scheme")
    assert (await shop.get(shop.acme, shop.told["acme"]["seq"])).facts[:2] == (401, "key_revoked")


async def test_an_entry_that_is_not_published_yet_is_waited_for(shop: Shop) -> None:
    seq = await shop.site.load("card-1", 100)
    waiting = asyncio.ensure_future(shop.get(shop.desk, seq))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await shop.site.publisher.publish()
    assert (await waiting).status == 200


async def test_one_that_is_not_published_in_time_is_to_be_asked_for_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_reading, "COVERING_SECONDS", 0.05)
    told = await shop.get(shop.desk, await shop.site.load("card-1", 100))
    assert told.facts[:2] == (503, "overloaded")
    assert told.json["retryable"] is True
    assert told.headers["Retry-After"] == "1"


async def test_receipts_go_on_after_another_process_rotated_both_keys(shop: Shop) -> None:
    site = shop.site
    other = await open_ledger(site.world, site.metrics)
    await site.world.rotate_entry_key(other)
    await site.world.rotate_checkpoint_key(other)
    await other.close()
    seq = await site.load("card-1", 100)
    publisher = site.world.publisher(site.ledger, site.reader)
    await publisher.open()
    await publisher.publish()
    await site.publisher.refresh()
    assert await shop.shown(shop.desk, seq) == ("body",)
    assert await shop.shown(shop.acme, shop.told["acme"]["seq"]) == ("body", "evidence")


async def test_it_is_made_from_the_tiles_of_its_proof_and_no_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, seq = shop.site, shop.told["acme"]["seq"]
    read: list[Tile] = []
    tile = site.reader.tile

    async def counted(wanted: Tile) -> bytes | None:
        read.append(wanted)
        return await tile(wanted)

    monkeypatch.setattr(site.reader, "tile", counted)
    told = await shop.get(shop.desk, seq)
    proof = decode_proof(decode_receipt(told.raw).proof)
    assert site.publisher.newest is not None
    assert read == inclusion_tiles(proof.seq, site.publisher.newest.size)


EDITS = {
    "a part": "UPDATE parts SET body = CAST(replace(body, '4.00', '9.00') AS BLOB) WHERE seq = {seq}",
    "an entry": "UPDATE entries SET note = CAST(replace(note, '2026', '2027') AS BLOB) WHERE seq = {seq}",
    "another entry": "UPDATE entries SET note = CAST(replace(note, '2026', '2027') AS BLOB) WHERE seq = 1",
}


@pytest.mark.parametrize("edit", [pytest.param(edit, id=name) for name, edit in EDITS.items()])
async def test_a_ledger_that_was_edited_gives_no_receipt(tmp_path: Path, edit: str) -> None:
    async with _shop(tmp_path, audited=False) as shop:
        seq = shop.told["acme"]["seq"]
        with closing(sqlite3.connect(shop.site.world.path, isolation_level=None)) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            assert connection.execute(edit.format(seq=seq)).rowcount == 1
        told = await shop.get(shop.desk, seq)
        assert told.facts[:2] == (500, "integrity_violation")
        assert shop.site.counted("signed_ledger_integrity_alarms_total") == 1


async def test_an_erased_entry_is_proven_without_what_it_said(shop: Shop) -> None:
    site, seq = shop.site, shop.told["acme"]["seq"]
    await site.post(shop.acme, "/reversal", {"transaction_id": "tx-1"})
    await site.ledger.submit(Erase("card-1", "case 1", "asked"))
    await site.publisher.publish()
    assert "body" not in await shop.shown(shop.desk, seq)
    told = await shop.get(shop.acme, seq)
    assert told.facts == (403, "role_not_allowed", "signature-input")
    assert "Nothing of entry" in told.json["detail"]


async def test_what_a_scheme_signed_by_standard_webhooks_is_proven_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        async with opened(site.world) as ledger:
            acme = await site.world.register(ledger, "scheme", "acme", StandardParty)
            await site.world.load(ledger, "card-1", 100_00)
            asked = site.world.webhook(acme, "authorisation", authorisation("tx-1", "card-1", "4.00"))
            seq = (await ledger.submit(asked)).seq
        await site.ledger.look()
        await site.publisher.publish()
        desk = await site.caller("operator", "desk")
        receipt = decode_receipt((await site.get(desk, f"/receipts/{seq}")).raw)
        checked = check_receipt(receipt, trust_of(site.world))
        assert checked.ok, checked.fault
        assert any("asks for what the body says" in sentence for _, sentence in checked.proven)
        assert any("To which host and path" in sentence for sentence in checked.not_proven)
