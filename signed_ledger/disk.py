"""Making files durable."""

import os
import secrets
from pathlib import Path


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not be there yet, durably; raises `FileExistsError` where it is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()  # half a file is worse than none: the next try would find its name taken
        raise
    sync_folder(path.parent)


def write_whole_file(path: Path, data: bytes, mode: int, *, replace: bool = False) -> None:
    """Write a file durably, so that under its name it is there whole or not at all.

    Raises `FileExistsError` where something of that name is there already, unless `replace`.
    """
    building = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    write_new_file(building, data, mode)
    try:
        if replace:
            building.replace(path)
        else:
            os.link(building, path)
    finally:
        building.unlink(missing_ok=True)
    sync_folder(path.parent)
