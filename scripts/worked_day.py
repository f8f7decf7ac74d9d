#!/usr/bin/env python3
"""Makes docs/worked-day.md: a day of a small Issuer, through the real writer on a real file, and audited at the end.

Keys, salts and the clock are fixed, so that the same day always gives the same bytes: --check compares.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.worked_day_story import STORY, Step
from signed_ledger.audit import Trust, audit_file
from signed_ledger.encoding import decode_body, decode_request, encode_time, settlement_csv
from signed_ledger.errors import Refusal
from signed_ledger.keyring import approve
from signed_ledger.ledger import Answer, Ledger, Settling, Webhook, create_ledger, found
from signed_ledger.money import format_minor
from signed_ledger.records import (
    Body,
    CardChange,
    CardTransaction,
    HttpRequest,
    JournalLine,
    KeyChange,
    Opening,
    RegisteredKey,
    Request,
    Settlement,
    card,
)
from signed_ledger.rules import Asked, Settle
from signed_ledger.schemes import WEBHOOK, verify
from signed_ledger.signing import SoftwareSigner, kid_of
from signed_ledger.store import Reader, Store
from signed_ledger.telemetry import configure_logging

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "worked-day.md"
ORIGIN: Final = "issuer.example/ledger"
SCHEME: Final = "visa"
START: Final = 1_794_823_200_000_000  # 2026-11-16T10:00:00Z
MINUTE: Final = 60_000_000
DAY_ENDS: Final = 1_795_824_000_000_000  # 2026-11-28T00:00:00Z
OWNERS: Final = (card("anna"), card("ben"), "issuer", "scheme:visa", "external:visa")

INTRODUCTION: Final = """# A worked day

Twenty-odd transactions of a small Issuer with two cards and one Scheme: what is sent, what is answered, which entries
are written, where the money is afterwards, and the settlement at the end. The page is made by `scripts/worked_day.py`,
through the real writer on a real file that is audited at the end; CI makes it again and compares every byte. The rules
are in [CARD_RULES](CARD_RULES.md).
"""


def signer_of(name: str) -> SoftwareSigner:
    return SoftwareSigner(hashlib.sha256(f"worked day: {name}".encode()).digest())


class Salts:
    """Salts that are the same each time."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.sha256(f"worked day: salt {self._count}".encode()).digest()[:size]


class Day:
    """The ledger of the day, and the page as far as it is written."""

    def __init__(self, ledger: Ledger, reader: Reader) -> None:
        self.ledger = ledger
        self.now = START
        self.page: list[str] = [INTRODUCTION]
        self._reader = reader
        self._number = 0
        self._seen = -1

    def clock(self) -> int:
        return self.now

    async def open(self, root: SoftwareSigner) -> None:
        """Register the Scheme; what was written so far is no part of the page."""
        key = signer_of(SCHEME).public_key
        change = KeyChange("add", "scheme", kid_of(key), key, SCHEME, 1)
        await self.ledger.submit(replace(change, approvals=approve(change, ORIGIN, [(f"{ORIGIN}/root", root)])))
        self._seen = await self._reader.head()

    async def take(self, step: Step) -> None:
        self.now += step.minutes * MINUTE
        self._number += 1
        self.page.append(f"\n## {self._number}. {encode_time(self.now)[5:16].replace('T', ', ')}\n\n{step.says}\n")
        try:
            answer = await self.ledger.submit(self._submission(step))
        except Refusal as refusal:
            self.page.append(f"\nAnswer: {refusal.status} `{refusal.code}`. {refusal.detail}\n")
            return
        self._tell_answer(answer)
        await self.tell_entries()

    def _submission(self, step: Step) -> Any:
        if not isinstance(step.does, str):
            return step.does
        if step.does == "expiry":
            return Asked(SCHEME, None, Request("expiry", step.fields["transaction_id"]))
        body = json.dumps(step.fields, ensure_ascii=False).encode()
        self.page.append(
            f"\n`POST /{step.does}`\n\n```json\n{json.dumps(step.fields, ensure_ascii=False, indent=2)}\n```\n"
        )
        evidence = verify(
            signed(step.does, body, f"evt-{self._number}", self.now),
            registered,
            self.now,
            coverage=WEBHOOK,
            authorities=None,
        )
        return Webhook(SCHEME, f"evt-{self._number}", decode_request(step.does, body), evidence)

    def _tell_answer(self, answer: Answer) -> None:
        body = answer.body
        if not isinstance(body, CardTransaction):
            return
        flags = f", flags {', '.join(body.flags)}" if body.flags else ""
        self.page.append(f"\nAnswer: {body.decision}, `{body.reason}`{flags}.\n")

    async def tell_entries(self) -> None:
        """The entries since the last time, and the balances after them."""
        rows = ["\n| seq | entry | says |\n|--:|---|---|\n"]
        head = await self._reader.head()
        for seq in range(self._seen + 1, head + 1):
            stored = await self._reader.entry(seq)
            body = decode_body(stored.parts.body or b"").body
            rows.append(f"| {seq} | `{body.KIND}` | {said(body)} |\n")
        self._seen = head
        self.page += rows
        self.page.append(await self._balances())

    async def _balances(self) -> str:
        rows = ["\n| account | posted | held | available |\n|---|--:|--:|--:|\n"]
        for owner in OWNERS:
            for state, _ in (await self._reader.balances(owner, None)).balances:
                currency = state.account.currency
                amounts = " | ".join(format_minor(n, currency) for n in (state.posted, state.held, state.available))
                rows.append(f"| {owner} {currency} | {amounts} |\n")
        return "".join(rows)

    async def settle(self) -> None:
        self.now = DAY_ENDS + 60 * MINUTE
        answer = await self.ledger.submit(Settling(Settle(SCHEME, "2026-11-27", DAY_ENDS), -1, -1, {}))
        assert isinstance(answer.body, Settlement)
        csv = settlement_csv(answer.body).decode().replace("\r\n", "\n")
        self.page.append(
            "\n## The settlement\n\nAn hour after midnight all that was posted leaves the Scheme's account: net to\n"
            "`external:visa`, the interchange to the Issuer. Its exact sum is rounded here, once.\n\n"
            f"`visa-2026-11-27.csv`\n\n```\n{csv}```\n\n"
            f"`visa-2026-11-27.json`\n\n```json\n{answer.body_bytes.decode()}\n```\n\n"
            "`visa-2026-11-27.note`, whose `body` line names the digest of the JSON file, as that names the CSV's\n\n"
            f"```\n{answer.entry.decode()}```\n"
        )
        await self.tell_entries()


