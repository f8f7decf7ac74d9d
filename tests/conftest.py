"""Fixtures that several files share: a ledger with every kind of entry, a copy to tamper with, a server and its Scheme.

Tests log what goes wrong, as a service does by default; a line for each of their thousands of entries takes its time.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from signed_ledger.tables import Table
from tests.api_support import Caller, Site, serving
from tests.support import Sample, make_long_sample, make_sample
from tests.tampering import Copy

LONGEST = (
    *("disk_faults", "killed", "keys_broken_off", "export_tiles", "message_order", "first_form", "keys_worst_day"),
    *("rebuild", "pkcs11", "stateful", "audit_stretches", "last_seen", "keys_commands", "keys_revoked_serving"),
    *("keys_serving", "merkle", "audit_bytes", "reconcile", "receipts", "demo", "cli_checkpoint", "audit_document"),
    *("cli_witness", "serve_witnesses", "settlement_files"),
)
"""Modules of ten seconds and more begin first: one that begins last keeps a worker busy while the others have ended."""

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

# It asks how fast the machine is: beside other work, examples that are made well within a second fail it.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` has pytest-xdist give out modules in this order."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


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


@pytest.fixture(scope="module")
def long_sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """With full tiles."""
    return asyncio.run(make_long_sample(tmp_path_factory.mktemp("long")))


@pytest.fixture(scope="module")
def long_made(long_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(long_sample.path, tmp_path_factory.mktemp("long-copy") / "ledger.db")


@pytest.fixture
def long_copy(long_made: Copy) -> Copy:
    long_made.restore()
    return long_made


@pytest.fixture
def copy_with(table: Table, request: pytest.FixtureRequest) -> Copy:
    """The smallest copy in which the table has a row."""
    copy: Copy = request.getfixturevalue("long_copy" if table.name == "tiles" else "copy")
    return copy


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as site:
        yield site


@pytest.fixture
async def acme(site: Site) -> Caller:
    """A Scheme, and a card with 100.00 EUR."""
    await site.load("card-1", 10_000)
    return await site.caller("scheme", "acme")
