"""Servers killed under load, at each numbered step of writing and at random: nothing acknowledged is lost or doubled.

`make soak` does the same for an hour: tests/soak.py.
"""

from pathlib import Path

import pytest

from tests.processes import Installation, installed
from tests.surviving import UNDER_LOAD, Death, Survivor


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


async def test_killed_at_each_step_of_writing_nothing_is_lost_or_doubled(installation: Installation) -> None:
    survivor = Survivor(installation, seed=1)
    await survivor.add_cards(3)
    async with survivor.traffic:
        for number, step in enumerate(UNDER_LOAD):
            if step == "inserted card_states":
                await survivor.add_cards()
            await survivor.die(Death(step), workers=1 + number % 2)
        await survivor.end()
    survivor.assert_survived()
    assert set(survivor.deaths) == set(UNDER_LOAD)
