"""Step 11, the other half: the derived tables against the rows that the replay makes."""

from signed_ledger.audit.reading import Position
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.tables import DERIVED_TABLES, LEDGER_TABLES, Row, Table

_ROWS = slice(len(LEDGER_TABLES), len(LEDGER_TABLES) + len(DERIVED_TABLES))


def compare_rows(position: Position, expected: list[tuple[str, Row]] | None, tally: Tally) -> None:
    """Hold all derived rows at one seq against those that its entry makes; `None` is not known.

    A table that could not be read to here is passed over: that is told already.
    """
    if expected is None:
        return
    made = {name for name, _ in expected}
    for table, actual in zip(DERIVED_TABLES, position.rows[_ROWS], strict=True):
        if actual is None or not (actual or table.name in made):
            continue
        wanted = [row for name, row in expected if name == table.name]
        tally.checked[Step.DECISIONS] += len(wanted)
        if not _are_same(actual, wanted):
            _tell(position.seq, table, actual, wanted, tally)


def refuse_rows(position: Position, tally: Tally) -> None:
    """Derived rows where no entry is."""
    for table, actual in zip(DERIVED_TABLES, position.rows[_ROWS], strict=True):
        if actual:
            reason = f"{table.name} has {len(actual)} rows of an entry that is not there"
            tally.fault(position.seq, Step.DECISIONS, reason)


def _are_same(actual: list[Row], wanted: list[Row]) -> bool:
    """The same values of the same types: a table that is not strict could hold 1.0 or '1' for 1."""
    if actual != wanted:
        return False
    pairs = zip(actual, wanted, strict=True)
    return not [1 for one, other in pairs if [*map(type, one)] != [*map(type, other)]]


def _tell(seq: int, table: Table, actual: list[Row], wanted: list[Row], tally: Tally) -> None:
    if len(actual) == len(wanted) == 1:
        pairs = zip(table.columns, actual[0], wanted[0], strict=True)
        told = [
            f"{name} is {is_!r}, not {given!r}" for name, is_, given in pairs if not _are_same([(is_,)], [(given,)])
        ]
        reason = f"a row of {table.name} is not what the entry makes: {', '.join(told)}"
    else:
        reason = f"{table.name} has {len(actual)} rows of this entry, which makes {len(wanted)}"
    tally.fault(seq, Step.DECISIONS, reason)
