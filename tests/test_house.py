"""The rules of the house that a tool can hold: floors, who imports what, no float near money, nothing ever updated."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "signed_ledger"

FLOORS = {
    **dict.fromkeys(("errors", "disk", "failing", "shedding"), 0),
    **dict.fromkeys(
        ("config", "countries", "fetching", "killpoints", "listening", "merkle", "money", "records", "telemetry"), 1
    ),
    **dict.fromkeys(("encoding", "signing", "tables"), 2),
    **dict.fromkeys(("checkpoints", "keyring", "policy", "schemes", "rules", "store", "sealing", "trust"), 3),
    **dict.fromkeys(("ledger", "audit", "rebuild", "receipts", "books"), 4),
    **dict.fromkeys(("daily", "publishing", "witness"), 5),
    "api": 6,
    "cli": 7,
}
"""docs/architecture.md's table. A module imports from its own package and from lower floors."""

STAIRS = {"records": {"money", "countries"}, "policy": {"checkpoints"}}
"""The steps within a floor: the nouns are made of amounts and codes, a policy judges checkpoints."""

ALLOWED = {
    "aiohttp": ("api/", "fetching.py", "listening.py", "witness/"),
    "aiosqlite": ("store/connection.py",),
    "cryptography": ("signing/",),
    "nacl": ("signing/",),
    "pkcs11": ("signing/pkcs11.py",),
    "pyarrow": ("books/parquet.py",),
}
"""Where each of these packages may be imported, and nowhere else."""

NOT_THE_LEDGER = ("publishing/lock.py", "witness/state.py")
"""Modules that write to a database which is no ledger, and has no history to keep."""

MONEY_PATHS = ("money", "records", "rules", "encoding")
FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 300
WRITTEN_OVER = re.compile(
    r"\bUPDATE\s+(?:OR\s+\w+\s+)?\S+\s+SET\b|\bDO\s+UPDATE\b|\bDELETE\s+FROM\b|\bREPLACE\s+INTO\b|\bOR\s+REPLACE\b",
    re.I,
)
UNREASONED = re.compile(r"# " r"noqa(?!: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)*  \w)")
"""Such as: `# noqa: DTZ001  naive, and meaning UTC`."""
LEFT_OPEN = re.compile(r"\b(TO" + "DO|FIX" + r"ME)\b")


def unit_of(path: str) -> str:
    """The module or package directly in signed_ledger that a file of it belongs to."""
    unit = path.partition("/")[0].removesuffix(".py")
    return "cli" if unit == "__main__" else unit


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names of all modules, and of what is taken from them, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_floors(path: str, source: str) -> list[str]:
    own = unit_of(path)
    found = {name.split(".")[1] for name in imported(parsed(source)) if name.startswith("signed_ledger.")}
    near = {own, "__version__", *STAIRS.get(own, ())}
    return sorted(unit for unit in found - near if FLOORS[unit] >= FLOORS[own])


def wrong_imports(path: str, source: str) -> list[str]:
    packages = {name.split(".")[0] for name in imported(parsed(source))}
    return sorted(name for name in packages & ALLOWED.keys() if not path.startswith(ALLOWED[name]))


def floats(source: str) -> list[int]:
    """The lines on which there is a float: a literal, the type, a division."""
    return [
        getattr(node, "lineno", 0)
        for node in ast.walk(parsed(source))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
    ]


