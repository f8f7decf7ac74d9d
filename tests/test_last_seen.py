"""`verify --last-seen`: the ledger has grown from what was seen; what was verified is proven, not verified again."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit import run_verify
from signed_ledger.audit.last_seen import read_last_seen
from signed_ledger.audit.running import audit_since
from signed_ledger.checkpoints import sign_checkpoint, vkey_of
from signed_ledger.encoding import COSIGNATURE, decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.merkle import Tree, leaf_hash
from signed_ledger.records import Checkpoint, JournalLine, Opening
from signed_ledger.signing import SoftwareSigner
from signed_ledger.tables import TABLES
from tests.support import Sample, edit, load_to, make_sample, publish, rows, verify_options
from tests.world import ORIGIN, World, opened


def verify(path: Path, seen: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    out, err = io.StringIO(), io.StringIO()
    status = run_verify(path, None, verify_options(json=True, last_seen=seen, **options), out, err)
    assert status == 2 or not err.getvalue()
    return status, json.loads(out.getvalue()) if status != 2 else {"error": err.getvalue()}


def size_in(seen: Path) -> int:
    found = read_last_seen(seen)
    assert found is not None
    return found.size


@pytest.fixture
async def sample(tmp_path: Path) -> Sample:
    return await make_sample(tmp_path)


@pytest.fixture
def seen(sample: Sample, tmp_path: Path) -> Path:
    """What a first run over the sample writes down."""
    path = tmp_path / "last-seen.json"
    assert verify(sample.path, path)[0] == 0
    return path


async def grow(sample: Sample) -> None:
    """More of everything about what was there before: its transactions, cards, accounts, keys."""
    async with opened(sample.world) as ledger:
        world = sample.world
        await sample.present(ledger, "open", "5.00", "EUR")
        await sample.present(ledger, "alive", "7.00", "EUR", billing_amount="7.00", billing_currency="EUR")
        await sample.authorise(ledger, "newer", "c1", "1.00")
        await sample.authorise(ledger, "without-funds-again", "c1", "7000.00")
        await world.load(ledger, "c2", 1_00)
        await world.rotate_entry_key(ledger)
        await world.rotate_checkpoint_key(ledger)
        await world.register(ledger, "scheme", "mastercard")
        await publish(world, ledger)
        await sample.present(ledger, "newer", "1.00", "EUR")


# --- what is written -----------------------------------------------------------------------------------------------


def test_the_first_run_verifies_everything_and_writes_the_newest_checkpoint(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "last-seen.json"
    status, report = verify(sample.path, path)
    assert (status, report["from_seq"], report["seen"]) == (0, 0, None)
    members = json.loads(path.read_bytes())
    assert list(members) == ["checkpoint", "verified", "at", "keys", "form"]
    (note,) = rows(sample.path, "SELECT note FROM checkpoints ORDER BY seq DESC LIMIT 1")[0]
    assert (members["checkpoint"].encode(), members["verified"]) == (note, "ledger")
    assert members["keys"] == [seq for (seq,) in rows(sample.path, "SELECT seq FROM keys ORDER BY seq")]
    assert str(path) in report["last_seen"]


async def test_the_next_run_verifies_what_is_new(sample: Sample, seen: Path) -> None:
    before = size_in(seen)
    await grow(sample)
    whole = audit_since(sample.path, None, jobs=1).report
    status, report = verify(sample.path, seen)
    assert (status, report["from_seq"], report["seen"]) == (0, before, before)
    assert report["entries"] == whole.entries == rows(sample.path, "SELECT count(*) FROM entries")[0][0]
    assert report["steps"][2]["checked"] == whole.entries - before
    assert report["head"] == whole.to_json()["head"]
    assert report["keys"] == whole.to_json()["keys"]
    assert (report["first_time"], report["last_time"]) == (whole.to_json()["first_time"], whole.to_json()["last_time"])
    assert before < size_in(seen) < whole.entries
    assert verify(sample.path, seen)[0] == 0  # and goes on from there


async def test_nothing_new_is_verified_too(sample: Sample, seen: Path) -> None:
    before = seen.read_bytes()
    status, report = verify(sample.path, seen)
    assert (status, report["entries"], report["from_seq"]) == (0, 81, 81)
    assert "no checkpoint newer" in report["last_seen"]
    assert seen.read_bytes() == before


async def test_whole_verifies_it_all_again(sample: Sample, seen: Path) -> None:
    status, report = verify(sample.path, seen, whole=True)
    assert (status, report["from_seq"], report["steps"][12]["checked"]) == (0, 0, 1)


async def test_a_bare_checkpoint_is_held_against_it_and_everything_verified(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    (note,) = rows(sample.path, "SELECT note FROM checkpoints ORDER BY seq LIMIT 1")[0]
    path.write_bytes(note)
    status, report = verify(sample.path, path)
    assert (status, report["from_seq"]) == (0, 0)
    assert report["seen"] == int(note.split(b"\n")[1])
    assert json.loads(path.read_bytes())["verified"] == "ledger"


async def test_without_a_checkpoint_nothing_is_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    status, report = verify(world.path, tmp_path / "seen")
    assert status == 0
    assert "keeps no checkpoint" in report["last_seen"]
    assert not (tmp_path / "seen").exists()


async def test_a_long_ledger_goes_on_across_tiles(tmp_path: Path) -> None:
    world, seen, before = World(tmp_path), tmp_path / "seen", 0
    async with opened(world) as ledger:
        for size in (255, 256, 257, 511, 512, 513, 600):
            await load_to(world, ledger, size)
            await publish(world, ledger)
            status, report = verify(world.path, seen)
            assert (status, report["from_seq"]) == (0, before), size
            before = size_in(seen)
            assert before == ledger.tree.size


# --- what is not known ---------------------------------------------------------------------------------------------


async def test_what_it_can_not_know_says_what_was_taken_as_verified(sample: Sample, seen: Path) -> None:
    first = verify(sample.path, seen.with_name("other"))[1]["not_known"]
    assert any(sentence.startswith("No checkpoint seen earlier") for sentence in first)
    await grow(sample)
    said = " ".join(verify(sample.path, seen)[1]["not_known"])
    assert "No checkpoint seen earlier" not in said
    assert "The 81 entries seen before count as verified then" in said
    assert "--whole" in said


# --- faults --------------------------------------------------------------------------------------------------------


def assert_refused(sample: Sample, seen: Path, *steps: int) -> dict[str, Any]:
    """A fault of one of these steps, and the file as it was."""
    before = seen.read_bytes()
    status, report = verify(sample.path, seen)
    assert status == 1
    assert {fault["step"] for fault in report["faults"]} & set(steps), report["faults"]
    assert seen.read_bytes() == before
    return report


async def test_a_tail_cut_off_is_told(sample: Sample, seen: Path) -> None:
    for table in TABLES:
        if rows(sample.path, f"SELECT count(*) FROM {table.name} WHERE seq > 60")[0][0]:
            edit(sample.path, f"DELETE FROM {table.name} WHERE seq > 60")
    report = assert_refused(sample, seen, 13)
    assert "the tail was cut: 81 entries were seen, 61 are there" in str(report["faults"])


async def test_yesterdays_database_is_told(sample: Sample, tmp_path: Path) -> None:
    yesterday, seen = tmp_path / "yesterday.db", tmp_path / "seen"
    rows(sample.path, "VACUUM INTO ?", str(yesterday))
    await grow(sample)
    assert verify(sample.path, seen)[0] == 0
    sample.world.path = yesterday
    assert "the tail was cut" in str(assert_refused(sample, seen, 13)["faults"])


async def test_another_history_is_told(sample: Sample, tmp_path: Path) -> None:
    """Yesterday's database goes on by itself, under the same keys: all of it is right, but not what was seen."""
    other, seen = tmp_path / "other.db", tmp_path / "seen"
    rows(sample.path, "VACUUM INTO ?", str(other))
    for path, amount in ((sample.path, 1_00), (other, 2_00)):
        sample.world.path = path
        async with opened(sample.world) as ledger:
            await sample.world.load(ledger, "c1", amount)
            await publish(sample.world, ledger)
        if path != other:
            assert verify(path, seen)[0] == 0
    assert audit_since(other, None, jobs=1).report.ok
    assert "another history" in str(assert_refused(sample, seen, 13)["faults"])


