"""A thief with a real entry key rewrites the ledger: what he can not do, and what the root does against it."""

from dataclasses import replace
from pathlib import Path

import pytest

from signed_ledger.audit import Report, audit_file
from signed_ledger.audit.steps import Step
from signed_ledger.encoding import decode_entry, encode_entry_note, encode_entry_text, entry_key_name
from signed_ledger.merkle import leaf_hash
from signed_ledger.signing import Signer, note_key_id, read_private_key
from signed_ledger.tables import TABLES
from signed_ledger.trust import read_trust
from tests.processes import Installation, installed
from tests.tampering import Copy, found


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = installed(tmp_path)
    for _ in range(3):
        made.json("load-money", "card-1", "1.00", "EUR")
    return made


def signer_of(installation: Installation, kid: str) -> Signer:
    return read_private_key(installation.keys / "entry" / f"{kid}.pem", lambda: None)


def entry_kid(installation: Installation) -> str:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == "entry" and key["current"]]
    return str(key["kid"])


def forged(installation: Installation, first: int, thief: Signer, end: int | None = None) -> Report:
    """Audit such a ledger."""
    return forgery(installation, first, thief, end).audit(read_trust(installation.trust_file))


def forgery(installation: Installation, first: int, thief: Signer, end: int | None = None) -> Copy:
    """A ledger that from entry `first` on, up to before `end`, is another one, of a tick later, by the thief."""
    path = installation.folder / "forged.db"
    path.unlink(missing_ok=True)
    copy = Copy(installation.database, path)
    with copy.edited() as connection:
        if end is not None:
            for table in TABLES:
                connection.execute(f"DELETE FROM {table.name} WHERE seq >= ?", (end,))
        (before,) = connection.execute("SELECT note FROM entries WHERE seq = ?", (first - 1,)).fetchone()
        query = "SELECT seq, note FROM entries WHERE seq >= ? ORDER BY seq"
        for seq, note in connection.execute(query, (first,)).fetchall():
            entry = decode_entry(note).entry
            text = encode_entry_text(replace(entry, time=entry.time + 1, prev=leaf_hash(before)))
            key_id = note_key_id(entry_key_name(entry.origin), thief.public_key)
            before = encode_entry_note(text, entry.origin, key_id, thief.sign(text))
            connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (before, seq))
    return copy


def test_a_retired_key_signs_no_new_history(installation: Installation) -> None:
    """Re-chain with a stolen but retired key."""
    rotated = installation.json("keys", "rotate", "entry")
    installation.json("load-money", "card-1", "2.00", "EUR")
    head = installation.rows("SELECT max(seq) FROM entries")[0][0]
    thief = signer_of(installation, rotated["old"])
    report = forged(installation, 6, thief)
    assert found(report) == {(seq, 4) for seq in range(rotated["seq"] + 1, head + 1)}
    installation.assert_audits()


def test_a_live_key_signs_a_history_that_only_its_revocation_tells_from_the_true_one(
    installation: Installation,
) -> None:
    """Re-chain with a stolen live key: until the root revokes it, the file alone does not tell."""
    assert forged(installation, 6, signer_of(installation, entry_kid(installation))).ok
    installation.assert_audits()


@pytest.mark.parametrize("first", [6, 9], ids=["before the size of the revocation", "after it"])
def test_the_root_revokes_a_stolen_live_key_at_a_size(installation: Installation, first: int) -> None:
    """The thief takes the root's revocation over into his own history, since its approvals are over its body only."""
    stolen = entry_kid(installation)
    revoked = installation.json("keys", "revoke", stolen, "--at-size", 8)
    installation.json("keys", "reattest", stolen, "--yes")
    installation.json("load-money", "card-1", "2.00", "EUR")
    installation.assert_audits()
    thief = signer_of(installation, stolen)
    own = forged(installation, first, thief, end=revoked["seq"] + 1)
    expected = {(8, Step.REVOCATIONS)} | ({(revoked["seq"] - 1, Step.REVOCATIONS)} if first < 8 else set())
    assert found(own) == expected, own.faults
    (told,) = own.revoked
    assert (told.before, told.signed_again) == (8, 2)
    going_on = forged(installation, first, thief)  # with the true ledger's end, which he can not sign
    assert 4 in {step for _, step in found(going_on)}


def test_entries_of_a_revoked_key_decide_nothing_until_they_are_signed_again(installation: Installation) -> None:
    stolen = entry_kid(installation)
    head = installation.rows("SELECT max(seq) FROM entries")[0][0]
    installation.json("keys", "revoke", stolen, "--at-size", head - 1)
    assert "does not verify" in installation.refused(1, "load-money", "card-1", "2.00", "EUR")
    report = audit_file(installation.database, jobs=1)
    assert {int(fault.step) for fault in report.faults} == {Step.REVOCATIONS}
    assert "say --yes" in installation.refused(1, "keys", "reattest", stolen)
    installation.json("keys", "reattest", stolen, "--yes")
    installation.json("load-money", "card-1", "2.00", "EUR")
    installation.assert_audits()
    assert installation.json("keys", "reattest", stolen, "--yes")["attested"] == []


def test_a_stolen_schemes_key_is_told_from_the_true_one(installation: Installation) -> None:
    installation.json("keys", "revoke", installation.scheme.kid, "--at-size", 3)
    (key,) = [key for key in installation.json("keys", "list") if key["kid"] == installation.scheme.kid]
    assert (key["current"], key["revoked_at"]) == (False, 3)
    installation.assert_audits()
