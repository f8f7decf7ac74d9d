"""A monitor that knows RFC 6962 and C2SP tlog-tiles, and nothing of ours: walks a log and holds it against its root."""

import hashlib
from collections.abc import Awaitable, Callable


def name(level: int | str, number: int, width: int = 256) -> str:
    """The path of a tile below `tile/`."""
    digits = f"{number:03}"
    while len(digits) % 3:
        digits = f"0{digits}"
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
    return f"{level}/{path}" + (f".p/{width}" if width < 256 else "")


def tree_of(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, over the hashes of leaves."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    middle = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + tree_of(hashes[:middle]) + tree_of(hashes[middle:])).digest()


def entries_in(bundle: bytes) -> list[bytes]:
    """The entries of a bundle: each after its length in two bytes."""
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2])
        entries.append(bundle[2 : 2 + length])
        assert len(entries[-1]) == length > 0
        bundle = bundle[2 + length :]
    return entries


async def walk(fetch: Callable[[str], Awaitable[bytes]], size: int, root: bytes) -> list[bytes]:
    """Fetch every tile of the log of `size` entries; each must fit what is below it, all of them `root`."""
    entries: list[bytes] = []
    for number, width in _tiles(size):
        bundle = entries_in(await fetch(name("entries", number, width)))
        assert len(bundle) == width
        entries += bundle
    leaves = hashes = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    level = 0
    while hashes:
        for number, width in _tiles(len(hashes)):
            expected = b"".join(hashes[256 * number : 256 * number + width])
            assert await fetch(name(level, number, width)) == expected, (level, number, width)
        hashes = [tree_of(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1
    assert tree_of(leaves) == root
    return entries


def _tiles(hashes: int) -> list[tuple[int, int]]:
    """(number, width) of each tile of a level that has so many hashes."""
    return [(at // 256, min(256, hashes - at)) for at in range(0, hashes, 256)]
