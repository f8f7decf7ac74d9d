"""Files that only their owner may touch: keys, PINs, and what says where a key lives."""

import os
import stat
from pathlib import Path

from signed_ledger.errors import Invalid


class KeyFileRefused(Invalid):
    """A key file that is missing, too open, or not what it should be; `field` is its path."""


def read_closed_file(path: Path) -> bytes:
    """Raises `KeyFileRefused` where it can not be read, or its group or others may do anything with it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileRefused(str(path), "is not a file")
            if mode & 0o077:
                raise KeyFileRefused(str(path), f"has mode {stat.S_IMODE(mode):04o}; run: chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise KeyFileRefused(str(path), f"can not be read: {error.strerror}") from None
