"""Load shedding: what is too much is told apart by its frame alone, and answered before it is parsed.

An HTTP library spends as much on a request that is refused as on an echo, and takes in all that came in a turn of the
event loop before it asks the first handler whether there is room. So under twice what a server can do, those that it
refuses would leave no time for the others.
"""

import re
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

_FIELDS: Final = (
    rb"(?:(?!(?i:content-length|transfer-encoding|expect|connection|upgrade):)[-0-9A-Za-z]++:[ -~]*+\r\n)*+"
)
"""Header fields that say nothing of where a request ends, as strictly spelled as everybody reads them alike."""


class Shedding:
    """How many requests to some paths may be in hand at once. Owner of every field: the event loop's thread."""

    def __init__(self, paths: Iterable[str], requests_max: int, refuse: Callable[[], bytes]) -> None:
        """`refuse` counts and gives the answer to one more request; the connection stays open after it."""
        any_path = b"|".join(re.escape(path.encode()) for path in paths)
        head = rb"POST (?:%s) HTTP/1\.1\r\n%s(?i:content-length): ?([0-9]{1,6})\r\n%s\r\n"
        self._match_head = re.compile(head % (any_path, _FIELDS, _FIELDS)).match
        self._requests_max = requests_max
        self._refuse = refuse
        self._in_hand = 0

    def is_whole(self, data: bytes) -> bool:
        """Whether these bytes, as the first of a message, are one whole request to one of the paths and nothing more.

        Whatever is not quite plain is not: it is for a parser to say what it is.
        """
        head = self._match_head(data)
        return head is not None and len(data) - head.end() == int(head[1])


class _State(Enum):
    IDLE = auto()  # all that came was answered: what comes next begins a request
    IN_HAND = auto()  # one request is, and nothing came behind it
    UNKNOWN = auto()  # for good: where requests begin and end is known to the parser alone


class Shed:
    """What one connection has in hand."""

    __slots__ = ("_shedding", "_state")

    def __init__(self, shedding: Shedding) -> None:
        self._shedding = shedding
        self._state = _State.IDLE

    def answer(self, data: bytes) -> bytes | None:
        """The answer to the request that came, where it is one too many; else these bytes are for the parser."""
        shedding = self._shedding
        if self._state is _State.IDLE and shedding.is_whole(data):
            if shedding._in_hand >= shedding._requests_max:
                return shedding._refuse()
            shedding._in_hand += 1
            self._state = _State.IN_HAND
        elif data:
            self._go(_State.UNKNOWN)
        return None

    def answered(self) -> None:
        """The parser's oldest request was answered."""
        if self._state is _State.IN_HAND:
            self._go(_State.IDLE)

    def lost(self) -> None:
        """The connection is gone."""
        self._go(_State.UNKNOWN)

    def _go(self, state: _State) -> None:
        if self._state is _State.IN_HAND:
            self._shedding._in_hand -= 1
        self._state = state
