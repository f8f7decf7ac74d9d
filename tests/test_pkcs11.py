"""Keys in hardware, shown with SoftHSM2: made, used by commands and servers, rotated; and what is refused."""

import asyncio
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pkcs11
import pytest

from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.encoding.checkpoints import cosigned_text, encode_checkpoint_text
from signed_ledger.encoding.entries import ENTRY_BYTES_MAX
from signed_ledger.errors import Fault, Invalid
from signed_ledger.keyring import approval_text
from signed_ledger.records import Checkpoint, Genesis, KeyChange
from signed_ledger.signing import (
    MESSAGE_BYTES_MAX,
    HardwareSigner,
    KeyFileRefused,
    KeyFolder,
    kid_of,
    parse_key_uri,
    verify,
)
from tests.callers import Load, assert_each_is_there_once, authorisation, send
from tests.processes import ORIGIN, PROJECT, Installation, run, wait_until
from tests.softhsm import BROUGHT, MODULE, PIN, SoftToken, forget_sessions
from tests.terminal import in_terminal

LOAD = ("load-money", "card-1", "1000.00", "EUR")


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    token = SoftToken(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    yield token
    forget_sessions()  # the next test has tokens of its own


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys", lambda: None)


@pytest.fixture
def installation(tmp_path: Path, token: SoftToken) -> Installation:
    """A ledger whose entry and checkpoint keys are in the token, with a Scheme and a funded card."""
    installation = Installation(tmp_path)
    installation.printed("init", "--origin", ORIGIN, "--pkcs11", token.uri)
    installation.printed("keys", "add", "scheme", "acme", installation.scheme.public_file)
    installation.printed(*LOAD)
    forget_sessions()  # as if other processes had done it
    return installation


def made(folder: KeyFolder, token: SoftToken, role: str = "entry") -> HardwareSigner:
    return folder.create_in_token(role, parse_key_uri(token.uri, "here"), "here")


def key_file(installation: Installation, role: str = "entry") -> Path:
    (key,) = [key for key in installation.json("keys", "list") if key["role"] == role and key["current"]]
    return installation.keys / role / f"{key['kid']}.pkcs11"


# --- the signer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 500, MESSAGE_BYTES_MAX])
def test_what_a_token_signs_verifies(folder: KeyFolder, token: SoftToken, length: int) -> None:
    signer = made(folder, token)
    message = bytes(length)
    assert verify(signer.public_key, message, signer.sign(message))
    assert not verify(signer.public_key, message + b"x", signer.sign(message))


def test_nothing_longer_is_signed(folder: KeyFolder, token: SoftToken) -> None:
    with pytest.raises(AssertionError):
        made(folder, token).sign(bytes(MESSAGE_BYTES_MAX + 1))


def test_all_that_the_service_signs_is_short_enough() -> None:
    """Entries have their own bound; approvals and checkpoints are an origin, a number and a digest."""
    assert ENTRY_BYTES_MAX <= MESSAGE_BYTES_MAX
    longest, too_long = "a" * 200, "a" * 2_000
    root, entry, key = (bytes([number]) * 32 for number in range(3))
    genesis = Genesis(longest, (root,), 1, entry, key)
    change = KeyChange("add", "entry", kid_of(key), key, longest, 2**53 - 1)
    checkpoint = encode_checkpoint_text(Checkpoint(longest, 2**53 - 1, bytes(32)))
    approvals = [approval_text(body, longest).encode() for body in (genesis, change)]
    for message in (*approvals, checkpoint, cosigned_text(2**63, checkpoint)):
        assert len(message) <= MESSAGE_BYTES_MAX
    with pytest.raises(Invalid):
        Genesis(too_long, (root,), 1, entry, key)


def test_the_key_can_not_be_taken_out_of_the_token(folder: KeyFolder, token: SoftToken) -> None:
    made(folder, token)
    assert {(kind, label) for kind, label, _ in token.objects()} == {
        (pkcs11.ObjectClass.PRIVATE_KEY, "signed-ledger entry"),
        (pkcs11.ObjectClass.PUBLIC_KEY, "signed-ledger entry"),
    }
    assert [out for kind, _, out in token.objects() if kind == pkcs11.ObjectClass.PRIVATE_KEY] == [False]


def test_a_folder_finds_a_key_in_a_token_as_it_finds_a_file(folder: KeyFolder, token: SoftToken) -> None:
    in_token, in_file = made(folder, token, "checkpoint"), folder.create("checkpoint")
    path = folder.find("checkpoint", in_token.public_key)
    assert path.name == f"{kid_of(in_token.public_key)}.pkcs11"
    assert path.stat().st_mode & 0o777 == 0o600
    found = folder.held("checkpoint", (in_file.public_key, bytes(32), in_token.public_key))
    assert [signer.public_key for signer in found] == [in_file.public_key, in_token.public_key]
    message = b"size and root"
    for signer in found:
        assert verify(signer.public_key, message, signer.sign(message))


def test_keys_of_one_token_sign_from_many_threads(folder: KeyFolder, token: SoftToken) -> None:
    signers = [made(folder, token, role) for role in ("entry", "checkpoint")] * 50
    messages = [str(number).encode() for number in range(len(signers))]
    with ThreadPoolExecutor(4) as pool:
        signatures = list(pool.map(lambda signer, message: signer.sign(message), signers, messages))
    for signer, message, signature in zip(signers, messages, signatures, strict=True):
        assert verify(signer.public_key, message, signature)


def test_a_dead_session_is_opened_again(folder: KeyFolder, token: SoftToken) -> None:
    entry, checkpoint = made(folder, token), made(folder, token, "checkpoint")
    forget_sessions()
    for signer in (entry, checkpoint, entry):
        assert verify(signer.public_key, b"again", signer.sign(b"again"))
    forget_sessions()
    assert folder.signer("entry", entry.public_key).sign(b"x") == entry.sign(b"x")


def test_a_token_that_is_gone_is_a_fault(folder: KeyFolder, token: SoftToken) -> None:
    signer = made(folder, token)
    shutil.rmtree(token.folder)
    token.folder.mkdir()
    forget_sessions()
    with pytest.raises(Fault, match="does not sign any more: here: there is no such token"):
        signer.sign(b"x")


def test_a_signature_that_does_not_verify_is_a_fault_and_goes_nowhere(folder: KeyFolder, token: SoftToken) -> None:
    signer = made(folder, token)
    signer.public_key = made(folder, token).public_key
    with pytest.raises(Fault, match="a signature that does not verify"):
        signer.sign(b"x")


def test_a_pin_that_is_wrong_by_now_is_a_fault(folder: KeyFolder, token: SoftToken) -> None:
    signer = made(folder, token)
    token.pin_file.write_text("00000000")
    assert verify(signer.public_key, b"still logged in", signer.sign(b"still logged in"))
    forget_sessions()
    with pytest.raises(Fault, match="the PIN is wrong"):
        signer.sign(b"x")


# --- what is refused -----------------------------------------------------------------------------------------------


def refusal_after(folder: KeyFolder, signer: HardwareSigner, change: dict[str, str], mode: int = 0o600) -> str:
    """What is said once the file of a key says something else."""
    path = folder.find("entry", signer.public_key)
    text = path.read_text()
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(KeyFileRefused) as refused:
        folder.signer("entry", signer.public_key)
    assert PIN not in str(refused.value)
    assert refused.value.field == str(path)
    return refused.value.detail


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        pytest.param({"token=issuer": "token=other"}, "there is no such token", id="a missing token"),
        pytest.param({"token=issuer": "token=issuer;serial=0"}, "there is no such token", id="another serial"),
        pytest.param({";id=%": ";id=%00%"}, "no such Ed25519 key", id="a missing id"),
        pytest.param({"object=signed": "object=unsigned"}, "no such Ed25519 key", id="a missing object"),
        pytest.param({str(MODULE): __file__}, "no PKCS#11 library", id="a file that is no library"),
        pytest.param({str(MODULE): "/nowhere/lib.so"}, "/nowhere/lib.so", id="a library that is not there"),
        pytest.param({f"module-path={MODULE}&": ""}, "no library by module-path", id="no library named"),
        pytest.param({"&pin-source=": "&pin-value=1234&pin-source="}, "has the PIN in it", id="a PIN in the file"),
        pytest.param({"pkcs11:": "pkcs12:"}, "no PKCS#11 URI", id="no URI"),
        pytest.param({"type=private": "type=private\n"}, "percent-encoded", id="a second line"),
    ],
)
def test_a_key_file_that_can_not_be_used(
    folder: KeyFolder, token: SoftToken, change: dict[str, str], detail: str
) -> None:
    signer = made(folder, token)
    assert detail in refusal_after(folder, signer, change)


