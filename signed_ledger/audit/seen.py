"""Step 13: the ledger has grown from the checkpoint seen last. Who asks nobody else learns of a cut tail here."""

from signed_ledger.audit.last_seen import LastSeen
from signed_ledger.audit.opened import Opened
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.checkpoints import open_checkpoint
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import Tree


class Seen:
    """Waits for the newest entry of the checkpoint seen, then holds its root against the tree's."""

    def __init__(self, tally: Tally, seen: LastSeen | None) -> None:
        self._tally = tally
        self._seen = seen
        self.was_met = False

    def take(self, opened: Opened, keyring: Keyring | None, tree: Tree | None) -> None:
        """An entry was opened, `keyring` and `tree` are as of it; the tree is `None` where a gap hides it."""
        if self._seen is None or not opened.position.has_entry or opened.seq != self._seen.size - 1:
            return
        self.check(keyring, None if tree is None else tree.root())

    def check(self, keyring: Keyring | None, root: bytes | None) -> None:
        """Hold it against the root of the ledger's first entries, as many as it has."""
        assert self._seen is not None
        self.was_met = True
        self._tally.checked[Step.SEEN] += 1
        if keyring is None:
            self._fault("no key of the ledger is known, so whether it signed the checkpoint seen last is not either")
            return
        try:
            key = keyring.current("checkpoint").public_key
            open_checkpoint(self._seen.note, origin=keyring.origin, public_key=key)
        except Invalid as error:
            self._fault(f"the checkpoint seen last is not this ledger's: {error}")
            return
        if root is not None and root != self._seen.checkpoint.root:
            size = self._seen.size
            self._fault(f"the first {size} entries are not those that were seen: another history, or entries rewritten")

    def end(self, entries: int) -> None:
        """After the last position; `entries` is the seq of the last entry and one."""
        if self._seen is not None and not self.was_met:
            self._tally.checked[Step.SEEN] += 1
            if entries < self._seen.size:
                self._fault(f"the tail was cut: {self._seen.size} entries were seen, {entries} are there")
            else:
                self._fault(f"entry {self._seen.size - 1}, the newest of those seen, is not there")

    def _fault(self, reason: str) -> None:
        assert self._seen is not None
        self._tally.fault(self._seen.size - 1, Step.SEEN, reason)
