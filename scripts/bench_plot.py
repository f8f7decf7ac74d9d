"""A line plot as SVG: entries of the ledger across, on a logarithmic scale; from nothing upwards, what was measured."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

Series: TypeAlias = Mapping[str, Sequence[tuple[float, Sequence[float]]]]
"""By name, for each number of entries, what the runs measured: the median is drawn, and a bar from least to most."""

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 590, 60, 270
COLOURS: Final = ("#1f5fa8", "#b4471f", "#3b7d3b")
GREY: Final = "#888888"


def write_plot(path: Path, title: str, series: Series) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(title, series)) + "\n", encoding="utf-8")


def _lines(title: str, series: Series) -> Iterator[str]:
    points = [point for line in series.values() for point in line]
    first, last = (round(math.log10(bound(at for at, _ in points))) for bound in (min, max))
    top = _round_up(max(value for _, values in points for value in values))

    def across(entries: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(entries) - first) / max(1, last - first)

    def up(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * value / top

    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield _text(LEFT, 20, title, size=14)
    for step in range(5):
        value = top * step / 4
        yield f'<path d="M{LEFT} {up(value):.1f}H{RIGHT}" stroke="{GREY}" stroke-opacity="0.3"/>'
        yield _text(LEFT - 6, up(value) + 4, f"{value:,.6g}", anchor="end")
    for power in range(first, last + 1):
        yield _text(across(10**power), BOTTOM + 18, f"{10**power:,}", anchor="middle")
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 38, "entries", anchor="middle")
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        middles = [(across(at), up(median(values))) for at, values in line]
        drawn = " L".join(f"{x:.1f} {y:.1f}" for x, y in middles)
        yield f'<path d="M{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for (x, y), (_, values) in zip(middles, line, strict=True):
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            yield f'<path d="M{x:.1f} {up(min(values)):.1f}V{up(max(values)):.1f}" stroke="{colour}"/>'
        yield _text(LEFT + 190 * number, 42, name, colour=colour)
    yield "</svg>"


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#333333", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}">{escape(text)}</text>'


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return float(next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value))