@pytest.mark.parametrize("whose", ["another key", "another ledger", "a false root"])
async def test_a_checkpoint_that_is_not_the_ledgers_is_told(sample: Sample, tmp_path: Path, whose: str) -> None:
    (note,) = rows(sample.path, "SELECT note FROM checkpoints ORDER BY seq DESC LIMIT 1")[0]
    seen = tmp_path / "seen"
    checkpoint = read_checkpoint(note)
    signer = sample.world.checkpoint
    if whose == "another key":
        signer = SoftwareSigner(bytes(32))
    elif whose == "another ledger":
        checkpoint = replace(checkpoint, origin="issuer.example/other")
    else:
        checkpoint = replace(checkpoint, root=bytes(32))
    seen.write_bytes(sign_checkpoint(checkpoint, signer))
    assert_refused(sample, seen, 13)
    members = {"checkpoint": seen.read_text(), "verified": "ledger", "at": "", "keys": [0], "form": 1}
    seen.write_text(json.dumps(members))
    assert_refused(sample, seen, 13)


def read_checkpoint(note: bytes) -> Checkpoint:
    origin, size, root = note.decode().split("\n")[:3]
    return Checkpoint(origin, int(size), base64.b64decode(root))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE account_states SET posted = posted + 1000", id="balances"),
        pytest.param("UPDATE parts SET state = body WHERE seq < 81", id="states"),
        pytest.param("UPDATE parts SET body = x'00' WHERE seq BETWEEN 5 AND 80", id="bodies"),
        pytest.param("UPDATE card_states SET blocked = 1 WHERE card_id = 'c1'", id="cards"),
        pytest.param("UPDATE entries SET note = CAST(note || 'x' AS BLOB) WHERE seq = 80", id="the newest entry"),
        pytest.param("UPDATE entries SET note = CAST(note || 'x' AS BLOB) WHERE seq = 7", id="an entry"),
        pytest.param("DELETE FROM entries WHERE seq = 9", id="an entry gone"),
        pytest.param("DELETE FROM authorisation_states", id="transactions gone"),
        pytest.param("DELETE FROM account_states", id="balances gone"),
    ],
)
async def test_a_past_that_is_not_what_was_seen_is_told_where_the_new_rests_on_it(
    sample: Sample, seen: Path, statement: str
) -> None:
    await grow(sample)
    edit(sample.path, statement)
    assert_refused(sample, seen, 3, 5, 9, 11, 13)


