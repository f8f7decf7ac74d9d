"""The log as files, for any web server or mirror: what is served at /checkpoint and /tile/, byte for byte."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.disk import sync_folder
from signed_ledger.encoding import decode_checkpoint, encode_bundle
from signed_ledger.errors import IntegrityViolation, Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import FullTile, Tile, Tree, tile_path
from signed_ledger.publishing.kept import Published
from signed_ledger.publishing.tiles import Progress, grow, tree_at
from signed_ledger.records import Checkpoint
from signed_ledger.store import Reader

FOLDERS_OPEN_MAX: Final = 64
"""So many folders may have new names in them before these are made durable."""


class Exported(NamedTuple):
    """What an export did: the size before and now, and how many tiles it wrote."""

    since: int
    size: int
    tiles: int


class Target:
    """The folder that is written to. Every file is whole and durable under its name, or not there."""

    def __init__(self, folder: Path) -> None:
        self.tiles = 0
        self._folder = folder
        self._unsynced: set[Path] = set()

    def read_checkpoint(self) -> bytes | None:
        try:
            return (self._folder / "checkpoint").read_bytes()
        except FileNotFoundError:
            return None

    def write_tile(self, tile: Tile, data: bytes) -> None:
        path = self._folder / "tile" / tile_path(tile)
        self._make_folder(path.parent)
        self._write(path, data)
        self.tiles += 1

    def write_checkpoint(self, note: bytes) -> None:
        """Last of all: once it is there, so is every tile."""
        self._sync_folders()
        self._write(self._folder / "checkpoint", note)
        self._sync_folders()

    def _write(self, path: Path, data: bytes) -> None:
        building = self._folder / ".new"  # always this name: what a run left that was killed is written over
        with building.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        building.replace(path)
        self._unsynced.add(path.parent)
        if len(self._unsynced) > FOLDERS_OPEN_MAX:
            self._sync_folders()

    def _make_folder(self, path: Path) -> None:
        if not path.is_dir():
            self._make_folder(path.parent)
            path.mkdir()
            self._unsynced.add(path.parent)

    def _sync_folders(self) -> None:
        for path in self._unsynced:
            sync_folder(path)
        self._unsynced.clear()


async def export_tiles(
    reader: Reader, newest: Published, keyring: Keyring, folder: Path, progress: Progress
) -> Exported:
    """Bring `folder` to the checkpoint `newest`, from whichever it has.

    Raises `Invalid` where the folder holds another log, `IntegrityViolation` where the entries are not those that were
    published: the folder's checkpoint then stays as it is.
    """
    with _locked(folder):
        target = Target(folder)
        had = target.read_checkpoint()
        tree = await _begin(reader, newest, keyring, folder, had)
        since, begun = tree.size, set(tree.partial_tiles())
        await grow(reader, tree, newest.size, _writing(target, lambda: progress(tree.size, newest.size)))
        for tile, hashes in tree.partial_tiles():
            if (tile, hashes) not in begun:
                target.write_tile(tile, hashes)
        if tree.root() != newest.checkpoint.root:
            raise IntegrityViolation(
                f"the ledger's entries are not the {newest.size} that were published; see signed-ledger verify"
            )
        if had != newest.cosigned:
            target.write_checkpoint(newest.cosigned)
        return Exported(since, newest.size, target.tiles)


def _writing(target: Target, told: Callable[[], None]) -> Callable[[Tile, list[bytes], list[FullTile]], None]:
    def take(bundle: Tile, notes: list[bytes], full: list[FullTile]) -> None:
        target.write_tile(bundle, encode_bundle(notes))
        for tile in full:
            target.write_tile(Tile(tile.level, tile.number), tile.hashes)
        told()

    return take


async def _begin(reader: Reader, newest: Published, keyring: Keyring, folder: Path, had: bytes | None) -> Tree:
    """The tree that the folder has, and so need not be given again."""
    if had is None:
        return Tree()
    try:
        there = _read(had, keyring, newest)
    except Invalid as error:
        raise Invalid(str(folder / "checkpoint"), f"is not of this ledger: {error}") from error
    tree = await tree_at(reader, there.size)
    if tree.root() != there.root:
        raise Invalid(str(folder), f"holds another history: of its {there.size} entries this ledger has others")
    return tree


def _read(note: bytes, keyring: Keyring, newest: Published) -> Checkpoint:
    size = decode_checkpoint(note).checkpoint.size
    if size > newest.size:
        raise Invalid("size", f"it has {size} entries, and the newest checkpoint kept here has {newest.size}")
    key = keyring.checkpoint_key_at(size)
    return open_checkpoint(note, origin=keyring.origin, public_key=key).checkpoint


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One export at a time writes to a folder; the lock ends with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Invalid("--tiles", f"{folder} is no folder") from None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Invalid(str(folder), "is being written to by another export: run it again when that is done") from None
