"""`verify` at the shell: exit status, text, JSON, progress; and the script, which needs nothing of the service."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit import Report, audit_file, run_verify
from signed_ledger.errors import Invalid
from signed_ledger.trust import encode_trust
from tests.support import Sample, verify_options
from tests.tampering import Copy, found

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "verify_chain.py"


@pytest.fixture
def trust_path(sample: Sample, tmp_path: Path) -> Path:
    path = tmp_path / "trust.json"
    path.write_bytes(encode_trust(sample.trust))
    return path


@pytest.fixture
def faulty(copy: Copy) -> Copy:
    """Faults in many places, of many steps."""
    with copy.edited() as connection:
        connection.execute("UPDATE parts SET body = x'00' WHERE seq % 7 = 3")
        connection.execute("UPDATE entries SET note = substr(note, 1, 200) WHERE seq % 11 = 5")
        connection.execute("UPDATE account_states SET posted = posted + 1 WHERE seq % 5 = 0")
        connection.execute("DELETE FROM webhooks WHERE seq % 2 = 0")
    return copy


def verify(path: Path, trust: Path | None = None, **options: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return run_verify(path, trust, verify_options(**options), out, err), out.getvalue(), err.getvalue()


# --- the shell -----------------------------------------------------------------------------------------------------


def test_exit_status_0_is_verified(sample: Sample, trust_path: Path) -> None:
    status, out, err = verify(sample.path, trust_path)
    assert (status, err) == (0, "")
    assert out.endswith("VERIFIED: no fault found.\n")
    assert "What this can not know" in out
    assert [int(number) for number in re.findall(r"^ *(\d+)  [a-z].* ok$", out, re.MULTILINE)] == list(range(1, 13))


def test_exit_status_1_is_faults(faulty: Copy, trust_path: Path) -> None:
    status, out, _ = verify(faulty.path, trust_path)
    assert status == 1
    assert re.search(r"^NOT VERIFIED: \d+ faults\.$", out, re.MULTILINE)


def test_exit_status_2_is_not_asked(sample: Sample, tmp_path: Path, trust_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(b'{"origin": "x"}')
    for path, trust, options in (
        (tmp_path / "none.db", trust_path, {}),
        (trust_path, trust_path, {}),
        (sample.path, tmp_path / "none.json", {}),
        (sample.path, bad, {}),
        (sample.path, trust_path, {"jobs": 0}),
    ):
        status, out, err = verify(path, trust, **options)
        assert (status, out) == (2, "")
        assert err.startswith("could not be verified: ")


def test_the_first_faults_are_shown_or_all(copy: Copy) -> None:
    with copy.edited() as connection:
        connection.execute("UPDATE parts SET body = x'00', state = x'00'")
        connection.execute("UPDATE account_states SET seq = seq + 1000")
    _, short, _ = verify(copy.path)
    _, long, _ = verify(copy.path, all=True)
    report = copy.audit()
    assert len(report.faults) > 50
    assert f"... and {len(report.faults) - 50} more (--all lists them)" in short
    assert "--all" not in long
    assert all(fault.reason in long for fault in report.faults)


SHAPE: dict[str, Any] = {
    "ledger": str,
    "trust": (str, type(None)),
    "trusted_since": (str, int, type(None)),
    "ok": bool,
    "origin": str,
    "entries": int,
    "from_seq": int,
    "seen": (int, type(None)),
    "checkpoint": {"size": int, "cosignatures": int},
    "transactions": int,
    "batches": int,
    "erasures": int,
    "erased": dict,
    "head": {"seq": int, "leaf": str},
    "first_time": str,
    "last_time": str,
    "totals": [
        dict.fromkeys(("currency", "posted", "issuer", "schemes", "cards", "external", "held"), str),
    ],
    "keys": [
        {
            "kid": str,
            "role": str,
            "whose": str,
            "valid_from": int,
            "valid_to": (int, type(None)),
            "revoked_at": (int, type(None)),
        }
    ],
    "witnesses": (list, type(None)),
    "last_seen": (str, type(None)),
    "steps": [{"step": int, "title": str, "checked": int, "faults": int}],
    "faults": [{"seq": (int, type(None)), "step": int, "reason": str}],
    "revoked": list,
    "not_known": [str],
    "seconds": float,
    "entries_per_second": int,
}


def assert_shape(value: Any, shape: Any, where: str = "") -> None:
    if isinstance(shape, dict):
        assert list(value) == list(shape), where
        for name in shape:
            assert_shape(value[name], shape[name], f"{where}.{name}")
    elif isinstance(shape, list):
        assert value, where
        for member in value:
            assert_shape(member, shape[0], where)
    else:
        assert isinstance(value, shape), where


def test_the_json_has_its_shape(faulty: Copy) -> None:
    status, out, _ = verify(faulty.path, json=True)
    report = json.loads(out)
    assert status == 1
    assert_shape(report, SHAPE)
    assert report["ok"] is False


def test_the_json_of_a_ledger_of_nothing_has_nulls(copy: Copy) -> None:
    report: Report = copy.report_after("DELETE FROM entries", "DELETE FROM parts")
    members = report.to_json()
    assert [members[name] for name in ("origin", "head", "first_time", "last_time")] == [None] * 4
    assert (None, 3) in found(report)


class Terminal(io.StringIO):
    """Takes what a terminal would be shown."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_the_progress_in_entries_per_second(sample: Sample) -> None:
    out, terminal = io.StringIO(), Terminal()
    assert run_verify(sample.path, None, verify_options(), out, terminal) == 0
    assert " entries/s]" in terminal.getvalue()
    assert verify(sample.path)[2] == ""


# --- the script ----------------------------------------------------------------------------------------------------


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_script_verifies(sample: Sample, trust_path: Path) -> None:
    done = script(sample.path, "--trust", trust_path, "--jobs", "1", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True


def test_the_script_says_faults_and_what_it_could_not_ask(faulty: Copy, tmp_path: Path) -> None:
    assert script(faulty.path).returncode == 1
    assert script(tmp_path / "none.db").returncode == 2
    assert script().returncode == 2
    assert script(faulty.path, "--jobs", "many").returncode == 2


def test_the_script_needs_nothing_of_the_service(sample: Sample) -> None:
    program = (
        "import runpy, sys; sys.argv = ['verify_chain.py', sys.argv[1], '--json'];\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "print(*sorted({name for name in sys.modules}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, str(sample.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)
    loaded = set(done.stderr.split())
    assert "signed_ledger.audit.running" in loaded
    for name in ("aiohttp", "aiosqlite", "structlog", "prometheus_client", "uvloop", "asyncpg", "asyncio"):
        assert name not in loaded
    for part in ("ledger", "api", "cli", "store", "config", "telemetry"):
        assert f"signed_ledger.{part}" not in loaded


def test_jobs_must_be_a_number_of_processes(sample: Sample) -> None:
    with pytest.raises(Invalid, match="at least 1"):
        audit_file(sample.path, jobs=0)
