"""What is installed: locks that agree, a bill of materials that says what they say, an audit that says what it asked.

The vulnerability service is a server of the test's own, on a real socket.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scripts.make_sbom import Package, read_lock

ROOT = Path(__file__).parents[1]
RUNTIME, DEV, BUILD, AUDIT, BENCH = (
    {package.name: package for package in read_lock((ROOT / f"requirements{name}.lock").read_text())}
    for name in ("", "-dev", "-build", "-audit", "-bench")
)
US = "signed-ledger (setup.py)"


def run(script: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_lock(path: Path, name: str, of: str) -> Path:
    path.write_text(f"{name}=={of} \\\n    --hash=sha256:{'0' * 64}\n    # via {US}\n")
    return path


# --- the locks ---


def test_every_package_of_a_lock_has_hashes_and_is_the_same_in_all() -> None:
    assert len(DEV) > len(RUNTIME) > 20
    assert RUNTIME.keys() | BUILD.keys() <= DEV.keys()
    for package in [*RUNTIME.values(), *BUILD.values(), *DEV.values(), *AUDIT.values(), *BENCH.values()]:
        assert package.hashes, package.name
        same = DEV.get(package.name, package)
        assert (package.version, package.hashes) == (same.version, same.hashes)


def test_the_lock_has_what_setup_asks_for() -> None:
    asked = re.findall(
        r'^    "([\w-]+)', (ROOT / "setup.py").read_text().partition("RUNTIME = [")[2].partition("]")[0], re.M
    )
    assert {package.name for package in RUNTIME.values() if US in package.needed_by} == {name.lower() for name in asked}


@pytest.mark.parametrize("line", ["aiohttp>=3", "aiohttp==3.14.5", "aiohttp @ https://example.com/aiohttp.whl"])
def test_a_line_that_is_not_pinned_by_a_hash_is_no_lock(line: str) -> None:
    with pytest.raises(ValueError, match="a line of the lock"):
        read_lock(f"{line}\n    # via {US}\n")


def test_every_install_of_the_makefile_and_the_container_asks_for_hashes() -> None:
    """But for uv, by which `make lock` is made, and the project itself."""
    lines = [*(ROOT / "Makefile").read_text().splitlines(), *(ROOT / "Dockerfile").read_text().splitlines()]
    fetching = [line for line in lines if re.search(r"pip (install|wheel)\b.*(-r | -r$)", line)]
    assert len(fetching) > 5
    assert all("--require-hashes" in line for line in fetching)


# --- the bill of materials ---


def test_the_bill_of_materials_has_the_lock_in_it_and_is_the_same_each_time(tmp_path: Path) -> None:
    """The script validates it under CycloneDX's schema before it writes."""
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    for out in (first, second):
        done = run("make_sbom.py", "--out", out)
        assert done.returncode == 0, done.stderr
    assert first.read_bytes() == second.read_bytes()
    bill = json.loads(first.read_text())
    told = {component["name"]: component for component in bill["components"]}
    assert told.keys() == RUNTIME.keys()
    for name, component in told.items():
        assert component["version"] == RUNTIME[name].version
        hashes = component["externalReferences"][0]["hashes"]
        assert tuple(row["content"] for row in hashes) == RUNTIME[name].hashes
    needs = {row["ref"]: row["dependsOn"] for row in bill["dependencies"]}
    assert needs[bill["metadata"]["component"]["purl"]] == purls(US)
    assert needs[told["cffi"]["purl"]] == purls("cffi") == [RUNTIME["pycparser"].purl]


def purls(needing: str) -> list[str]:
    return [package.purl for package in RUNTIME.values() if needing in package.needed_by]


def test_a_licence_that_was_not_accepted_is_refused(tmp_path: Path) -> None:
    """beancount, of the tests alone, is under the GPL."""
    lock = write_lock(tmp_path / "some.lock", "beancount", version("beancount"))
    done = run("make_sbom.py", "--lock", lock, "--out", tmp_path / "sbom.json")
    assert done.returncode == 1
    assert "beancount has the licence 'GPL" in done.stderr
    assert not (tmp_path / "sbom.json").exists()


def test_the_licence_of_another_version_is_not_told(tmp_path: Path) -> None:
    lock = write_lock(tmp_path / "some.lock", "orjson", "0.1")
    done = run("make_sbom.py", "--lock", lock, "--out", tmp_path / "sbom.json")
    assert done.returncode == 1
    assert "is installed, not 0.1" in done.stderr


# --- the audit of the packages ---


class Service(ThreadingHTTPServer):
    """Speaks OSV: `known` has the packages against which there is something."""

    def __init__(self, known: set[str]) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.known = known
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"


class Asked(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(query["package"]["name"])
        found = [VULNERABILITY] if query["package"]["name"] in self.server.known else []
        answer = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


VULNERABILITY = {
    "id": "PYSEC-2026-1",
    "affected": [
        {
            "package": {"name": "orjson", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9.9"}]}],
        }
    ],
}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(known=set()) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def asked_of(url: str, *locks: Path) -> subprocess.CompletedProcess[str]:
    named = [f"--lock={lock}" for lock in locks]
    return run("audit_packages.py", *named, "--vulnerability-service", "osv", "--osv-url", url)


def test_a_known_vulnerability_fails_and_is_named(service: Service, tmp_path: Path) -> None:
    service.known.add("orjson")
    done = asked_of(
        service.url, write_lock(tmp_path / "a.txt", "orjson", "3.0"), write_lock(tmp_path / "b.txt", "tqdm", "1.0")
    )
    assert done.returncode == 1
    assert "orjson 3.0 has PYSEC-2026-1, fixed in 9.9.9" in done.stdout
    assert "2 of 2 packages checked, 1 vulnerabilities" in done.stdout
    assert set(service.asked) == {"orjson", "tqdm"}


def test_nothing_known_passes(service: Service) -> None:
    done = asked_of(service.url, ROOT / "requirements.lock")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(service.asked)} of {len(service.asked)} packages checked, 0 vulnerabilities" in done.stdout
    assert {"cryptography", "orjson"} <= set(service.asked) <= RUNTIME.keys()


def test_a_service_that_is_not_there_passes_and_it_is_said_that_nothing_was_checked(service: Service) -> None:
    service.server_close()
    done = asked_of(service.url, ROOT / "requirements-build.lock")
    assert done.returncode == 0
    assert "NOTHING WAS CHECKED" in done.stdout
    assert "0 vulnerabilities" not in done.stdout


def test_what_is_no_lock_does_not_pass(service: Service, tmp_path: Path) -> None:
    loose = tmp_path / "loose.txt"
    loose.write_text("orjson>=3\n")
    done = asked_of(service.url, loose)
    assert done.returncode == 2
    assert "could not run" in done.stderr
    assert service.asked == []


def test_a_package_is_named_in_a_bill_as_in_the_index() -> None:
    assert Package("orjson", "3.0", (), ()).purl == "pkg:pypi/orjson@3.0"
