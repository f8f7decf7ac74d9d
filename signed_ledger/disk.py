"""Making files durable."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not be there yet, durably and whole; raises `FileExistsError` where it is."""
    with whole_file(path, mode=mode) as file:  # half a key file would stop every rotation after it
        file.write(data)


@contextmanager
def whole_file(path: Path, *, replace: bool = False, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file that takes its name, durably, once it is whole; what fails half-way leaves nothing.

    Raises `FileExistsError` where something of that name is there and is not to be replaced.
    """
    descriptor, name = mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    building = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            building.replace(path)
        else:
            os.link(building, path)
    finally:
        building.unlink(missing_ok=True)
    sync_folder(path.parent)
