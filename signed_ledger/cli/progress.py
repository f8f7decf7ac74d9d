"""How far a command is that reads every entry, and what it found wrong there."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from signed_ledger.errors import IntegrityViolation, Invalid


@contextmanager
def entries_told(path: Path) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error where that is a terminal: told entries read so far, and in all.

    An `Invalid` that names an entry of the ledger at `path` becomes an `IntegrityViolation`: the file was read, and it
    is what it says that is wrong.
    """
    with tqdm(unit=" entries", unit_scale=True, file=sys.stderr, disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            yield show
        except Invalid as error:
            if error.field.startswith("entry "):
                raise IntegrityViolation(f"{path}: {error}; see signed-ledger verify") from error
            raise