async def test_a_fault_of_a_new_entry_is_told_at_it(sample: Sample, seen: Path) -> None:
    await grow(sample)
    newest = rows(sample.path, "SELECT max(seq) FROM entries")[0][0]
    for statement in (
        "UPDATE parts SET body = x'00' WHERE seq = ?",
        "UPDATE account_states SET posted = posted + 1 WHERE seq = ?",
        "DELETE FROM account_states WHERE seq = ?",
        "DELETE FROM parts WHERE seq = ?",
    ):
        pristine = sample.path.read_bytes()
        edit(sample.path, statement, newest)
        assert newest in {fault["seq"] for fault in assert_refused(sample, seen, 3, 5, 8, 11)["faults"]}, statement
        sample.path.write_bytes(pristine)


async def test_rows_of_the_past_that_were_taken_away_are_found_by_whole(sample: Sample, seen: Path) -> None:
    """Whoever hides the rows by which a webhook is known has it recorded again: that there is none is not proven."""
    edit(sample.path, "DELETE FROM webhooks WHERE webhook_id = 'wh-open-too'")
    edit(sample.path, "DELETE FROM authorisation_states WHERE transaction_id = 'open-too'")
    async with opened(sample.world) as ledger:
        await sample.authorise(ledger, "open-too", "c1", "20.00")
    status, report = verify(sample.path, seen, whole=True)
    assert status == 1
    assert {fault["step"] for fault in report["faults"]} >= {10}


