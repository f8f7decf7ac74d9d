"""A card is erased, and keys are stolen: before, after, and by whom."""

from pathlib import Path

import pytest

from signed_ledger.audit import Report, audit_file
from tests.processes import Installation, installed

ASKED = ("--asked-by", "case 7", "--why", "asked", "--yes")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = installed(tmp_path)
    made.json("load-money", "card-1", "1.00", "EUR")
    return made


def size(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM entries")[0][0])


def entry_kid(installation: Installation) -> str:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "entry" and key["current"]]
    return str(key["kid"])


def audited(installation: Installation) -> Report:
    return audit_file(installation.database, jobs=1)


def test_an_erasure_by_a_revoked_key_excuses_no_missing_part_until_it_is_signed_again(
    installation: Installation,
) -> None:
    stolen, before = entry_kid(installation), size(installation)
    installation.json("erase", "--card", "card-1", *ASKED)
    installation.json("keys", "revoke", stolen, "--at-size", before)
    report = audited(installation)
    assert report.erasures == 0
    assert {int(fault.step) for fault in report.faults} == {3, 14}
    assert all((fault.seq or 0) < before for fault in report.faults if fault.step == 3)
    installation.json("keys", "reattest", stolen, "--yes")
    assert audited(installation).erasures == 1
    installation.assert_audits()


def test_an_erasure_before_the_size_of_a_revocation_still_counts(installation: Installation) -> None:
    installation.json("erase", "--card", "card-1", *ASKED)
    installation.json("keys", "revoke", entry_kid(installation), "--at-size", size(installation))
    assert audited(installation).erasures == 1
    installation.assert_audits()


def test_a_card_is_erased_once_its_entries_are_signed_again(installation: Installation) -> None:
    stolen, before = entry_kid(installation), size(installation)
    installation.json("load-money", "card-1", "2.00", "EUR")
    installation.json("keys", "revoke", stolen, "--at-size", before)
    assert "not signed again" in installation.refused(1, "erase", "--card", "card-1", *ASKED)
    installation.json("keys", "reattest", stolen, "--yes")
    installation.json("erase", "--card", "card-1", *ASKED)
    installation.assert_audits()
