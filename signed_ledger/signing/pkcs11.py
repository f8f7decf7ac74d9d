"""Keys in hardware: a `Signer` whose private key never leaves a PKCS#11 token.

The one module that imports python-pkcs11, which is the extra `pkcs11`, and only when a key is in a token.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from signed_ledger.errors import Fault, SignedLedgerError
from signed_ledger.signing.closed_files import KeyFileRefused, read_closed_file
from signed_ledger.signing.ed25519 import PublicKeyRefused, check_public_key, verify
from signed_ledger.signing.key_uri import KeyUri

T = TypeVar("T")
Pin: TypeAlias = Callable[[], bytes | None]
"""Gives the PIN where a URI names no file of it."""

MESSAGE_BYTES_MAX: Final = 4096
"""Nothing longer is signed, so that key services that take no more can follow."""

_TRIAL: Final = b"signed-ledger: a trial signature, good for nothing\n"
_ED25519: Final = bytes.fromhex("06032b6570")
"""CKA_EC_PARAMS: the DER object identifier 1.3.101.112 (RFC 8410 section 3)."""
_OCTETS: Final = bytes.fromhex("0420")
"""CKA_EC_POINT is a DER OCTET STRING; PKCS#11 3.0 has it bare, and there are tokens of either kind."""

_SAYS: Final = {
    "NoSuchToken": "there is no such token",
    "MultipleTokensReturned": "there are several tokens of this name: add serial",
    "NoSuchKey": "there is no such Ed25519 key in the token",
    "MultipleObjectsReturned": "there are several keys of this name in the token: add id",
    "PinIncorrect": "the PIN is wrong",
    "PinInvalid": "the PIN is wrong",
    "PinLenRange": "the PIN is wrong",
    "PinLocked": "the PIN is locked: wrong ones were tried too often",
    "UserPinNotInitialized": "the token has no PIN yet",
    "MechanismInvalid": "the token knows no Ed25519",
}

_lock = threading.RLock()
"""Held around every call of a library: each was told that one thread at a time comes."""
_libraries: dict[str, Any] = {}
_sessions: dict[tuple[str, int], Any] = {}
"""By library and slot, a session that is logged in. A login is the process's: the keys of one token share it."""


class PinRefused(KeyFileRefused):
    """The token does not take the PIN."""


class HardwareSigner:
    """Signs in a token, from whichever thread and process; after a fork each process has a session of its own."""

    __slots__ = ("_key", "_library", "_pin", "_place", "_session", "_where", "public_key", "uri")

    def __init__(self, where: str, uri: KeyUri, library: Path, pin: Pin) -> None:
        """Find the key that `uri` names, and sign with it once; raises `KeyFileRefused` naming `where`."""
        self.uri = uri
        self._where, self._library, self._pin = where, str(library), pin
        signature = _twice(self._library, self._load)
        if not verify(self.public_key, _TRIAL, signature):
            raise KeyFileRefused(where, "names a private key that does not sign for the public key beside it")

    def sign(self, message: bytes) -> bytes:
        """Raises `Fault` where the token does not sign any more, or what it gives does not verify."""
        assert len(message) <= MESSAGE_BYTES_MAX
        try:
            signature = _twice(self._library, lambda: self._sign(message))
        except SignedLedgerError as error:
            raise Fault(f"the token does not sign any more: {error}") from error
        if not verify(self.public_key, message, signature):
            raise Fault(f"{self._where}: the token gave a signature that does not verify")
        return signature

    def _load(self) -> bytes:
        with _refusing(self._where):
            self._find()
            self.public_key = _public_key(self._session, self.uri, self._where)
            signature: bytes = self._key.sign(_TRIAL)
        return signature

    def _sign(self, message: bytes) -> bytes:
        with _refusing(self._where):
            if _sessions.get(self._place) is not self._session:
                self._find()
            signature: bytes = self._key.sign(message)
        return signature

    def _find(self) -> None:
        self._place, self._session = _logged_in(self._where, self.uri, self._library, self._pin)
        self._key = _found(self._session, self.uri, "PRIVATE_KEY", self._where)

    def destroy(self) -> None:
        """Take a key that came into no use out of its token again."""
        with _lock, _refusing(self._where), self._session.token.open(rw=True) as writing:
            for kind in ("PRIVATE_KEY", "PUBLIC_KEY"):
                _found(writing, self.uri, kind, self._where).destroy()


def generate_key(where: str, uri: KeyUri, library: Path, pin: Pin, label: str) -> HardwareSigner:
    """Make a key pair in the token that `uri` names; its private key can not be taken out. Raises `KeyFileRefused`."""
    made = replace(uri, object=label, id=os.urandom(16))
    _twice(str(library), lambda: _generate(where, made, str(library), pin))
    return HardwareSigner(where, made, library, pin)


