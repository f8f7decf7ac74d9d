"""Step three of the day: the settlement file, as JSON and as CSV, with the signed note that proves both beside it.

Nothing is made here: all three are in the ledger, or follow from what is, so they can be written again byte for byte.
"""

from pathlib import Path
from typing import Final

from signed_ledger.daily.settling import Settled
from signed_ledger.disk import sync_folder, whole_file
from signed_ledger.encoding import settlement_csv
from signed_ledger.errors import StateConflict

MODE: Final = 0o640
"""The folder's group may read them: who pays and books is seldom who runs the service."""


def settlement_files(settled: Settled) -> dict[str, bytes]:
    """The files by name. The note holds the digest of the JSON, the JSON that of the CSV."""
    name = f"{settled.body.scheme}-{settled.body.date}"
    return {
        f"{name}.json": settled.body_bytes,
        f"{name}.csv": settlement_csv(settled.body),
        f"{name}.note": settled.entry,
    }


def write_settlement_files(settled: Settled, folder: Path, *, replace: bool = False) -> list[Path]:
    """Write those that are not there, durably; give the paths of all.

    Raises `StateConflict` where one is there with other bytes: then none is written, unless `replace`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / name: data for name, data in settlement_files(settled).items()}
    missing = {path: data for path, data in files.items() if not _is_there(path, data, replace=replace)}
    for path, data in missing.items():
        try:
            with whole_file(path, replace=replace, mode=MODE) as file:
                file.write(data)
        except FileExistsError:  # since we looked
            _is_there(path, data, replace=False)
    if missing:
        sync_folder(folder.parent)
    return list(files)


def _is_there(path: Path, data: bytes, *, replace: bool) -> bool:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return False
    if found != data and not replace:
        raise StateConflict(f"{path} holds something else: it was left as it is. Move it away, or use --force.")
    return found == data
