"""What stretches leave, in files until all are audited: together it is as much as the ledger has payments."""

import marshal
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from signed_ledger.audit.joining import DoNotMeet, Ended
from signed_ledger.audit.names import Name

_NAMES_AT_ONCE: Final = 1_000


class Spool:
    """A folder of this audit's own. Its files are read by nobody but the processes of the audit that wrote them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, place: int, ended: Ended) -> None:
        """Keep what the stretch at a place leaves; raises `DoNotMeet` where there is no room for it."""
        names = iter(ended.names)
        try:
            with self._path(place).open("xb") as file:
                pickle.dump(replace(ended, names=()), file)
                while some := [tuple(name) for name in islice(names, _NAMES_AT_ONCE)]:
                    marshal.dump(some, file)
        except OSError as error:
            raise DoNotMeet from error

    def take(self, place: int) -> Ended:
        """What was put, with its names yet to be read."""
        file = self._path(place).open("rb")
        ended: Ended = pickle.load(file)  # noqa: S301  of our own process
        return replace(ended, names=_names_in(file))

    def _path(self, place: int) -> Path:
        return self._folder / str(place)


def _names_in(file: BufferedReader) -> Iterator[Name]:
    with file:
        while file.peek(1):
            yield from (Name(*values) for values in marshal.load(file))  # noqa: S302  likewise


@contextmanager
def spooling() -> Iterator[Spool]:
    """A spool until this ends; raises `DoNotMeet` where no folder can be made for it."""
    try:
        folder = TemporaryDirectory(prefix="signed-ledger-verify-")
    except OSError as error:
        raise DoNotMeet from error
    with folder as name:
        yield Spool(Path(name))
