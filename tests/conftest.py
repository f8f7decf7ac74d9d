"""Fixtures that several audit tests share: a ledger with every kind of entry, and a copy to tamper with."""

import asyncio

import pytest

from tests.support import Sample, make_sample
from tests.tampering import Copy


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return asyncio.run(make_sample(tmp_path_factory.mktemp("sample")))


@pytest.fixture(scope="module")
def made(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(sample.path, tmp_path_factory.mktemp("copy") / "ledger.db")


@pytest.fixture
def copy(made: Copy) -> Copy:
    made.restore()
    return made
