"""A person asks to be forgotten: what is told of a card goes, and all else stays proved."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import CardNotFound, StateConflict
from signed_ledger.ledger import Settling
from signed_ledger.records import AccountId, Request
from signed_ledger.rebuild import rebuild
from signed_ledger.rules import Asked, ChangeCard, Erase, Settle
from signed_ledger.store import empty_log
from signed_ledger.tables import DERIVED_TABLES
from tests.support import Sample, assert_audits, make_sample, rows
from tests.tampering import Copy, found
from tests.world import World, authorisation, balances_of, opened, presentment

WHO, WHY = "case 2026-117", "article 17"


async def settled_sample(folder: Path) -> Sample:
    """The sample, with nothing held on c1 any more, and everything settled."""
    sample = await make_sample(folder)
    async with opened(sample.world) as ledger:
        for name in ("open", "open-too"):
            await sample.send(ledger, f"{name}-undone", "reversal", transaction_id=name)
        newest = rows(sample.path, "SELECT max(seq) FROM settlements")[0][0]
        settle = Settling(Settle("visa", "2026-11-25", sample.world.clock()), newest, newest, {})
        await sample.record(ledger, "second-settlement", settle)
    return sample


async def test_first(tmp_path: Path) -> None:
    sample = await settled_sample(tmp_path)
    before = await balances_of(sample.world, "card:c1", "card:c2", "issuer", "scheme:visa")
    async with opened(sample.world) as ledger:
        answer = await ledger.submit(Erase("c1", WHO, WHY))
        await empty_log(ledger._store)
    assert await balances_of(sample.world, "card:c1", "card:c2", "issuer", "scheme:visa") == before
    report = assert_audits(sample.path, sample.trust)
    print(report.erased, report.not_known, answer)
    derived = {t.name: rows(sample.path, f"SELECT * FROM {t.name}") for t in DERIVED_TABLES}
    rebuild(sample.path)
    assert derived == {t.name: rows(sample.path, f"SELECT * FROM {t.name}") for t in DERIVED_TABLES}
    assert_audits(sample.path, sample.trust)
