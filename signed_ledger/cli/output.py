"""What people and programs read: aligned tables, labelled lines, JSON."""

import json
import sys
from collections.abc import Iterable, Sequence


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings, aligned; the columns named by `right` to the right, as amounts are."""
    table = [tuple(name.upper().replace("_", " ") for name in headings), *(tuple(map(str, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = zip(headings, row, widths, strict=True)
        print("  ".join(f"{cell:{'>' if name in right else '<'}{width}}" for name, cell, width in cells).rstrip())


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print (name, value) lines, the values aligned."""
    lines = list(facts)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def warn(sentence: str) -> None:
    print(f"signed-ledger: {sentence}", file=sys.stderr)
