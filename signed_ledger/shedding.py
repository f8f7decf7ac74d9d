"""Load shedding: what is too much is told apart by its frame alone, and answered before it is parsed.

An HTTP library spends as much on a request that is refused as on an echo, and takes in all that came in a turn of the
event loop before it asks the first handler whether there is room. So under twice what a server can do, those that it
refuses would leave no time for the others.
"""

import re
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

_FRAMING: Final = rb"(?i:content-length|transfer-encoding|expect|(?:proxy-)?connection|upgrade)"
_FIELDS: Final = rb"(?:(?!%s:)[-0-9A-Za-z]++:[ -~]*+\r\n)*+" % _FRAMING
"""Header fields that say nothing of where a request ends, as strictly spelled as everybody reads them alike."""
_HEAD_BYTES_MAX: Final = 16_384
"""A longer head is not looked at here."""


class Shedding:
    """How many requests to some paths may be in hand at once. Owner of every field: the event loop's thread."""

    def __init__(
        self, paths: Iterable[str], *, requests_max: int, body_bytes_max: int, refuse: Callable[[], bytes]
    ) -> None:
        """`refuse` counts and gives the answer to one more request; the connection stays open after it."""
        any_path = b"|".join(re.escape(path.encode()) for path in paths)
        head = rb"POST (?:%s) HTTP/1\.1\r\n%s(?i:content-length): ?([0-9]{1,6})\r\n%s\r\n"
        self._match_head = re.compile(head % (any_path, _FIELDS, _FIELDS)).match
        self._requests_max = requests_max
        self._body_bytes_max = body_bytes_max
        self._refuse = refuse
        self._in_hand = 0

    def is_whole(self, data: bytes) -> bool:
        """Whether these bytes, as the first of a message, are one whole request to one of the paths and nothing more.

        Whatever is not quite plain is not: it is for a parser to say what it is.
        """
        if len(data) > _HEAD_BYTES_MAX + self._body_bytes_max:
            return False
        head = self._match_head(data)
        return head is not None and len(data) - head.end() == int(head[1]) <= self._body_bytes_max

    def enter(self) -> bytes | None:
        """Take a request in, or give the answer to one too many."""
        if self._in_hand >= self._requests_max:
            return self._refuse()
        self._in_hand += 1
        return None

    def leave(self) -> None:
        """A request that was taken in is not in hand any more."""
        self._in_hand -= 1


class _State(Enum):
    IDLE = auto()  # all that came was answered: what comes next begins a request
    IN_HAND = auto()  # one request is, and nothing came behind it
    TELLING = auto()  # its answer is being written, which takes as long as its reader likes
    UNKNOWN = auto()  # for good: where requests begin and end is known to the parser alone


class Shed:
    """What one connection has in hand."""

    __slots__ = ("_shedding", "_state")

    def __init__(self, shedding: Shedding) -> None:
        self._shedding = shedding
        self._state = _State.IDLE

    def answer(self, data: bytes, *, reads: bool) -> bytes | None:
        """The answer to the request that came, where it is one too many; else these bytes are for the parser.

        Who does not read (`reads`) what was answered before is for the parser too, which then takes no more in.
        """
        if reads and self._state is _State.IDLE and self._shedding.is_whole(data):
            refused = self._shedding.enter()
            if refused is None:
                self._state = _State.IN_HAND
            return refused
        if data:
            self._go(_State.UNKNOWN)
        return None

    def telling(self) -> None:
        """The answer to the parser's oldest request is about to be written."""
        if self._state is _State.IN_HAND:
            self._go(_State.TELLING)

    def told(self) -> None:
        """That answer was written."""
        if self._state is _State.TELLING:
            self._go(_State.IDLE)

    def lost(self) -> None:
        """The connection is gone."""
        self._go(_State.UNKNOWN)

    def _go(self, state: _State) -> None:
        if self._state is _State.IN_HAND:
            self._shedding.leave()
        self._state = state