def texts(source: str) -> Iterator[str]:
    """Every string of a module; what an f-string fills in stands as `x`."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)


def long_functions(source: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]


MODULES = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
every_module = pytest.mark.parametrize(("path", "source"), MODULES.items(), ids=MODULES)


def test_every_module_has_its_floor() -> None:
    assert {unit_of(path) for path in MODULES} - FLOORS.keys() == {"__init__"}


@every_module
def test_a_module_imports_from_lower_floors_only(path: str, source: str) -> None:
    if path == "__init__.py":
        assert list(imported(parsed(source))) == []
        return
    assert wrong_floors(path, source) == []


@every_module
def test_some_packages_are_imported_in_one_place_only(path: str, source: str) -> None:
    assert wrong_imports(path, source) == []


@every_module
def test_there_is_no_float_near_money(path: str, source: str) -> None:
    if unit_of(path) in MONEY_PATHS:
        assert floats(source) == []


@every_module
def test_nothing_is_ever_written_over_but_by_an_erasure(path: str, source: str) -> None:
    if path == "store/erasing.py":
        assert any(WRITTEN_OVER.search(text) for text in texts(source))
        return
    if path in NOT_THE_LEDGER:
        return
    assert [text for text in texts(source) if WRITTEN_OVER.search(text)] == []


def test_nothing_is_ever_written_over_by_the_schema() -> None:
    schemas = list(PACKAGE.rglob("*.sql"))
    assert schemas
    for schema in schemas:
        assert not WRITTEN_OVER.search(schema.read_text(encoding="utf-8")), schema


@every_module
def test_functions_and_modules_are_small(path: str, source: str) -> None:
    assert long_functions(source) == []
    assert source.count("\n") <= MODULE_LINES_MAX


@pytest.mark.parametrize("folder", ["signed_ledger", "scripts", "tests"])
def test_nothing_is_left_for_later(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not LEFT_OPEN.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("folder", ["signed_ledger", "scripts", "tests"])
def test_what_the_linter_is_told_to_pass_has_its_reason(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not UNREASONED.search(path.read_text(encoding="utf-8")), path


# --- and each of these rules can fail ---


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("money.py", "from signed_ledger.encoding import decode_body", ["encoding"]),
        ("money.py", "from signed_ledger.records.names import NAME", ["records"]),
        ("money.py", "def f():\n    import signed_ledger.cli.main", ["cli"]),
        (
            "audit/steps.py",
            "from signed_ledger.ledger import Ledger\nfrom signed_ledger.api import routes",
            ["api", "ledger"],
        ),
        ("rules/load.py", "from signed_ledger import store", ["store"]),
        ("rules/load.py", "from signed_ledger.rules.book import Book\nfrom signed_ledger.money import Money", []),
    ],
)
def test_a_wrong_floor_is_found(path: str, source: str, wrong: list[str]) -> None:
    assert wrong_floors(path, source) == wrong


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("cli/main.py", "from aiohttp import web", ["aiohttp"]),
        ("api/app.py", "from aiohttp import web\nimport aiosqlite", ["aiosqlite"]),
        ("store/connection.py", "import aiosqlite", []),
        ("signing/pkcs11.py", "def f():\n    import pkcs11", []),
        ("signing/files.py", "from pkcs11 import lib", ["pkcs11"]),
        ("keyring.py", "import nacl.bindings\nfrom cryptography.hazmat import primitives", ["cryptography", "nacl"]),
    ],
)
def test_a_wrong_import_is_found(path: str, source: str, wrong: list[str]) -> None:
    assert wrong_imports(path, source) == wrong


@pytest.mark.parametrize("source", ["x = 1.5", "x = float(y)", "x = y / 2", "x /= 2", "def f(x: float): ..."])
def test_a_float_is_found(source: str) -> None:
    assert floats(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        '"UPDATE entries SET note = ?"',
        '"update entries set note = ?"',
        'f"UPDATE {table} SET note = ?"',
        '"DELETE FROM " "entries"',
        '"INSERT OR REPLACE INTO entries VALUES (?)"',
        '"INSERT INTO entries VALUES (?) ON CONFLICT DO UPDATE SET note = ?"',
    ],
)
def test_a_statement_that_writes_over_is_found(source: str) -> None:
    assert any(WRITTEN_OVER.search(text) for text in texts(source))


@pytest.mark.parametrize("source", ["x  # " + "noqa", "x  # " + "noqa: S608", "x  # " + "noqa: S608 names"])
def test_a_linter_silenced_without_a_reason_is_found(source: str) -> None:
    assert UNREASONED.search(source)


def test_a_long_function_is_found() -> None:
    lines = "\n".join(f"    x = {number}" for number in range(60))
    assert long_functions(f"async def f():\n{lines}") == ["f"]
    assert long_functions(f"def f():\n{lines[: lines.rindex(chr(10))]}") == []