def test_a_file_that_names_no_key(folder: KeyFolder, token: SoftToken) -> None:
    signer = made(folder, token)
    text = folder.find("entry", signer.public_key).read_text()
    names = text[text.index(";object") : text.index(";type")]
    assert "object, id or both" in refusal_after(folder, signer, {names: ""})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_may_touch_is_refused_as_it_names_a_library(
    folder: KeyFolder, token: SoftToken, mode: int
) -> None:
    assert "run: chmod 600" in refusal_after(folder, made(folder, token), {}, mode)


def test_several_keys_of_one_name_need_the_id(folder: KeyFolder, token: SoftToken) -> None:
    signer, _ = made(folder, token), made(folder, token)
    assert "add id" in refusal_after(folder, signer, {f";id={str(signer.uri).split(';id=')[1].split(';')[0]}": ""})


def test_several_tokens_of_one_name_need_the_serial(folder: KeyFolder, token: SoftToken) -> None:
    signer = made(folder, token)
    serial = pkcs11.lib(str(MODULE)).get_token(token_label="issuer").serial.decode()
    token.add("issuer")
    forget_sessions()
    assert "add serial" in refusal_after(folder, signer, {})
    path = folder.find("entry", signer.public_key)
    path.write_text(path.read_text().replace("token=issuer", f"token=issuer;serial={serial}"))
    assert verify(signer.public_key, b"x", folder.signer("entry", signer.public_key).sign(b"x"))


