"""Step 12: the ledger as a log. Its tiles are those of its entries; every checkpoint kept is of this very history."""

from typing import Final

from signed_ledger.audit.opened import Check, Opened
from signed_ledger.audit.reading import Position
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.checkpoints import open_checkpoint_as
from signed_ledger.encoding import cosigner_name, decode_signature_lines
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.merkle import Tree
from signed_ledger.records import Checkpoint
from signed_ledger.tables import LOG_TABLES, TABLES, Row, tile_rows

_FIRST: Final = len(TABLES) - len(LOG_TABLES)
_OTHER_HISTORY: Final = "tree"


class Log:
    """Follows the tree in order of seq. After a gap it can not be told; what then differs is one fault."""

    def __init__(self, tally: Tally) -> None:
        self.tree = Tree()
        self._tally = tally
        self._is_known = True

    @property
    def known_tree(self) -> Tree | None:
        """The tree so far; `None` after a gap."""
        return self.tree if self._is_known else None

    def take(self, opened: Opened, keyring: Keyring | None) -> None:
        """Take an opened position in; `keyring` is as of its entry. Signatures go to `opened.checks`."""
        tiles, checkpoints, cosignatures = opened.position.rows[_FIRST:]
        if not opened.position.has_entry:
            _refuse_rows(opened.position, self._tally)
            return
        if opened.leaf is None or opened.follows_gap:
            self._is_known = False
        if opened.leaf is not None:
            full = self.tree.append(opened.leaf)
            if (tiles or (full and tiles is not None)) and self._is_known:
                self._compare_tiles(opened.seq, tiles, [row for _, row in tile_rows(opened.seq, full)])
        for row in checkpoints or ():
            self._check_checkpoint(opened, row, keyring)
        for row in cosignatures or ():
            self._check_cosignature(opened.seq, row, has_checkpoint=bool(checkpoints))

    def _compare_tiles(self, seq: int, actual: list[Row], wanted: list[Row]) -> None:
        self._tally.checked[Step.LOG] += len(wanted)
        if actual != wanted:
            reason = f"the tiles that are full with this entry are {len(wanted)}; {len(actual)} stand there, or others"
            self._tally.repeated_fault(seq, Step.LOG, "tiles", reason)

    def _check_checkpoint(self, opened: Opened, row: Row, keyring: Keyring | None) -> None:
        self._tally.checked[Step.LOG] += 1
        if keyring is None:
            return
        try:
            if type(row[1]) is not bytes:
                raise Invalid("checkpoint", "is not a blob that can be a checkpoint")
            key = keyring.current("checkpoint").public_key
            signed, signature = open_checkpoint_as(row[1], origin=keyring.origin, public_key=key)
        except Invalid as error:
            self._tally.fault(opened.seq, Step.LOG, f"the checkpoint kept is not the ledger's: {error}")
            return
        opened.checks.append(Check(Step.LOG, (key, signed.text, signature)))
        if self._is_known and signed.checkpoint != Checkpoint(keyring.origin, opened.seq + 1, self.tree.root()):
            reason = "the checkpoint kept has another size or root than the entries: another history was published"
            self._tally.repeated_fault(opened.seq, Step.LOG, _OTHER_HISTORY, reason)

    def _check_cosignature(self, seq: int, row: Row, *, has_checkpoint: bool) -> None:
        """Whose it is and whether it verifies is for a policy to say; here it must be one, of a checkpoint kept."""
        self._tally.checked[Step.LOG] += 1
        if not has_checkpoint or _cosigner(row[2]) != row[1]:
            self._tally.fault(seq, Step.LOG, "has a cosignature that is of no checkpoint kept, or not of its key")


def _cosigner(line: object) -> str | None:
    try:
        lines = decode_signature_lines(line.encode()) if isinstance(line, str) else ()
    except (Invalid, UnicodeEncodeError):
        return None
    return cosigner_name(lines[0]) if len(lines) == 1 else None


def _refuse_rows(position: Position, tally: Tally) -> None:
    tiles, checkpoints, cosignatures = position.rows[_FIRST:]
    if checkpoints:
        reason = f"a checkpoint of {position.seq + 1} entries was published, but there is no entry {position.seq}"
        tally.fault(position.seq, Step.LOG, reason)
    if tiles or cosignatures:
        tally.fault(position.seq, Step.LOG, "has tiles or cosignatures of an entry that is not there")