def _generate(where: str, made: KeyUri, library: str, pin: Pin) -> None:
    pkcs11 = _pkcs11(where)
    with _refusing(where):
        _, session = _logged_in(where, made, library, pin)
        with session.token.open(rw=True) as writing:
            curve = {pkcs11.Attribute.EC_PARAMS: _ED25519}
            writing.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True).generate_keypair(
                mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label=made.object,
                id=made.id,
                private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
            )


# --- libraries and sessions ----------------------------------------------------------------------------------------


def _twice(library: str, work: Callable[[], T]) -> T:
    """Once more, from the start, where it failed: a session may have died. No PIN is tried twice: tokens lock."""
    with _lock:
        try:
            return work()
        except PinRefused:
            raise
        except KeyFileRefused:
            _close(library)
        return work()


def _pkcs11(where: str) -> Any:
    try:
        import pkcs11  # here, since only keys in hardware need it
    except ImportError:
        raise KeyFileRefused(where, "needs python-pkcs11: pip install 'signed-ledger[pkcs11]'") from None
    return pkcs11


def _logged_in(where: str, uri: KeyUri, library: str, pin: Pin) -> tuple[tuple[str, int], Any]:
    token = _loaded(library, where).get_token(
        token_label=uri.token, token_serial=None if uri.serial is None else uri.serial.encode()
    )
    place = (library, token.slot.slot_id)
    if place not in _sessions:
        _sessions[place] = token.open(user_pin=_pin_of(where, uri, pin))
    with suppress(_pkcs11(where).RandomNoRNG, _pkcs11(where).FunctionNotSupported):
        _sessions[place].generate_random(64)  # a dead session says so here: a search in it would not end cleanly
    return place, _sessions[place]


def _loaded(library: str, where: str) -> Any:
    pkcs11 = _pkcs11(where)
    _watch_forks()
    try:
        _libraries[library] = pkcs11.lib(library)
    except pkcs11.PKCS11Error as error:
        raise KeyFileRefused(where, f"names {library}, which is no PKCS#11 library: {error}") from None
    return _libraries[library]


@cache
def _watch_forks() -> None:
    os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)


def _before_fork() -> None:
    """A library, and a session, are of one process only: both sides of a fork open theirs anew, when they sign."""
    _lock.acquire()
    for library in _libraries:
        _close(library)


def _close(library: str) -> None:
    for place in [place for place in _sessions if place[0] == library]:
        del _sessions[place]
    if (loaded := _libraries.get(library)) is not None:
        with suppress(RuntimeError):  # python-pkcs11's errors are; it may be closed, or gone with its device
            loaded.finalize()


def _pin_of(where: str, uri: KeyUri, pin: Pin) -> str:
    """Read again for each login, and kept nowhere. No error quotes it."""
    if uri.pin_file is not None:
        where, given = str(uri.pin_file), read_closed_file(uri.pin_file).partition(b"\n")[0].rstrip(b"\r")
    else:
        given = pin() or b""
    if not given:
        raise KeyFileRefused(where, "has no PIN: name a file of mode 0600 with it by pin-source=file:/...")
    try:
        return given.decode()
    except UnicodeDecodeError:
        raise KeyFileRefused(where, "has a PIN that is not UTF-8") from None


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    try:
        yield
    except _pkcs11(where).PKCS11Error as error:
        name = type(error).__name__
        refused = PinRefused if name.startswith("Pin") else KeyFileRefused
        raise refused(where, _SAYS.get(name, f"the token answers {name}")) from None


# --- what is in a token --------------------------------------------------------------------------------------------


def _found(session: Any, uri: KeyUri, kind: str, where: str) -> Any:
    pkcs11 = _pkcs11(where)
    wanted: dict[Any, Any] = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind],
        pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC_EDWARDS,
    }
    if uri.object is not None:
        wanted[pkcs11.Attribute.LABEL] = uri.object
    if uri.id is not None:
        wanted[pkcs11.Attribute.ID] = uri.id
    keys = list(session.get_objects(wanted))  # to its end: a search that is left open blocks the session
    if len(keys) != 1:
        raise pkcs11.MultipleObjectsReturned if keys else pkcs11.NoSuchKey
    return keys[0]


def _public_key(session: Any, uri: KeyUri, where: str) -> bytes:
    point = bytes(_found(session, uri, "PUBLIC_KEY", where)[_pkcs11(where).Attribute.EC_POINT])
    try:
        return check_public_key(point.removeprefix(_OCTETS) if len(point) == 34 else point)
    except PublicKeyRefused as error:
        raise KeyFileRefused(where, f"names a public key that {error.detail}") from None