def test_another_key_of_the_token_under_this_name_is_refused(folder: KeyFolder, token: SoftToken) -> None:
    signer, other = made(folder, token), made(folder, token)
    folder.find("entry", signer.public_key).write_text(f"{other.uri}\n")
    assert refusal_after(folder, signer, {}) == "holds another key than its name says"


def test_a_private_key_beside_a_strange_public_key_is_refused(folder: KeyFolder, token: SoftToken) -> None:
    ours, other = made(folder, token), made(folder, token)
    forget_sessions()
    with pkcs11.lib(str(MODULE)).get_token(token_label="issuer").open(rw=True, user_pin=PIN) as session:
        for signer, kind in ((ours, pkcs11.ObjectClass.PUBLIC_KEY), (other, pkcs11.ObjectClass.PRIVATE_KEY)):
            key: Any = session.get_key(object_class=kind, id=signer.uri.id)
            key.copy({pkcs11.Attribute.LABEL: "mixed", pkcs11.Attribute.ID: b"mixed"})
    forget_sessions()
    mixed = str(ours.uri.of_token()).replace("type=", "object=mixed;type=")
    folder.find("entry", ours.public_key).write_text(mixed)
    assert "does not sign for the public key" in refusal_after(folder, ours, {})


def test_a_public_key_that_anyone_could_sign_for_is_refused(folder: KeyFolder, token: SoftToken) -> None:
    ours = made(folder, token)
    forget_sessions()
    with pkcs11.lib(str(MODULE)).get_token(token_label="issuer").open(rw=True, user_pin=PIN) as session:
        key: Any = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=ours.uri.id)
        key.copy({pkcs11.Attribute.LABEL: "low"})
        low = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC_EDWARDS,
            pkcs11.Attribute.EC_PARAMS: bytes.fromhex("06032b6570"),
            pkcs11.Attribute.EC_POINT: bytes.fromhex("0420" + "01" + "00" * 31),
            pkcs11.Attribute.LABEL: "low",
            pkcs11.Attribute.TOKEN: True,
        }
        session.create_object(low)
    forget_sessions()
    by_label = str(ours.uri.of_token()).replace("type=", "object=low;type=")
    folder.find("entry", ours.public_key).write_text(by_label)
    assert "is of low order" in refusal_after(folder, ours, {})


