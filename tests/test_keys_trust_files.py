"""A trust file of before a change of the root keys, and one of after it: both are the ledger's."""

from pathlib import Path

import pytest

from signed_ledger.trust import read_trust
from tests.processes import installed
from tests.support import assert_audits


def test_the_trust_files_before_and_after_a_root_change_both_verify(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    changed = installation.json("keys", "root", "--new-keys", 3, "--threshold", 2)
    new, old = read_trust(Path(changed["trust_file"])), read_trust(Path(changed["kept"]))
    assert (len(old.root_keys), len(new.root_keys)) == (1, 3)
    assert assert_audits(installation.database, new).trusted_since == changed["seq"]
    assert assert_audits(installation.database, old).trusted_since == 0


def test_a_server_with_the_trust_file_of_before_serves_and_says_so(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    changed = installation.json("keys", "root", "--new-keys", 3, "--threshold", 2)
    installation.trust_file.write_bytes(Path(changed["kept"]).read_bytes())
    with installation.serve() as server:
        (line,) = [line for line in server.lines if line["event"] == "trust_file_is_old"]
    assert line["newest_seq"] == changed["seq"]
    installation.assert_audits()


@pytest.mark.parametrize("options", [(), ("--new-keys", 1, "--root-public-key", "acme.pub.pem")])
def test_a_root_change_says_how_its_keys_are_named(tmp_path: Path, options: tuple[object, ...]) -> None:
    installation = installed(tmp_path)
    assert "--new-keys" in installation.refused(2, "keys", "root", "--threshold", 1, *options)
    assert "--threshold" in installation.refused(2, "keys", "root", "--new-keys", 1, "--threshold", 2)
    installation.assert_audits()


def test_a_next_key_that_is_not_here_is_named(tmp_path: Path) -> None:
    installation = installed(tmp_path)
    rotated = installation.json("keys", "rotate", "entry")
    file = Path(rotated["next_file"])
    file.rename(tmp_path / "offline.pem")
    assert str(file) in installation.refused(2, "keys", "rotate", "entry")
    (tmp_path / "offline.pem").rename(file)
    assert installation.json("keys", "rotate", "entry")["new"] == rotated["next"]
    installation.assert_audits()
