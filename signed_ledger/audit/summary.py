"""A report for a person: what the ledger is, what was checked, what is wrong, what can not be known."""

from collections.abc import Iterable, Sequence
from typing import Final

from signed_ledger.audit.report import Report, StepResult
from signed_ledger.audit.steps import TITLES, Step
from signed_ledger.encoding import encode_time
from signed_ledger.money import format_minor

FAULTS_SHOWN_MAX: Final = 50
KID_CHARACTERS: Final = 16


def summary_of(report: Report, *, show_all: bool = False) -> str:
    """Give the text; the first faults only, unless `show_all`."""
    blocks = [_facts(report), _totals(report), _keys(report), _revoked(report), _steps(report)]
    blocks.append(_faults(report, show_all))
    blocks += [_not_known(report), _verdict(report)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _facts(report: Report) -> list[str]:
    facts = [("ledger", report.ledger), ("origin", report.origin or "not known")]
    facts.append(("trust", _trust(report)))
    counts = f"{report.entries:,}"
    if not report.is_log:
        counts += f", {report.transactions:,} transactions, {report.batches:,} batches"
    facts.append(("entries", counts))
    if report.seen is not None:
        facts.append(("seen", f"{report.seen:,} entries before; {_since(report)}"))
    if report.checkpoint is not None:
        size, cosignatures = report.checkpoint
        facts.append(
            (
                "newest",
                f"checkpoint of {size:,} entries, {cosignatures} cosignature{'s' * (cosignatures != 1)} kept with it",
            )
        )
    if report.erasures:
        facts.append(("erased", _erased(report)))
    if report.witnesses is not None:
        facts.append(("witness", ", ".join(report.witnesses) or _no_witness(report)))
    if report.first_time is not None and report.last_time is not None:
        facts.append(("time", f"{encode_time(report.first_time)} to {encode_time(report.last_time)}"))
    if report.head is not None:
        facts.append(("head", f"seq {report.head.seq}, leaf {report.head.leaf.hex()}"))
    facts.append(("took", f"{report.seconds:.1f} s, {report.entries_per_second:,.0f} entries/s"))
    return [f"{name:<8} {value}" for name, value in facts]


def _no_witness(report: Report) -> str:
    is_new = report.is_log or report.checkpoint is not None
    return "none of the policy's cosigned it" if is_new else "not asked: there is no newer checkpoint"


def _since(report: Report) -> str:
    if not report.from_seq:
        return "all were verified anew"
    return f"verified now: the {report.entries - report.from_seq:,} since"


def _erased(report: Report) -> str:
    counts = ", ".join(f"{count:,} of {name}" for name, count in report.erased.items())
    erasures = f"{report.erasures:,} erasure{'s' * (report.erasures != 1)}"
    return f"{sum(report.erased.values()):,} parts ({counts}) by {erasures}"


def _totals(report: Report) -> list[str]:
    names = ("posted", "issuer", "schemes", "cards", "held")
    rows = [(t.currency, *(format_minor(getattr(t, name), t.currency) for name in names)) for t in report.totals]
    return _table(("currency", "sum of all", "issuer", "schemes", "cards", "held"), rows, "<>>>>>") if rows else []


def _keys(report: Report) -> list[str]:
    rows = [
        (key.role, key.whose, key.kid[:KID_CHARACTERS], str(key.valid_from), _end(key.valid_to)) for key in report.keys
    ]
    return _table(("role", "whose", "kid", "valid from", "to"), rows, "<<<>>") if rows else []


def _trust(report: Report) -> str:
    if report.trust is None:
        return "the genesis's own word"
    return report.trust + (f", the root keys as of entry {report.trusted_since}" if report.trusted_since else "")


def _revoked(report: Report) -> list[str]:
    rows = [
        (one.role, one.kid[:KID_CHARACTERS], *map(str, (one.at_size, one.before, one.signed_again, one.not_trusted)))
        for one in report.revoked
    ]
    headings = ("revoked", "kid", "from size", "before, trusted", "signed again", "not trusted")
    return _table(headings, rows, "<<>>>>") if rows else []


def _end(valid_to: int | None) -> str:
    return "" if valid_to is None else str(valid_to)


def _steps(report: Report) -> list[str]:
    return _table(("step", "", "checked", ""), map(_step, report.steps), "><><")


def _step(result: StepResult) -> tuple[str, ...]:
    step, checked, faults = result
    nothing = "not asked" if step in (Step.TRUST, Step.SEEN) else "nothing to check"
    outcome = f"{faults:,} FAULT{'S' * (faults != 1)}" if faults else "ok" if checked else nothing
    return str(int(step)), TITLES[step], f"{checked:,}", outcome


def _faults(report: Report, show_all: bool) -> list[str]:
    shown = report.faults if show_all else report.faults[:FAULTS_SHOWN_MAX]
    rows = [("-" if seq is None else str(seq), str(int(step)), reason) for seq, step, reason in shown]
    lines = _table(("seq", "step", "fault"), rows, ">><") if rows else []
    rest = len(report.faults) - len(shown)
    return [*lines, f"... and {rest:,} more (--all lists them)"] if rest else lines


def _not_known(report: Report) -> list[str]:
    return ["What this can not know", *(f"  {sentence}" for sentence in report.not_known)]


def _verdict(report: Report) -> list[str]:
    if report.ok:
        told = [report.last_seen] if report.last_seen else []
        return [*told, "VERIFIED: no fault found."]
    return [f"NOT VERIFIED: {len(report.faults):,} fault{'s' * (len(report.faults) != 1)}."]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], alignments: str) -> list[str]:
    table = [tuple(headings), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    cells = [[f"{cell:{a}{w}}" for cell, a, w in zip(row, alignments, widths, strict=True)] for row in table]
    return ["  ".join(row).rstrip() for row in cells]