def test_a_key_whose_file_can_not_be_written_leaves_the_token_again(tmp_path: Path, token: SoftToken) -> None:
    """The folder's path has room left for itself, not for the file's name in it."""
    deep = tmp_path
    while len(str(deep)) < 4_040:
        deep /= "x" * min(200, 4_050 - len(str(deep)))
    with pytest.raises(OSError, match="too long"):
        made(KeyFolder(deep, lambda: None), token)
    assert token.objects() == []


def test_a_key_in_two_places_is_refused_and_both_are_named(folder: KeyFolder, token: SoftToken) -> None:
    signer = made(folder, token)
    path = folder.find("entry", signer.public_key)
    path.with_suffix(".pem").touch()
    with pytest.raises(KeyFileRefused) as refused:
        folder.signer("entry", signer.public_key)
    assert str(path) in str(refused.value)
    assert str(path.with_suffix(".pem")) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "mode", "detail"),
    [
        pytest.param("00000000", 0o600, "the PIN is wrong", id="a wrong PIN"),
        pytest.param("\n", 0o600, "has no PIN", id="an empty one"),
        pytest.param(f"{PIN}\n", 0o640, "run: chmod 600", id="one that others may read"),
        pytest.param("\udcff", 0o600, "not UTF-8", id="no text"),
    ],
)
def test_a_pin_that_can_not_be_used(folder: KeyFolder, token: SoftToken, text: str, mode: int, detail: str) -> None:
    signer = made(folder, token)
    forget_sessions()
    token.pin_file.write_text(text, errors="surrogateescape")
    token.pin_file.chmod(mode)
    with pytest.raises(KeyFileRefused, match=detail) as refused:
        folder.signer("entry", signer.public_key)
    path = folder.find("entry", signer.public_key) if detail == "the PIN is wrong" else token.pin_file
    assert refused.value.field == str(path)
    assert not {PIN, text.strip() or PIN} & set(str(refused.value).split())


def test_the_library_that_a_setting_names_is_the_default(tmp_path: Path, token: SoftToken) -> None:
    folder = KeyFolder(tmp_path / "keys", lambda: PIN.encode(), MODULE)
    signer = folder.create_in_token("entry", parse_key_uri("pkcs11:token=issuer", "here"), "here")
    assert "module-path" not in folder.find("entry", signer.public_key).read_text()
    assert verify(signer.public_key, b"x", folder.signer("entry", signer.public_key).sign(b"x"))
    with pytest.raises(KeyFileRefused, match="no library by module-path"):
        KeyFolder(tmp_path / "keys", lambda: None).signer("entry", signer.public_key)
    forget_sessions()
    with pytest.raises(KeyFileRefused, match="has no PIN"):
        KeyFolder(tmp_path / "keys", lambda: None, MODULE).signer("entry", signer.public_key)


# --- commands and servers ------------------------------------------------------------------------------------------


def test_init_makes_entry_and_checkpoint_keys_in_the_token_and_the_root_a_file(
    tmp_path: Path, token: SoftToken
) -> None:
    installation = Installation(tmp_path)
    keys = installation.json("init", "--pkcs11", token.uri)["keys"]
    kinds = {role: Path(key["file"]).suffix for role, key in keys.items()}
    assert kinds == {"root": ".pem", "entry": ".pkcs11", "checkpoint": ".pkcs11"}
    assert all(Path(key["file"]).exists() and Path(key["file"]).stem == key["kid"] for key in keys.values())
    assert len(token.objects()) == 4
    installation.assert_audits()


