"""`check-receipt` as people and programs run it: the command line and the script share this."""

import json
import textwrap
from pathlib import Path
from typing import Any, Final, TextIO

from signed_ledger.encoding import RECEIPT_BYTES_MAX, decode_receipt
from signed_ledger.errors import Invalid
from signed_ledger.policy import read_policy
from signed_ledger.receipts.checking import Checked, check_receipt
from signed_ledger.trust import read_trust

PROVEN, REFUSED, NOT_ASKED = 0, 1, 2
COLUMNS: Final = 120


def run_check_receipt(
    path: Path, trust_path: Path, policy_path: Path | None, as_json: bool, out: TextIO, err: TextIO
) -> int:
    """Check a receipt's file, write what it proves to `out`; 0 it does, 1 it does not, 2 it could not be asked."""
    try:
        trust = read_trust(trust_path)
        policy = None if policy_path is None else read_policy(policy_path)
        data = _read(path)
    except (Invalid, OSError) as error:
        err.write(f"could not be checked: {error}\n")
        return NOT_ASKED
    try:
        checked = check_receipt(decode_receipt(data), trust, policy)
    except Invalid as error:
        return _refuse_form(error, as_json, out)
    out.write(_as_json(checked) if as_json else _summary(checked))
    return PROVEN if checked.ok else REFUSED


def _read(path: Path) -> bytes:
    """What prints a receipt, or an editor, may put a newline at its end; nothing else may differ."""
    with path.open("rb") as file:
        return file.read(RECEIPT_BYTES_MAX + 2).removesuffix(b"\n")


def _refuse_form(error: Invalid, as_json: bool, out: TextIO) -> int:
    reason = f"this is no receipt: {error}"
    out.write(_dumped({"ok": False, "fault": {"step": 0, "reason": reason}}) if as_json else f"NOT PROVEN: {reason}\n")
    return REFUSED


def _as_json(checked: Checked) -> str:
    return _dumped(
        {
            "ok": checked.ok,
            "seq": checked.seq,
            "origin": checked.origin,
            "fault": None
            if checked.fault is None
            else {"step": int(checked.fault.step), "reason": checked.fault.sentence},
            "proven": [{"step": int(step), "sentence": sentence} for step, sentence in checked.proven],
            "not_proven": list(checked.not_proven),
        }
    )


def _dumped(members: dict[str, Any]) -> str:
    return json.dumps(members, indent=2, ensure_ascii=False) + "\n"


def _summary(checked: Checked) -> str:
    lines = [f"{step} {sentence}" for step, sentence in checked.proven]
    if checked.fault is not None:
        lines.append(f"{checked.fault.step} WRONG: {checked.fault.sentence}")
        return "\n".join([*lines, "", "NOT PROVEN: with that fault the receipt proves nothing.", ""])
    lines += ["", f"PROVEN: entry {checked.seq} of {checked.origin}. What this receipt does not prove:"]
    return "\n".join([*lines, *map(_item, checked.not_proven), ""])


def _item(sentence: str) -> str:
    return textwrap.fill(sentence, COLUMNS, initial_indent="- ", subsequent_indent="  ")