def said(body: Body) -> str:
    """What an entry says, in a line."""
    if isinstance(body, JournalLine):
        return f"{body.line} of {body.lines}: {body.owner} {'+' * (body.amount.minor >= 0)}{body.amount}"
    if isinstance(body, Opening):
        return f"{body.account.owner} in {body.account.currency} is opened"
    if isinstance(body, CardChange):
        return f"{body.op} {body.card.card_id}: {body.why}"
    if isinstance(body, CardTransaction):
        return said_of_transaction(body)
    return f"{body.type} {body.transaction_id}"  # type: ignore[union-attr]


def said_of_transaction(body: CardTransaction) -> str:
    told = f"{body.type} {body.transaction_id}, {body.decision}: billing {body.billing}"
    if body.totals is None:
        return told
    totals = body.totals
    names = ("authorised", "incremented", "reversed", "expired", "cleared", "refunded")
    shown = [f"{n} {format_minor(getattr(totals, n), body.billing.currency)}" for n in names if getattr(totals, n)]
    hold = format_minor(totals.open, body.billing.currency)
    return f"{told}; {', '.join(shown)}: {totals.status}, hold {hold}"


def registered(kid: str) -> RegisteredKey | None:
    key = signer_of(SCHEME).public_key
    return RegisteredKey(kid, "scheme", SCHEME, key, 1) if kid == kid_of(key) else None


def signed(kind: str, body: bytes, webhook_id: str, now: int) -> HttpRequest:
    """A webhook as the Scheme signs it."""
    signer = signer_of(SCHEME)
    fields = {
        "content-type": "application/json",
        "content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:",
        "webhook-id": webhook_id,
    }
    covered = {"@method": "POST", "@authority": "issuer.example", "@path": f"/{kind}", "@query": "?", **fields}
    names = " ".join(f'"{name}"' for name in covered)
    params = f'({names});created={now // 1_000_000};keyid="{kid_of(signer.public_key)}";tag="signed-ledger"'
    base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
    signature = base64.b64encode(signer.sign(base.encode())).decode()
    fields |= {"signature-input": f"sig1={params}", "signature": f"sig1=:{signature}:"}
    return HttpRequest("POST", "issuer.example", f"/{kind}", "?", fields, body)


async def make_page(folder: Path) -> str:
    """Live the day on a ledger in `folder`; gives the page. The ledger is audited before it is given."""
    root, entry, checkpoint = (signer_of(name) for name in ("root", "entry", "checkpoint"))
    salts = Salts()
    path = folder / "ledger.db"
    genesis, sealed = found(
        ORIGIN, roots=[root], threshold=1, entry=entry, checkpoint=checkpoint, now=START, random_bytes=salts
    )
    create_ledger(path, genesis, sealed)
    day: Day | None = None
    store = await Store.open(path, busy_timeout_ms=5_000)
    ledger = await Ledger.open(
        store, load_signer=lambda _: entry, clock=lambda: START if day is None else day.now, random_bytes=salts
    )
    reader = await Reader.open(path, busy_timeout_ms=5_000)
    day = Day(ledger, reader)
    await day.open(root)
    for step in STORY:
        await day.take(step)
    await day.settle()
    await reader.close()
    await ledger.close()
    report = audit_file(path, trust=Trust(ORIGIN, (root.public_key,), 1), jobs=1)
    assert report.ok, report.faults
    day.page.append(f"\n`signed-ledger verify` on this ledger: {report.entries} entries, no fault found.\n")
    return "".join(day.page)


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes docs/worked-day.md.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="write nothing; exit 1 unless it is the same")
    what.add_argument("--write", action="store_true", help="write it anew")
    check = parser.parse_args().check
    configure_logging("error", "auto")
    with tempfile.TemporaryDirectory() as folder:
        page = asyncio.run(make_page(Path(folder)))
    if check:
        same = PAGE.exists() and PAGE.read_text() == page
        print("worked day: the same" if same else "docs/worked-day.md is not what scripts/worked_day.py makes now")
        return 0 if same else 1
    PAGE.write_text(page)
    print(f"worked day: {len(page.splitlines())} lines written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
