#!/usr/bin/env python3
"""Writes a bill of materials (SBOM, CycloneDX 1.6) of what the service runs with, to build/sbom.json.

Packages, versions, hashes and who needs whom are those of requirements.lock, licences are what the installed packages
state. One lock gives the same bytes each time. The bill is valid under CycloneDX's schema, and only licences that are
accepted here are in it.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from signed_ledger import __version__

ROOT = Path(__file__).resolve().parent.parent
US: Final = f"pkg:pypi/signed-ledger@{__version__}"
ACCEPTED: Final = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
"""MPL-2.0 asks for the source of its own files where they are changed; none of the others asks for any."""
SPDX: Final = {
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages write that are older than licence expressions."""

PACKAGE: Final = re.compile(r"^([a-z0-9.-]+)==([^ ]+).*\\\n((?:    --hash=.*\n)+)((?:    #.*\n)*)", re.MULTILINE)
HASH: Final = re.compile(r"sha256:([0-9a-f]{64})\b")
NEEDED_BY: Final = re.compile(r"#(?: via|  ) (\S.*)")


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    hashes: tuple[str, ...]
    """SHA-256 of each file that may be installed."""
    needed_by: tuple[str, ...]
    """Names; the service's own is "signed-ledger (setup.py)"."""

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(text: str) -> list[Package]:
    """Read all packages of a lock; raise `ValueError` where a line that names one can not be read."""
    packages = [
        Package(name, version, tuple(HASH.findall(hashes)), tuple(NEEDED_BY.findall(via)))
        for name, version, hashes, via in PACKAGE.findall(text)
    ]
    if len(packages) != len(re.findall(r"^\w", text, re.MULTILINE)):
        raise ValueError("a line of the lock is not a name, a version and hashes")
    return packages


def licence_of(package: Package) -> str | None:
    """Give its licence as SPDX has it, or `None` where it is not installed on this platform."""
    try:
        installed = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return None
    if installed.version != package.version:
        raise ValueError(f"{package.name} {installed.version} is installed, not {package.version}: make install")
    told: Any = installed.metadata  # an email.message.Message, which its type does not say
    classifiers = [text.rpartition(" :: ")[2] for text in told.get_all("Classifier", []) if text.startswith("License")]
    text = str(told["License-Expression"] or told["License"] or " AND ".join(classifiers))
    licence = SPDX.get(text, text)
    if not licence or not set(re.findall(r"[\w.-]+", licence)) - {"AND", "OR"} <= ACCEPTED:
        raise ValueError(f"{package.name} has the licence {text!r}, which scripts/make_sbom.py does not accept")
    return licence


def component(package: Package) -> dict[str, Any]:
    licence = licence_of(package)
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        **({"licenses": [{"expression": licence}]} if licence else {}),
        "purl": package.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{package.name}/{package.version}/#files",
                "comment": "the files that requirements.lock accepts",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
            }
        ],
    }


def bill_of(packages: list[Package]) -> dict[str, Any]:
    purls = {"signed-ledger (setup.py)": US, **{package.name: package.purl for package in packages}}
    needs: dict[str, list[str]] = {purl: [] for purl in purls.values()}
    for package in packages:
        for name in package.needed_by:
            needs[purls[name]].append(package.purl)
    ours = {"type": "application", "bom-ref": US, "name": "signed-ledger", "version": __version__, "purl": US}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**ours, "licenses": [{"expression": "Apache-2.0"}]}},
        "components": [component(package) for package in packages],
        "dependencies": [{"ref": ref, "dependsOn": needed} for ref, needed in needs.items()],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, default=ROOT / "requirements.lock", help="the lock file to read")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "sbom.json", help="the file to write")
    args = parser.parse_args()
    try:
        packages = read_lock(args.lock.read_text(encoding="utf-8"))
        bill = json.dumps(bill_of(packages), indent=2) + "\n"
    except (OSError, ValueError) as error:
        print(f"make_sbom.py: {error}", file=sys.stderr)
        return 1
    invalid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
    assert invalid is None, invalid
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(bill, encoding="utf-8")
    unknown = [package.name for package in packages if licence_of(package) is None]
    print(f"sbom: {args.out}, {len(packages)} packages, valid CycloneDX 1.6")
    if unknown:
        print(f"sbom: not installed on this platform, so without a licence: {', '.join(unknown)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
