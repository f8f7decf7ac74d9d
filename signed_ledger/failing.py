"""What SQLite or the system could not do with the ledger's files, told with what to do about it."""

import errno
import sqlite3
from typing import Final

_ROOM: Final = "make room on its disk, then start again"
_WRITABLE: Final = "file, folder or file system can not be written to: mend that, then start again"
_DISK: Final = "its disk fails, and the system's log says how: mend it or move the file, then start again"
_BACKUP: Final = "the file is damaged: keep it as it is, and bring the newest backup"

_BY_SQLITE: Final = {
    sqlite3.SQLITE_FULL: _ROOM,
    sqlite3.SQLITE_IOERR_SHMSIZE: _ROOM,
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CANTOPEN: "the file or one beside it (-wal, -shm) can not be opened: mend that, then start again",
    sqlite3.SQLITE_CORRUPT: _BACKUP,
    sqlite3.SQLITE_NOTADB: _BACKUP,
}
_BY_SYSTEM: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _ROOM),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _WRITABLE),
    errno.EIO: _DISK,
}


def told(error: Exception) -> str:
    """The words for what failed and, where that is known, what is to be done about it."""
    if isinstance(error, OSError):
        mend = _BY_SYSTEM.get(error.errno or 0)
    else:
        code = getattr(error, "sqlite_errorcode", 0)
        mend = _BY_SQLITE.get(code) or _BY_SQLITE.get(code & 0xFF)  # the low byte of an extended code is the plain one
    return f"{error}; {mend}" if mend else str(error)
