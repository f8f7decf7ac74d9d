"""Tiles (C2SP tlog-tiles): which there are, how wide, and the paths under which they are served and exported."""

import re
from typing import Final, NamedTuple

from signed_ledger.errors import Invalid

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
ENTRIES: Final = -1
"""The level of entry bundles, which lie as the leaves' tiles do."""

_LEVELS_MAX: Final = 64
_PATH: Final = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class Tile(NamedTuple):
    """The hashes of `width` full subtrees of 256**level leaves, side by side, from number 256 * `number` on."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def is_full(self) -> bool:
        return self.width == TILE_WIDTH


def width_at(level: int, index: int, size: int) -> int:
    """How wide the tile is in a tree of `size` leaves: 0 where it is not there."""
    there = (size >> (TILE_HEIGHT * max(level, 0))) - index * TILE_WIDTH
    return min(max(there, 0), TILE_WIDTH)


def edge_tiles(size: int) -> list[Tile]:
    """The tile at the right edge of each level of a tree of `size` leaves, level 0 first; one may be of width 0."""
    levels = range(max(size - 1, 0).bit_length() // TILE_HEIGHT + 1)
    numbers = [(size >> (TILE_HEIGHT * level)) // TILE_WIDTH for level in levels]
    return [Tile(level, number, width_at(level, number, size)) for level, number in enumerate(numbers)]


def tile_path(tile: Tile) -> str:
    """The path of a tile below `/tile/`: index 1234067 of level 0 is `0/x001/x234/067`."""
    digits = str(tile.number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *upper, last = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    index = "".join(f"x{part}/" for part in upper) + last
    level = "entries" if tile.level == ENTRIES else str(tile.level)
    return f"{level}/{index}" if tile.is_full else f"{level}/{index}.p/{tile.width}"


def read_tile_path(path: str) -> Tile:
    """The inverse; raises `Invalid` for any other spelling."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise Invalid("path", "is not that of a tile")
    level = ENTRIES if match["level"] == "entries" else int(match["level"])
    index = int(match["index"].replace("x", "").replace("/", ""))
    tile = Tile(level, index, int(match["width"] or TILE_WIDTH))
    if level >= _LEVELS_MAX or tile_path(tile) != path:
        raise Invalid("path", "is not that of a tile")
    return tile