def test_a_failed_init_leaves_no_key_in_the_token(tmp_path: Path, token: SoftToken) -> None:
    installation = Installation(tmp_path)
    nowhere = tmp_path / "acme.pem" / "ledger.db"
    assert "acme.pem" in installation.refused(2, "init", "--pkcs11", token.uri, DATABASE=nowhere)
    assert token.objects() == []
    assert [path for path in installation.keys.rglob("*") if path.is_file()] == []
    installation.run("init", "--pkcs11", token.uri)
    installation.assert_audits()


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        pytest.param("{uri};object=x", "percent-encoded", id="no URI"),
        pytest.param("pkcs11:token=issuer;object=x", "must name a token only", id="a key"),
        pytest.param("pkcs11:token=issuer", "module-path", id="no library"),
        pytest.param("pkcs11:token=issuer?module-path={module}", "needs its passphrase or PIN", id="no PIN"),
        pytest.param("pkcs11:token=other?module-path={module}", "no such token", id="a missing token"),
        pytest.param("pkcs11:token=issuer?module-path=/lib.so&pin-value=73519428", "pin-source", id="a PIN"),
    ],
)
def test_a_token_that_no_key_can_be_made_in(tmp_path: Path, token: SoftToken, uri: str, named: str) -> None:
    installation = Installation(tmp_path)
    said = installation.refused(2, "init", "--pkcs11", uri.format(uri=token.uri, module=MODULE))
    assert named in said
    assert PIN not in said
    assert not installation.database.exists()
    assert token.objects() == []


def test_without_python_pkcs11_it_says_what_to_install(installation: Installation) -> None:
    stands_for_none = installation.folder / "nothing"
    stands_for_none.mkdir()
    (stands_for_none / "pkcs11.py").write_text("raise ImportError")
    environment = {**installation.environment(), "PYTHONPATH": f"{stands_for_none}:{PROJECT}"}
    said = run(installation.command(*LOAD), environment, 2).stderr
    assert f"{key_file(installation)}: needs python-pkcs11: pip install 'signed-ledger[pkcs11]'" in said


def test_a_server_signs_entries_and_checkpoints_in_the_token(installation: Installation) -> None:
    in_token = KeyFolder(installation.keys, lambda: None).open(key_file(installation, "checkpoint"))
    with installation.serve(LOG_LEVEL="debug") as server:
        answers = {
            f"a-{n}": send(server.url, installation.scheme, "/authorisation", f"a-{n}", authorisation(f"t-{n}"))
            for n in range(5)
        }
        size = 1 + max(answer.document["seq"] for answer in answers.values())
        wait_until(lambda: f"\n{size}\n" in published(server.url).decode())
        note, log = published(server.url), server.log
    assert open_checkpoint(note, origin=ORIGIN, public_key=in_token.public_key).checkpoint.size == size
    assert {answer.status for answer in answers.values()} == {201}
    assert_each_is_there_once(installation, answers)
    assert PIN not in log + server.log


def published(url: str) -> bytes:
    try:
        return bytes(urllib.request.urlopen(f"{url}/checkpoint").read())
    except HTTPError:  # none yet
        return b""


async def test_two_servers_each_sign_with_a_session_of_their_own(installation: Installation) -> None:
    with installation.serve() as one, installation.serve() as other:
        ports = [line["admin_port"] for server in (one, other) for line in server.lines if line["event"] == "serving"]
        async with Load(installation.scheme, [one.url, other.url], connections=24) as load:
            await load.until(100)
        counts = [await asyncio.to_thread(decided, port) for port in ports]
    load.assert_all_approved()
    assert len(counts) == 2
    assert min(counts) > 0
    assert_each_is_there_once(installation, load.answers)


def decided(admin_port: int) -> float:
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics").read().decode()
    lines = [line for line in metrics.splitlines() if line.startswith("signed_ledger_decisions_total{")]
    return sum(float(line.split()[-1]) for line in lines)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rotation_in_the_token_under_load_drops_no_request(installation: Installation, workers: int) -> None:
    (old,) = (installation.keys / "entry").iterdir()
    with installation.serve("--workers", workers) as server:
        async with Load(installation.scheme, [server.url]) as load:
            await load.until(30)
            rotated = await asyncio.to_thread(installation.run_json, "keys", "rotate", "entry")
            await load.until(30)
    assert rotated["old_file"] == str(old)
    assert Path(rotated["new_file"]).suffix == ".pkcs11"
    load.assert_all_approved()
    assert_each_is_there_once(installation, load.answers)


