#!/usr/bin/env python3
"""Asks a vulnerability service of every package of the lock files, by pip-audit: what is known against one fails.

Where the service can not be reached, or does not know a package, it says so and passes: then nothing was proved.
Further arguments go to pip-audit, such as `--ignore-vuln ID` or `--vulnerability-service osv`.

Exit status: 0 nothing known, or nobody to ask; 1 vulnerabilities; 2 pip-audit could not run.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
LOCKS: Final = (
    "requirements-dev.lock",
    "requirements-interop.txt",
    "requirements-audit.lock",
    "requirements-bench.lock",
    "requirements-fuzz.txt",
)
"""requirements.lock and requirements-build.lock are parts of the first, which a test holds."""
INSTALLED: Final = Path(sys.prefix) / "pip-audit"
"""Where `make install` puts it: by itself, so that what it brings is not met by the service in the tests."""
UNREACHED: Final = re.compile(r"ConnectionError|Could not connect|Timeout|HTTPError|ServiceError")
TIMEOUT_S: Final = "15"


def pip_audit(locks: list[Path], more: list[str]) -> subprocess.CompletedProcess[str]:
    """Its report on standard output is JSON; where it could not ask, there is none."""
    how = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", TIMEOUT_S]
    command = [sys.executable, "-m", "pip_audit", *how, *(f"--requirement={lock}" for lock in locks), *more]
    environment = {**os.environ, "PYTHONPATH": str(INSTALLED)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def told_of(packages: list[dict[str, Any]]) -> int:
    """Print what is known; give the exit status."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        print("pip-audit: NOTHING WAS CHECKED, since the vulnerability service knows none of the packages")
        return 0
    found = [(package, known) for package in packages for known in package.get("vulns", ())]
    for package, known in found:
        fixed = ", ".join(known["fix_versions"]) or "no version yet"
        print(f"pip-audit: {package['name']} {package['version']} has {known['id']}, fixed in {fixed}")
    if skipped:
        print(f"pip-audit: NOT CHECKED, since the service does not know them: {', '.join(skipped)}")
    print(
        f"pip-audit: {len(packages) - len(skipped)} of {len(packages)} packages checked, {len(found)} vulnerabilities"
    )
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, action="append", help="a lock file, instead of the project's")
    args, more = parser.parse_known_args()
    done = pip_audit(args.lock or [ROOT / name for name in LOCKS], more)
    if done.stdout.strip():
        return told_of(json.loads(done.stdout)["dependencies"])
    if UNREACHED.search(done.stderr):
        print("pip-audit: NOTHING WAS CHECKED, since the vulnerability service could not be reached")
        return 0
    print(f"pip-audit could not run:\n{done.stderr}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
