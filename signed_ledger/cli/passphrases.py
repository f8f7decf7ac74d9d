"""The passphrases of the Issuer's key files: from a file, or asked for in a terminal, never kept anywhere."""

import getpass
import os
import signal
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from signed_ledger.config import variable_of
from signed_ledger.errors import SignedLedgerError


class PassphraseRefused(SignedLedgerError):
    """A passphrase that is not to be had, or its file, which `where` names. No `ValueError`: those say it is wrong."""

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")


class Passphrases:
    """What opens key files that turn out to be encrypted: one for all from `file`, else each role's is asked for once.

    `needed` are the roles of which an encrypted file was met.
    """

    def __init__(self, file: Path | None) -> None:
        self.needed: set[str] = set()
        self._file = file
        self._asked: dict[str, bytes] = {}
        self._may_ask = may_ask()

    def opening(self, role: str) -> Callable[[], bytes]:
        """What a `KeyFolder` asks when it meets an encrypted file of `role`, or a token whose PIN is in no file."""
        return partial(self._give, role)

    def stop_asking(self) -> None:
        """From here on nobody sits at the terminal: a key of which the passphrase is not known is refused."""
        self._may_ask = False

    def _give(self, role: str) -> bytes:
        self.needed.add(role)
        if self._file is not None:
            return read_passphrase(self._file)
        if role not in self._asked:
            self._asked[role] = _ask(f"Passphrase or PIN of the {role} key: ") if self._may_ask else _refuse(role)
        return self._asked[role]


def may_ask() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_passphrase(path: Path) -> bytes:
    """Give the first line of a file; raise `PassphraseRefused` where it is missing, empty, or others may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise PassphraseRefused(str(path), f"has mode {mode:04o}; run: chmod 600 {path}")
            first = file.readline(4096).rstrip(b"\r\n")
    except OSError as error:
        raise PassphraseRefused(str(path), f"can not be read: {error.strerror}") from None
    if not first:
        raise PassphraseRefused(str(path), "has no passphrase in its first line")
    return first


def ask_new_passphrase() -> bytes:
    """Ask for a passphrase twice; raise `PassphraseRefused` where that can not be, or the two differ."""
    if not may_ask():
        raise PassphraseRefused("--passphrase", "asks in a terminal, and this is none; use --passphrase-file FILE")
    first = _ask("New passphrase: ")
    if _ask("The same again: ") != first:
        raise PassphraseRefused("passphrase", "the two are not the same; nothing was made")
    return first


def _ask(prompt: str) -> bytes:
    # The loop's own handler would wait for a task to end that never asks; at a prompt Ctrl-C means now.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        text = getpass.getpass(prompt)
    finally:
        signal.signal(signal.SIGINT, handler)
    if not text:
        raise PassphraseRefused("passphrase", "is empty")
    return text.encode()


def _refuse(role: str) -> NoReturn:
    by_setting = variable_of("key_passphrase_file")
    raise PassphraseRefused(
        f"the {role} key", f"needs its passphrase or PIN: name a file that has it by --passphrase-file or {by_setting}"
    )