@pytest.mark.parametrize("role", ["entry", "checkpoint"])
def test_a_key_moves_from_a_file_into_a_token(tmp_path: Path, token: SoftToken, role: str) -> None:
    installation = Installation(tmp_path)
    installation.run("init")
    told = installation.run("keys", "rotate", role, "--pkcs11", token.uri).stdout
    assert str(key_file(installation, role)) in told
    assert "only says where a key is" in told
    installation.run(*LOAD)
    installation.assert_audits()


def test_a_rotation_broken_off_before_its_entry_is_taken_up(installation: Installation, token: SoftToken) -> None:
    left = made(KeyFolder(installation.keys, lambda: None), token)
    rotated = installation.json("keys", "rotate", "entry", "--pkcs11", token.uri)
    assert (rotated["new"], rotated["reused"]) == (kid_of(left.public_key), True)
    installation.run(*LOAD)
    installation.assert_audits()


def test_a_file_that_was_left_does_not_take_the_place_of_a_key_in_a_token(installation: Installation) -> None:
    left = KeyFolder(installation.keys, lambda: None).create("entry")
    rotated = installation.json("keys", "rotate", "entry")
    assert (rotated["reused"], rotated["new"] == kid_of(left.public_key)) == (False, False)
    assert key_file(installation).exists()
    installation.assert_audits()


def test_the_pin_may_come_from_where_passphrases_come_from(tmp_path: Path, token: SoftToken) -> None:
    installation = Installation(tmp_path)
    bare = f"pkcs11:token=issuer?module-path={MODULE}"
    installation.run("init", "--pkcs11", bare, "--passphrase-file", token.pin_file)
    assert "--passphrase-file" in installation.refused(2, *LOAD)
    installation.run(*LOAD, KEY_PASSPHRASE_FILE=token.pin_file)
    with in_terminal(installation, *LOAD) as terminal:
        terminal.answer("entry key:", PIN)
        assert PIN not in terminal.rest()
        assert terminal.status() == 0
    installation.assert_audits()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_does_not_start_with_a_wrong_pin(installation: Installation, token: SoftToken, workers: int) -> None:
    token.pin_file.write_text("00000000")
    said = installation.run("serve", "--workers", workers, status=2).stderr
    assert f"{key_file(installation)}: the PIN is wrong" in said
    assert not {"00000000", PIN} & set(said.split())


def test_the_speed_of_a_key_in_a_token_is_measured(installation: Installation) -> None:
    script = [sys.executable, PROJECT / "scripts/sign_speed.py", key_file(installation), "--signatures", "20"]
    done = subprocess.run([*map(str, script)], capture_output=True, text=True, check=True)
    assert "signatures/s" in done.stdout


def test_a_server_whose_token_is_gone_stops_and_writes_nothing(installation: Installation, token: SoftToken) -> None:
    with installation.serve() as server:
        first = send(server.url, installation.scheme, "/authorisation", "a-1", authorisation("t-1"))
        away = token.folder.rename(token.folder.with_name("away"))
        token.folder.mkdir()
        failed = send(server.url, installation.scheme, "/authorisation", "a-2", authorisation("t-2"))
        assert (failed.status, server.wait()) == (500, 70)
    assert "the token does not sign any more" in server.log
    assert PIN not in server.log
    token.folder.rmdir()
    away.rename(token.folder)
    with installation.serve() as server:
        second = send(server.url, installation.scheme, "/authorisation", "a-2", authorisation("t-2"))
    assert (second.status, second.replayed) == (201, False)
    assert_each_is_there_once(installation, {"a-1": first, "a-2": second})


