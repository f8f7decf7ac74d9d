"""The first form ends with the first entry that release 0.1 could not have written, of whatever kind it is."""

from pathlib import Path

import pytest

from signed_ledger.ledger import Settling
from signed_ledger.ledger.submissions import Submission
from signed_ledger.rules import ChangeCard, Settle
from tests.cheating import CheatingIssuer, authorised
from tests.support import SAMPLE_TERMS, Sample, assert_audits
from tests.tampering import Copy, found
from tests.world import START, World, opened

LATER: dict[str, Submission] = {
    "a card's entry": ChangeCard("bind", "c1", "visa"),
    "terms": SAMPLE_TERMS,
    "a settlement": Settling(Settle("visa", "2026-11-23", START), -1, -1, {}),
}


@pytest.mark.parametrize("later", [None, *LATER])
async def test_nothing_of_the_first_form_comes_after_what_release_0_1_did_not_know(
    tmp_path: Path, later: str | None
) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        visa = await world.register(ledger, "scheme", "visa")
        await world.load(ledger, "c1", 100_00)
        if later is not None:
            await ledger.submit(LATER[later])
    assert_audits(world.path)
    copy = Copy(world.path, tmp_path / "copy.db")
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, Sample(world, visa, visa, visa))
        body, evidence = authorised(issuer, "1.00")
        seq = issuer.write(body.in_first_form, evidence)
    assert found(copy.audit()) == (set() if later is None else {(seq, 11)})
