"""Fixtures that several audit tests share: a ledger with every kind of entry, and a copy to tamper with.

Tests log what goes wrong, as a service does by default; a line for each of their thousands of entries takes its time.
"""

import asyncio
import logging

import pytest
import structlog

from tests.support import Sample, make_sample
from tests.tampering import Copy

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))


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
