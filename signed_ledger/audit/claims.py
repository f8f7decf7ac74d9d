"""What seems to be an erasure. An erasure comes after what it names: so it is read before the entries, unbelieved."""

from collections.abc import Iterable, Iterator
from typing import Any

from signed_ledger.audit.reading import Stretch
from signed_ledger.encoding import decode_body, decode_entry
from signed_ledger.errors import Invalid
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import Erased, Erasure
from signed_ledger.sealing import open_part


class Claims:
    """By seq the leaf hash of each, `leaves`; and what they name in a stretch, `erased`."""

    def __init__(self, entries: Iterable[tuple[Any, ...]] = (), stretch: Stretch | None = None) -> None:
        """Takes seq, note and body as they stand in a file. What they name elsewhere is not kept: it may be much."""
        self.leaves: dict[int, bytes] = {}
        first, end = stretch or (None, None)
        self.erased = Erased(self._whole(entries), first or 0, end)

    def _whole(self, entries: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Erasure]]:
        """Those that are whole by themselves."""
        for seq, note, data in entries:
            if type(note) is not bytes or type(data) is not bytes:
                continue
            try:
                entry = decode_entry(note).entry
                body = decode_body(open_part("body", entry.body, data)).body
            except Invalid:
                continue
            if isinstance(body, Erasure) and (entry.kind, entry.seq) == (body.KIND, seq):
                self.leaves[seq] = leaf_hash(note)
                yield seq, body
