"""`expire` and `settle`: the daily task by hand, or by a timer of the machine's."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.outcome import DONE, REFUSED
from signed_ledger.cli.output import print_facts, print_json, print_table, warn
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.wiring import clock, entry_signers, opened_ledger, passphrases_of
from signed_ledger.config import Settings, variable_of
from signed_ledger.daily import (
    Desk,
    Expired,
    Progress,
    Settled,
    check_clock,
    day_at,
    day_ends,
    expire_due,
    schemes_of,
    settle,
    settled_before,
    write_settlement_files,
)
from signed_ledger.encoding import encode_sum, encode_time
from signed_ledger.errors import Invalid, StateConflict
from signed_ledger.keyring import Keyring
from signed_ledger.records import SettledSum
from signed_ledger.records.settlements import check_date
from signed_ledger.telemetry import Metrics

MANY: Final = 500
"""From how many on a progress bar is worth its line."""
SUM_COLUMNS: Final = ("currency", "gross", "refunds", "fees", "net", "issuer_result", "count", "first_seq", "last_seq")


def add_commands(commands: Commands) -> None:
    expiring = add_command(
        commands,
        "expire",
        run_expire,
        "release the holds of all authorisations whose time is over",
        more="In order of (expiry, seq), never early; harmless twice, and while the ledger is served. Exit status 1 "
        "says that an authorisation did not verify; the others were expired all the same.",
        example="signed-ledger expire",
        facts=True,
    )
    _add_clock_is_right(expiring)
    add_passphrase_file(expiring)
    settling = add_command(
        commands,
        "settle",
        run_settle,
        "settle a business day with a Scheme, and write the settlement files",
        more="Expires what is due, moves what the Scheme is owed since its last settlement out in one commit, and "
        "writes SCHEME-DATE.json, .csv and .note. A day that is settled is answered with the first result, and files "
        "that are missing are written again, byte for byte.",
        example="signed-ledger settle --scheme acme --date 2026-11-23",
        facts=True,
    )
    settling.add_argument("--scheme", required=True, metavar="NAME", help="as its key was registered")
    settling.add_argument(
        "--date", metavar="D", help=f"the business day (default: today in {variable_of('time_zone')})"
    )
    settling.add_argument(
        "--out", type=Path, metavar="DIR", help=f"where the files go (default: {variable_of('settlements')})"
    )
    settling.add_argument("--force", action="store_true", help="write over files that hold something else")
    _add_clock_is_right(settling)
    add_passphrase_file(settling)


def _add_clock_is_right(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--clock-is-right", action="store_true", help="believe the clock, however long no Scheme sent anything"
    )


@asynccontextmanager
async def opened_desk(options: argparse.Namespace, settings: Settings) -> AsyncIterator[Desk]:
    metrics = Metrics()
    signers = entry_signers(settings, passphrases_of(options, settings))
    async with opened_ledger(settings, signers, metrics) as ledger, opened_reader(settings) as reader:
        yield Desk(ledger, reader, clock, metrics)


# --- expire --------------------------------------------------------------------------------------------------------


def run_expire(options: argparse.Namespace, settings: Settings) -> int:
    """Expire; give 1 where an authorisation does not verify: it is told, and the others were expired."""
    expired = asyncio.run(_expire(options, settings))
    _tell_failed(expired)
    if options.json:
        print_json(_expired_members(expired))
    else:
        released = ", ".join(map(str, expired.amounts()))
        print(f"Expired {expired.count}" + (f", released {released}." if released else "."))
    return REFUSED if expired.failed else DONE


async def _expire(options: argparse.Namespace, settings: Settings) -> Expired:
    async with opened_desk(options, settings) as desk:
        await _check_clock(options, desk)
        with _progress() as progress:
            return await expire_due(desk, progress)


async def _check_clock(options: argparse.Namespace, desk: Desk) -> None:
    if not options.clock_is_right:
        await check_clock(desk)


@contextmanager
def _progress() -> Iterator[Progress]:
    with ExitStack() as stack:
        bars: list[Any] = []

        def show(done: int, total: int) -> None:
            if total >= MANY and not bars:
                bar = tqdm(total=total, unit=" authorisations", file=sys.stderr, disable=None, leave=False)
                bars.append(stack.enter_context(bar))
            for bar in bars:
                bar.update(done - bar.n)

        yield show


def _expired_members(expired: Expired) -> dict[str, Any]:
    return {
        "expired": expired.count,
        "released": {amount.currency: amount.amount for amount in expired.amounts()},
        "failed": [{**key._asdict(), "reason": reason} for key, reason in expired.failed],
    }


def _tell_failed(expired: Expired) -> None:
    for key, reason in expired.failed:
        warn(f"{key.transaction_id!a} of {key.scheme!a} was not expired: {reason}")


# --- settle --------------------------------------------------------------------------------------------------------


def run_settle(options: argparse.Namespace, settings: Settings) -> int:
    """Settle and write the files; give 1 where an authorisation that was due did not verify, too."""
    day = read_day(options.date)
    settled, expired = asyncio.run(_settle(options, settings, day))
    _tell_failed(expired)
    paths = _write_files(settled, options.out or settings.settlements, replace=options.force)
    if options.json:
        print_json(_settled_members(settled, expired, paths))
    else:
        _print_settled(settled, expired, paths)
    return REFUSED if expired.failed else DONE


def _write_files(settled: Settled, folder: Path, *, replace: bool) -> list[Path]:
    try:
        return write_settlement_files(settled, folder, replace=replace)
    except StateConflict as refusal:
        raise StateConflict(f"{refusal.detail} The settlement itself stands at seq {settled.seq}.") from None
    except OSError as error:
        stands = f"the settlement itself stands at seq {settled.seq}: mend that and run it again"
        raise Invalid(str(error.filename or folder), f"{error.strerror or error}; {stands}") from error


def read_day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        check_date(text, "--date")
    except Invalid as error:
        raise Invalid("--date", f"{text!r} {error.detail}") from None
    return date.fromisoformat(text)


async def _settle(options: argparse.Namespace, settings: Settings, day: date | None) -> tuple[Settled, Expired]:
    today = day_at(clock(), settings.zone)
    day = day or today
    if day > today:
        raise Invalid("--date", f"{day} is to come: it is {today} in {settings.time_zone}")
    if day_ends(day, settings.zone) < 0:
        raise Invalid("--date", f"{day} is before 1970")
    async with opened_desk(options, settings) as desk:
        check_registered(desk.ledger.keyring, options.scheme)
        before = await settled_before(desk, options.scheme, day)
        if before is not None:
            return before, Expired()
        await _check_clock(options, desk)
        with _progress() as progress:
            expired = await expire_due(desk, progress)
        return await settle(desk, options.scheme, day, settings.zone), expired


def check_registered(keyring: Keyring, scheme: str) -> None:
    """Raise `Invalid` for a name under which no Scheme was ever registered."""
    known = schemes_of(keyring)
    if scheme not in known:
        there = ", ".join(known) or "none yet"
        raise Invalid("--scheme", f"no Scheme {scheme!r} was ever registered; there are: {there}")


def _settled_members(settled: Settled, expired: Expired, paths: list[Path]) -> dict[str, Any]:
    body = settled.body
    return {
        "scheme": body.scheme,
        "date": body.date,
        "day_ends": encode_time(body.day_ends),
        "seq": settled.seq,
        "is_first": settled.is_first,
        "is_complete": body.is_complete,
        "sums": [_sum_members(one) for one in body.sums],
        "expiry": _expired_members(expired),
        "files": [str(path) for path in paths],
    }


def _sum_members(one: SettledSum) -> dict[str, Any]:
    members = encode_sum(one)
    return {name: members[name] for name in SUM_COLUMNS}


def _print_settled(settled: Settled, expired: Expired, paths: list[Path]) -> None:
    body = settled.body
    if settled.is_first:
        print(f"Settled {body.date} with {body.scheme} at seq {settled.seq}; expired {expired.count} before it.\n")
    else:
        print(f"{body.date} was settled with {body.scheme} at seq {settled.seq} before; nothing was changed.\n")
    if body.sums:
        rows = [list(_sum_members(one).values()) for one in body.sums]
        print_table(SUM_COLUMNS, rows, right=SUM_COLUMNS[1:])
    else:
        print("Nothing is in it: nothing was posted between the settlement before it and this one.")
    if not body.is_complete:
        day_ends = encode_time(body.day_ends)
        print(f"\nIt was made before the day's end, {day_ends}: what is posted after it is in the next settlement.")
    print()
    print_facts([(path.suffix[1:], path) for path in paths])