@pytest.mark.no_cover
async def test_a_run_may_begin_after_any_entry(sample: Sample, tmp_path: Path) -> None:
    """What it says is what one over everything says. Within a batch it begins anew."""
    kinds = [decode_entry(note).entry.kind for (note,) in rows(sample.path, "SELECT note FROM entries ORDER BY seq")]
    for size in range(1, len(kinds)):
        keys = [key for (key,) in rows(sample.path, "SELECT seq FROM keys WHERE seq < ? ORDER BY seq", size)]
        note = note_at(sample.path, size, sample.world.checkpoint).decode()
        seen = tmp_path / f"seen-{size}"
        seen.write_text(json.dumps({"checkpoint": note, "verified": "ledger", "at": "", "keys": keys, "form": 1}))
        status, report = verify(sample.path, seen)
        is_within = kinds[size - 1] == Opening.KIND or kinds[size] == JournalLine.KIND
        assert (status, report["from_seq"]) == (0, 0 if is_within else size), (size, report["faults"])


def note_at(path: Path, size: int, signer: SoftwareSigner) -> bytes:
    tree = Tree()
    for (note,) in rows(path, "SELECT note FROM entries ORDER BY seq LIMIT ?", size):
        tree.append(leaf_hash(note))
    return sign_checkpoint(Checkpoint(ORIGIN, size, tree.root()), signer)


# --- the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b"text",
        b'{"checkpoint": 1}',
        b'{"checkpoint": "\\ud800"}',
        b"\xff",
        b"x" * 2_000_000,
    ],
    ids=range(9),
)
async def test_a_file_that_is_neither_is_refused_and_stays(sample: Sample, tmp_path: Path, data: bytes) -> None:
    seen = tmp_path / "seen"
    seen.write_bytes(data)
    status, said = verify(sample.path, seen)
    assert status == 2
    assert "is no checkpoint" in said["error"]
    assert seen.read_bytes() == data


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keys", []),
        ("keys", [1]),
        ("keys", [0, 0]),
        ("keys", [0, "1"]),
        ("keys", [0, 5000]),
        ("form", 3),
        ("form", "1"),
    ],
)
async def test_members_that_are_none_are_refused(sample: Sample, seen: Path, name: str, value: object) -> None:
    members = json.loads(seen.read_bytes())
    seen.write_text(json.dumps({**members, name: value}))
    with pytest.raises(Invalid, match=name):
        read_last_seen(seen)


# --- witnesses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quorum", "cosigned"),
    [("group all all w", True), ("group all all w other", False), ("group all any w other", True)],
    ids=["one of one", "one of all", "one of any"],
)
async def test_a_policy_says_whether_the_newest_checkpoint_is_witnessed(
    sample: Sample, tmp_path: Path, quorum: str, cosigned: bool
) -> None:
    world = sample.world
    keys = {"w": vkey_of("witness.example/w", world.root.public_key, COSIGNATURE)}
    keys["other"] = vkey_of("witness.example/o", SoftwareSigner(bytes(32)).public_key, COSIGNATURE)
    policy = tmp_path / "policy"
    lines = [f"witness {name} {vkey}" for name, vkey in keys.items()]
    policy.write_text("\n".join([*lines, quorum, "quorum all"]) + "\n")
    status, report = verify(sample.path, tmp_path / "seen", policy=policy)
    assert (status, report["witnesses"]) == (0, ["w"])
    assert any("not the quorum" in sentence for sentence in report["not_known"]) != cosigned
    (tmp_path / "bad").write_text("quorum nobody\n")
    assert verify(sample.path, tmp_path / "seen", policy=tmp_path / "bad")[0] == 2


@pytest.mark.parametrize("whose", ["the ledger's", "another's"])
async def test_a_policy_that_names_logs_must_name_this_one(sample: Sample, tmp_path: Path, whose: str) -> None:
    signer = sample.world.checkpoint if whose == "the ledger's" else SoftwareSigner(bytes(32))
    policy = tmp_path / "policy"
    policy.write_text(f"log {vkey_of(ORIGIN, signer.public_key)}\nquorum none\n")
    _, report = verify(sample.path, tmp_path / "seen", policy=policy)
    assert any("names logs" in sentence for sentence in report["not_known"]) is (whose == "another's")
