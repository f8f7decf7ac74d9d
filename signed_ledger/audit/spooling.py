"""What stretches leave, in files until all are audited: together it is as much as the ledger has payments."""

import marshal
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader, BufferedWriter
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from signed_ledger.audit.joining import DoNotMeet, Ended
from signed_ledger.audit.names import Name

_NAMES_AT_ONCE: Final = 1_000
_LENGTH_BYTES: Final = 8
_END: Final = b""


class Spool:
    """A folder of this audit's own. Its files are read by nobody but the processes of the audit that wrote them.

    What can not be written or read again raises `DoNotMeet`: one process does without.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, place: int, ended: Ended) -> None:
        """Keep what the stretch at a place leaves."""
        names = iter(ended.names)
        with _or_do_without(), self._path(place).open("xb") as file:
            _write(file, pickle.dumps(replace(ended, names=())))
            while some := [tuple(name) for name in islice(names, _NAMES_AT_ONCE)]:
                _write(file, marshal.dumps(some))
            _write(file, _END)

    def take(self, place: int) -> Ended:
        """What was put, with its names yet to be read."""
        pieces = self._pieces(place)
        with _or_do_without():
            ended: Ended = pickle.loads(next(pieces))  # noqa: S301  of our own process
        return replace(ended, names=(Name(*values) for piece in pieces for values in marshal.loads(piece)))  # noqa: S302  likewise

    def _pieces(self, place: int) -> Iterator[bytes]:
        """Piece by piece, each time opened anew: of many stretches not all files can be open at once."""
        at = 0
        while True:
            with _or_do_without(), self._path(place).open("rb") as file:
                file.seek(at)
                piece = _read(file)
                at = file.tell()
            if not piece:
                return
            yield piece

    def _path(self, place: int) -> Path:
        return self._folder / str(place)


def _write(file: BufferedWriter, piece: bytes) -> None:
    file.write(len(piece).to_bytes(_LENGTH_BYTES) + piece)


def _read(file: BufferedReader) -> bytes:
    length = file.read(_LENGTH_BYTES)
    piece = file.read(int.from_bytes(length))
    if len(length) != _LENGTH_BYTES or len(piece) != int.from_bytes(length):
        raise EOFError
    return piece


@contextmanager
def _or_do_without() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, StopIteration, pickle.UnpicklingError) as error:
        raise DoNotMeet from error


@contextmanager
def spooling() -> Iterator[Spool]:
    """A spool until this ends; raises `DoNotMeet` where no folder can be made for it."""
    try:
        folder = TemporaryDirectory(prefix="signed-ledger-verify-")
    except OSError as error:
        raise DoNotMeet from error
    with folder as name:
        yield Spool(Path(name))
