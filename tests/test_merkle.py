"""The tree and its proofs against RFC 6962's own recursive words, at every size that is special."""

import hashlib
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.errors import Invalid
from signed_ledger.merkle import (
    EMPTY_ROOT,
    ENTRIES,
    Tile,
    Tree,
    consistency_proof,
    consistency_tiles,
    edge_tiles,
    inclusion_proof,
    inclusion_tiles,
    leaf_hash,
    node_hash,
    read_tile_path,
    root_of,
    tile_path,
    tree_hash,
    verify_consistency,
    verify_inclusion,
    width_at,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "c2sp-note" / "tile-paths.json").read_text(encoding="utf-8")
)
LARGEST = 65_536 + 300
LEAVES = [leaf_hash(b"%d" % number) for number in range(LARGEST)]
EDGES = [255, 256, 257, 511, 512, 513, 65_279, 65_280, 65_535, 65_536, 65_537, LARGEST]


# --- RFC 6962 section 2.1, word for word ---------------------------------------------------------------------------


def split_of(size: int) -> int:
    """The largest power of two smaller than `size`."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


@cache
def mth(start: int, end: int) -> bytes:
    if end == start:
        return hashlib.sha256(b"").digest()
    if end - start == 1:
        return LEAVES[start]
    middle = start + split_of(end - start)
    return hashlib.sha256(b"\x01" + mth(start, middle) + mth(middle, end)).digest()


def path(index: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + split_of(end - start)
    if index < middle:
        return [*path(index, start, middle), mth(middle, end)]
    return [*path(index, middle, end), mth(start, middle)]


def subproof(old: int, start: int, end: int, is_whole: bool) -> list[bytes]:
    if old == end:
        return [] if is_whole else [mth(start, end)]
    middle = start + split_of(end - start)
    if old <= middle:
        return [*subproof(old, start, middle, is_whole), mth(middle, end)]
    return [*subproof(old, middle, end, False), mth(start, middle)]


def tiles_at(size: int, wanted: list[Tile]) -> dict[Tile, bytes]:
    """The hashes of these tiles, from the leaves."""
    made = {}
    for tile in wanted:
        assert tile.width == width_at(tile.level, tile.number, size)
        step = 256**tile.level
        first = tile.number * 256
        numbers = range(first, first + tile.width)
        made[tile] = b"".join(mth(number * step, (number + 1) * step) for number in numbers)
    return made


def include(index: int, size: int) -> list[bytes]:
    return inclusion_proof(index, size, tiles_at(size, inclusion_tiles(index, size)))


def consist(old: int, new: int) -> list[bytes]:
    return consistency_proof(old, new, tiles_at(new, consistency_tiles(old, new)))


def grown(size: int) -> Tree:
    tree = Tree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    return tree


# --- hashes --------------------------------------------------------------------------------------------------------


def test_hashes_are_those_of_the_rfc() -> None:
    assert hashlib.sha256().digest() == EMPTY_ROOT
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()


def test_roots_are_those_of_the_rfc_as_the_tree_grows() -> None:
    tree = Tree()
    for size, leaf in enumerate(LEAVES):
        if size <= 600 or size in EDGES:
            assert tree.root() == mth(0, size), size
            edge = [tile for tile in edge_tiles(size) if tile.width]
            assert root_of(size, tiles_at(size, edge)) == mth(0, size)
        if size <= 600:
            assert tree_hash(LEAVES[:size]) == mth(0, size)
        tree.append(leaf)
    assert (tree.size, tree.root()) == (LARGEST, mth(0, LARGEST))


def test_full_tiles_come_once_each_when_their_last_leaf_does() -> None:
    tree, full = Tree(), {}
    for seq, leaf in enumerate(LEAVES):
        for tile in tree.append(leaf):
            assert seq + 1 == (tile.number + 1) * 256 ** (tile.level + 1)
            full[tile.level, tile.number] = (tile.hashes, tile.root)
    assert len(full) == 257 + 1
    for (level, number), (hashes, root) in full.items():
        assert hashes == tiles_at(LARGEST, [Tile(level, number)])[Tile(level, number)]
        assert root == mth(number * 256 ** (level + 1), (number + 1) * 256 ** (level + 1))


@pytest.mark.parametrize("size", [0, 1, *EDGES])
def test_a_tree_goes_on_from_its_edges(size: int) -> None:
    edges = []
    for level in range(max(size - 1, 0).bit_length() // 8 + 1):
        number = (size >> (8 * level)) // 256
        tile = Tile(level, number, width_at(level, number, size))
        hashes = tiles_at(size, [tile])[tile]
        edges.append([hashes[at : at + 32] for at in range(0, len(hashes), 32)])
    tree = Tree(size, edges)
    assert tree.root() == mth(0, size)
    before = tree.copy()
    for leaf in LEAVES[size : size + 300]:
        tree.append(leaf)
    assert tree.root() == mth(0, min(size + 300, LARGEST))
    assert before.root() == mth(0, size)


# --- proofs --------------------------------------------------------------------------------------------------------


@pytest.mark.no_cover
@pytest.mark.parametrize("sizes", [range(1, 66), range(120, 136), range(250, 262)], ids=["small", "128", "256"])
def test_every_proof_is_the_rfcs_and_verifies(sizes: range) -> None:
    for size in sizes:
        for index in range(size):
            proof = include(index, size)
            assert proof == path(index, 0, size)
            verify_inclusion(LEAVES[index], index, size, mth(0, size), proof)
        for old in range(1, size + 1):
            proof = consist(old, size)
            assert proof == subproof(old, 0, size, True)
            verify_consistency(old, mth(0, old), size, mth(0, size), proof)


@pytest.mark.no_cover
def test_every_pair_of_sizes_up_to_300_is_consistent() -> None:
    for new in range(301):
        for old in range(new + 1):
            verify_consistency(old, mth(0, old), new, mth(0, new), consist(old, new))


@given(st.data())
def test_proofs_of_large_trees_are_the_rfcs(data: st.DataObject) -> None:
    size = data.draw(st.one_of(st.sampled_from(EDGES), st.integers(1, LARGEST)))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.one_of(st.sampled_from([edge for edge in EDGES if edge <= size] or [1]), st.integers(1, size)))
    assert include(index, size) == path(index, 0, size)
    assert consist(old, size) == subproof(old, 0, size, True)
    verify_inclusion(LEAVES[index], index, size, mth(0, size), include(index, size))
    verify_consistency(old, mth(0, old), size, mth(0, size), consist(old, size))


def bits_of(proof: list[bytes], chance: random.Random) -> list[tuple[int, int]]:
    """Which bits of a proof to change: all of a short one, some of a long one."""
    bits = [(at, bit) for at in range(len(proof)) for bit in range(256)]
    return bits if len(bits) <= 1024 else chance.sample(bits, 1024)


def with_bit(proof: list[bytes], at: int, bit: int) -> list[bytes]:
    value = bytearray(proof[at])
    value[bit // 8] ^= 1 << bit % 8
    return [*proof[:at], bytes(value), *proof[at + 1 :]]


@pytest.mark.parametrize(("index", "size"), [(0, 2), (2, 3), (6, 7), (5, 11), (255, 257), (256, 257), (70, LARGEST)])
def test_any_bit_of_an_inclusion_proof_changed_is_refused(index: int, size: int) -> None:
    leaf, root, proof = LEAVES[index], mth(0, size), include(index, size)
    verify_inclusion(leaf, index, size, root, proof)
    for edited in (with_bit(proof, *where) for where in bits_of(proof, random.Random(1))):
        with pytest.raises(Invalid):
            verify_inclusion(leaf, index, size, root, edited)
    for edited in (proof[:-1], proof[1:], [*proof, bytes(32)], [bytes(32), *proof]):
        with pytest.raises(Invalid):
            verify_inclusion(leaf, index, size, root, edited)
    for wrong in ((LEAVES[index - 1], index, size, root), (leaf, index, size, bytes(32)), (leaf, size, size, root)):
        with pytest.raises(Invalid):
            verify_inclusion(*wrong, proof)


@pytest.mark.parametrize(
    ("old", "new"), [(1, 2), (2, 3), (3, 7), (4, 8), (6, 8), (255, 257), (256, 300), (300, LARGEST)]
)
def test_any_bit_of_a_consistency_proof_changed_is_refused(old: int, new: int) -> None:
    roots, proof = (mth(0, old), mth(0, new)), consist(old, new)
    verify_consistency(old, roots[0], new, roots[1], proof)
    for edited in (with_bit(proof, *where) for where in bits_of(proof, random.Random(2))):
        with pytest.raises(Invalid):
            verify_consistency(old, roots[0], new, roots[1], edited)
    for edited in (proof[:-1], proof[1:], [*proof, bytes(32)], []):
        with pytest.raises(Invalid):
            verify_consistency(old, roots[0], new, roots[1], edited)
    for other in ((bytes(32), roots[1]), (roots[0], bytes(32)), (roots[1], roots[0])):
        with pytest.raises(Invalid):
            verify_consistency(old, other[0], new, other[1], proof)


def test_every_tree_grew_from_nothing_and_from_itself_and_from_no_larger_one() -> None:
    verify_consistency(0, EMPTY_ROOT, 5, mth(0, 5), [])
    verify_consistency(5, mth(0, 5), 5, mth(0, 5), [])
    for old, old_root, new, proof in (
        (5, bytes(32), 5, []),
        (5, mth(0, 5), 5, [bytes(32)]),
        (0, EMPTY_ROOT, 5, [bytes(32)]),
        (6, mth(0, 6), 5, []),
        (3, mth(0, 3), 5, []),
        (-1, EMPTY_ROOT, 5, []),
    ):
        with pytest.raises(Invalid):
            verify_consistency(old, old_root, new, mth(0, 5), proof)


# --- tiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leaf", "size", "expected"), VECTORS["entries"])
def test_bundles_have_the_paths_that_others_give(leaf: int, size: int, expected: str) -> None:
    number = leaf // 256
    assert f"tile/{tile_path(Tile(ENTRIES, number, width_at(ENTRIES, number, size)))}" == expected


@pytest.mark.parametrize(("level", "index", "partial", "expected"), VECTORS["tiles"])
def test_tiles_have_the_paths_that_others_give(level: int, index: int, partial: int, expected: str) -> None:
    tile = Tile(level, index, partial or 256)
    assert f"tile/{tile_path(tile)}" == expected
    assert read_tile_path(tile_path(tile)) == tile


@pytest.mark.parametrize(("level", "path", "_level", "index", "partial"), VECTORS["parse_ok"])
def test_a_path_is_read_as_others_read_it(level: str, path: str, _level: int, index: int, partial: int) -> None:
    assert (_level, index, partial or 256) == tuple(read_tile_path(f"{level}/{path}"))


@pytest.mark.parametrize(("level", "path"), VECTORS["parse_err"])
def test_a_path_that_others_refuse_is_refused(level: str, path: str) -> None:
    with pytest.raises(Invalid):
        read_tile_path(f"{level}/{path}")


@given(st.integers(0, 63), st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_a_path_is_its_tiles_and_no_others(level: int, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert read_tile_path(tile_path(tile)) == tile


@pytest.mark.no_cover
def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    assert VECTORS["tree_70000"].startswith("273 full L0, partial L0 width 112, 1 full L1, partial L1 width 17")
    assert edge_tiles(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]  # the numbers count the full ones
    assert [width_at(level, index, 70_000) for level, index in [(0, 0), (0, 272), (1, 0)]] == [256, 256, 256]
