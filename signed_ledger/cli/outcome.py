"""From what happened to an exit status and, where it is not 0, one sentence on standard error."""

import os
import sqlite3
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import structlog

from signed_ledger.cli.output import warn
from signed_ledger.errors import InternalError, Overloaded, Refusal, SignedLedgerError
from signed_ledger.failing import told

DONE: Final = 0
REFUSED: Final = 1
UNASKABLE: Final = 2
FAULT: Final = 70
"""EX_SOFTWARE of sysexits.h: a running service met a state that it can not judge, and stopped."""
INTERRUPTED: Final = 130


def exit_status(command: Callable[[], int]) -> int:
    """Run a command as `told_status` does; logs are off unless it turns them on: who asked is told by the answer."""
    structlog.configure(processors=[_drop])
    return told_status(command)


def told_status(command: Callable[[], int]) -> int:
    """Run something. A cause outside this program is told in a sentence; an own mistake keeps its traceback."""
    try:
        status = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; so may we
        return DONE
    except (InternalError, Overloaded) as refusal:
        return _told(refusal.detail, UNASKABLE)
    except Refusal as refusal:
        return _told(refusal.detail, REFUSED)
    except SignedLedgerError as error:
        return _told(str(error), UNASKABLE)
    except sqlite3.Error as error:
        return _told(f"the ledger's database failed: {told(error)}", UNASKABLE)
    except OSError as error:
        return _told(f"{error.filename or 'the system'}: {error.strerror or error}", UNASKABLE)
    return status


def _told(sentence: str, status: int) -> int:
    warn(sentence)
    return status


def _drop(*_: Any) -> NoReturn:
    raise structlog.DropEvent
