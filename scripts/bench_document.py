"""Puts a bench's tables where docs/PERFORMANCE.md keeps them, between two marks."""

from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "PERFORMANCE.md"
BLOCKS = ("one-worker", "two-workers", "publishing", "growth", "overload")


def fill(block: str, text: str, document: Path = DOCUMENT) -> None:
    """Replace what stands in this block of a document by `text`."""
    begin, end = f"<!-- figures: {block} -->\n", f"<!-- end: {block} -->"
    before, mark, rest = document.read_text(encoding="utf-8").partition(begin)
    _, end_mark, after = rest.partition(end)
    if not mark or not end_mark:
        raise SystemExit(f"{document.name} has no block {block}")
    document.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