def test_it_is_set_up_as_the_document_says(tmp_path: Path, token: SoftToken) -> None:
    text = (PROJECT / "docs/operations.md").read_text()
    script = text.partition("<!-- hardware:begin -->")[2].partition("```sh\n")[2].partition("```")[0]
    script = script.replace("/usr/lib/softhsm/libsofthsm2.so", str(MODULE)).replace("/etc/signed-ledger", str(tmp_path))
    shutil.rmtree(token.folder)
    token.folder.mkdir()
    programs = f"""
        softhsm2-util() {{ "{BROUGHT}/softhsm2-util" --module "{MODULE}" --pin "{PIN}" --so-pin 86420975 "$@"; }}
        signed-ledger() {{ "{sys.executable}" -m signed_ledger "$@"; }}
    """
    installation = Installation(tmp_path)
    command = ["bash", "-euo", "pipefail", "-c", programs + script]
    done = subprocess.run(
        command, env=installation.environment(), input=f"{PIN}\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "VERIFIED" in done.stdout
    assert len(token.objects()) == 12  # six pairs: two made by init, their successors, and the next ones'
    installation.assert_audits()


# --- the worst day -------------------------------------------------------------------------------------------------


def next_file(installation: Installation, rotated: dict[str, Any]) -> Path:
    return installation.keys / "entry" / f"{rotated['next']}.pkcs11"


def test_the_next_key_is_made_in_the_token_and_is_the_one_that_follows(installation: Installation) -> None:
    first = installation.json("keys", "rotate", "entry")
    assert next_file(installation, first).stat().st_mode & 0o777 == 0o600
    second = installation.json("keys", "rotate", "entry")
    assert (second["new"], Path(second["new_file"])) == (first["next"], next_file(installation, first))
    installation.run(*LOAD)
    installation.assert_audits()


def test_a_next_key_whose_file_is_away_is_asked_for_and_revoked_where_it_is_lost(
    installation: Installation,
) -> None:
    rotated = installation.json("keys", "rotate", "entry")
    away = next_file(installation, rotated).rename(installation.folder / "away.pkcs11")
    assert "pre-committed to it" in installation.refused(2, "keys", "rotate", "entry")
    away.rename(next_file(installation, rotated))
    installation.json("keys", "revoke", rotated["next"], "--at-size", "3")
    again = installation.json("keys", "rotate", "entry")
    assert again["new"] != rotated["next"]
    assert Path(again["new_file"]).suffix == ".pkcs11"
    installation.run(*LOAD)
    installation.assert_audits()


def test_a_key_in_a_token_is_revoked_and_replaced_in_one_commit(installation: Installation) -> None:
    rotated = installation.json("keys", "rotate", "entry")
    installation.run(*LOAD)
    size = installation.rows("SELECT count(*) FROM entries")[0][0]
    installation.run(*LOAD)
    revoked = installation.json("keys", "revoke", rotated["new"], "--at-size", size)
    assert revoked["rotated"]["new"] == rotated["next"]
    assert Path(revoked["rotated"]["next_file"]).suffix == ".pkcs11"
    assert key_file(installation) == next_file(installation, rotated)
    installation.json("keys", "reattest", rotated["new"], "--yes")
    installation.run(*LOAD)
    installation.assert_audits()


def test_a_stolen_key_in_a_file_is_followed_by_one_in_a_token(tmp_path: Path, token: SoftToken) -> None:
    """The key that was pre-committed comes first, then the one that it pre-commits to."""
    installation = Installation(tmp_path)
    installation.run("init")
    following = installation.json("keys", "rotate", "entry")["new"]
    installation.json("keys", "revoke", following, "--at-size", "2")
    in_file = installation.json("keys", "rotate", "entry", "--pkcs11", token.uri)
    assert [Path(in_file[name]).suffix for name in ("new_file", "next_file")] == [".pem", ".pkcs11"]
    in_token = installation.json("keys", "rotate", "entry")
    assert [Path(in_token[name]).suffix for name in ("new_file", "next_file")] == [".pkcs11", ".pkcs11"]
    installation.json("keys", "reattest", following, "--yes")
    installation.run(*LOAD)
    installation.assert_audits()


def test_a_token_that_makes_no_keys_any_more_is_told(installation: Installation, token: SoftToken) -> None:
    installation.json("keys", "rotate", "entry")
    away = token.folder.rename(token.folder.with_name("gone"))
    forget_sessions()
    assert ".pkcs11" in installation.refused(2, "keys", "rotate", "entry")
    away.rename(token.folder)
    forget_sessions()
    installation.json("keys", "rotate", "entry")
    installation.assert_audits()
