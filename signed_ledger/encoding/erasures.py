"""Erasures <-> members: docs/FORMAT.md, body: erasure."""

from typing import Any

from signed_ledger.encoding.fields import Fields
from signed_ledger.errors import Invalid
from signed_ledger.records import Erasure
from signed_ledger.records.erasures import PART_NAMES, Seqs


def encode_erasure(body: Erasure) -> dict[str, Any]:
    named = {name: getattr(body, name) for name in PART_NAMES}
    erased = {name: [list(run) for run in seqs] for name, seqs in named.items() if seqs}
    return {"asked_by": body.asked_by, "why": body.why, "erased": erased}


def decode_erasure(fields: Fields) -> Erasure:
    erased = fields.nested("erased")
    named = {name: _decode_runs(erased, name) for name in PART_NAMES if erased.has(name)}
    erased.done()
    return Erasure(asked_by=fields.text("asked_by"), why=fields.text("why"), **named)


def _decode_runs(erased: Fields, name: str) -> Seqs:
    runs = erased.lists_of_integers(name)
    if not runs or any(len(run) != 2 for run in runs):
        raise Invalid(name, "must be pairs of a first and a last seq, and is left out where there are none")
    return tuple((first, last) for first, last in runs)
