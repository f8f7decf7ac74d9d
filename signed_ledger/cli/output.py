"""What people and programs read: aligned tables, labelled lines, JSON."""

import json
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import accumulate


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


def shortened(text: str, width: int) -> str:
    """Give a text that takes at most `width` columns of a terminal; what is cut off leaves an ellipsis.

    What has no shape of its own and could disturb the line is shown as a question mark. Wide (CJK) characters take two
    columns, combining ones none (Unicode Standard Annex 11).
    """
    shown = "".join(_plain(character) for character in text)
    ends = list(accumulate(map(_columns, shown)))
    return shown if not ends or ends[-1] <= width else f"{shown[: bisect_right(ends, width - 1)]}…"


def _plain(character: str) -> str:
    if character.isprintable():
        return character
    return " " if unicodedata.category(character) == "Zs" else "?"


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def warn(sentence: str) -> None:
    with suppress(OSError):  # nobody may read it, or its disk be full: the exit status says it all the same
        print(f"signed-ledger: {sentence}", file=sys.stderr)
