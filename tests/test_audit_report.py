"""What the audit reports: facts, faults in order, what it can not know; the same however many processes work."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from signed_ledger.audit import Trust, audit_file, running
from signed_ledger.audit.steps import Step
from signed_ledger.merkle import leaf_hash
from signed_ledger.signing import SoftwareSigner
from tests.support import Sample, assert_audits, make_sample
from tests.tampering import Copy, found
from tests.world import ORIGIN, authorisation, opened

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "verify_chain.py"


@pytest.fixture
def faulty(copy: Copy) -> Copy:
    """Faults in many places, of many steps."""
    with copy.edited() as connection:
        connection.execute("UPDATE parts SET body = x'00' WHERE seq % 7 = 3")
        connection.execute("UPDATE entries SET note = substr(note, 1, 200) WHERE seq % 11 = 5")
        connection.execute("UPDATE account_states SET posted = posted + 1 WHERE seq % 5 = 0")
        connection.execute("DELETE FROM webhooks WHERE seq % 2 = 0")
    return copy


# --- the report ----------------------------------------------------------------------------------------------------


def test_the_facts_are_the_ledgers(sample: Sample) -> None:
    report = assert_audits(sample.path, sample.trust)
    assert (report.origin, report.transactions, report.batches) == (ORIGIN, 27, 11)
    assert report.head is not None
    assert report.head.seq == report.entries - 1
    totals = {total.currency: total for total in report.totals}
    assert {total.posted for total in report.totals} == {0}
    eur, usd = totals["EUR"], totals["USD"]
    assert (eur.issuer, eur.schemes, eur.cards, eur.external, eur.held) == (-118_55, 3_00, 65_10, 50_45, 32_00)
    assert (usd.issuer, usd.schemes, usd.cards, usd.external, usd.held) == (-32_10, 0, 0, 32_10, 0)
    ended = {(key.role, key.whose) for key in report.keys if key.valid_to is not None}
    assert ended == {("entry", ORIGIN), ("scheme", "amex")}
    assert [result.step for result in report.steps] == list(Step)
    assert all(result.checked for result in report.steps if result.step <= Step.DECISIONS)


def test_the_head_is_the_leaf_of_the_last_entry(sample: Sample, copy: Copy) -> None:
    with copy.edited() as connection:
        (note,) = connection.execute("SELECT note FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    head = assert_audits(sample.path).head
    assert head is not None
    assert head.leaf == leaf_hash(note)


def test_faults_are_listed_in_order_of_seq_then_step(faulty: Copy) -> None:
    faults = [(seq, step) for seq, step, _ in faulty.audit().faults if seq is not None]
    assert len(faults) > 10
    assert faults == sorted(faults)


@pytest.mark.parametrize("state", ["genuine", "faulty"])
def test_one_process_and_two_say_the_same(
    copy: Copy, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(running, "SMALL_LEDGER_ENTRIES", 0)
    monkeypatch.setattr(running, "CHUNK_ENTRIES", 3)
    monkeypatch.setattr(running, "CHUNKS_AHEAD_PER_JOB", 2)
    if state == "faulty":
        request.getfixturevalue("faulty")
    one, two = (replace(audit_file(copy.path, jobs=jobs), seconds=0.0) for jobs in (1, 2))
    assert one == two
    assert one.ok == (state == "genuine")


def test_progress_goes_up_to_the_number_of_entries(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK_ENTRIES", 10)
    told: list[tuple[int, int]] = []
    report = audit_file(sample.path, progress=lambda settled, total: told.append((settled, total)))
    assert told == [*((settled, 81) for settled in range(10, 81, 10)), (81, 81)]
    assert report.entries == 81


async def test_a_ledger_is_audited_while_it_is_served(tmp_path: Path) -> None:
    sample = await make_sample(tmp_path)
    async with opened(sample.world) as ledger:
        before = await asyncio.to_thread(assert_audits, sample.path, sample.trust)
        for number in range(20):
            audit = asyncio.create_task(asyncio.to_thread(assert_audits, sample.path, sample.trust))
            for _ in range(5):
                body = authorisation(f"more-{number}-{_}", "c2", "0.10")
                await ledger.submit(sample.world.webhook(sample.visa, "authorisation", body))
            await audit
        after = assert_audits(sample.path, sample.trust)
    assert after.entries == before.entries + 100


def test_a_log_that_can_not_be_read_is_said(sample: Sample, tmp_path: Path) -> None:
    """Where SQLite can not make its lock file (a folder that is not writable) the file alone is read."""
    path = tmp_path / "ledger.db"
    path.write_bytes(sample.path.read_bytes())
    (tmp_path / "ledger.db-wal").write_bytes(b"anything")
    (tmp_path / "ledger.db-shm").symlink_to(tmp_path / "none" / "none")
    report = audit_file(path)
    assert report.ok
    assert any("write-ahead log" in sentence for sentence in report.not_known)


# --- trust ---------------------------------------------------------------------------------------------------------


def test_that_no_trust_file_was_given_is_said(sample: Sample) -> None:
    report = audit_file(sample.path)
    assert report.ok
    assert report.steps[0].checked == 0
    assert report.not_known[0].startswith("No trust file was given")
    assert not any("trust file" in sentence for sentence in audit_file(sample.path, trust=sample.trust).not_known)


def test_another_trust_file_is_a_fault_of_step_1(sample: Sample) -> None:
    genuine, other = sample.trust, SoftwareSigner(os.urandom(32)).public_key
    for trust in (
        replace(genuine, origin="issuer.example/other"),
        replace(genuine, root_keys=(other,)),
        replace(genuine, root_keys=(*genuine.root_keys, other)),
        Trust(genuine.origin, (*genuine.root_keys, other), 2),
    ):
        assert {step for _, step in found(audit_file(sample.path, trust=trust))} == {1}


def test_for_whom_the_requests_were_signed_is_said(sample: Sample) -> None:
    """A Scheme's request to another Issuer is well signed too: only the host name tells."""
    assert any(sentence.endswith("signed for: issuer.example.") for sentence in audit_file(sample.path).not_known)
