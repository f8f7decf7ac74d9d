"""`erase`: what is told of a card is removed on a request; that it was, who asked and why, is an entry."""

import argparse
import asyncio
import re
import sys
from typing import Any, Final

from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.outcome import DONE
from signed_ledger.cli.output import print_facts, print_json, warn
from signed_ledger.cli.passphrases import may_ask
from signed_ledger.cli.wiring import entry_signers, opened_ledger, opened_store, passphrases_of, registry
from signed_ledger.config import Settings
from signed_ledger.errors import CardNotFound, Invalid
from signed_ledger.ledger import Answer, plan_erasure
from signed_ledger.money import format_minor
from signed_ledger.records import PART_NAMES, CardState, Erasure
from signed_ledger.rules import Erase, Erasing
from signed_ledger.store import empty_log

LOG_IS_LEFT: Final = (
    "the write-ahead log beside the file could not be emptied, since somebody kept reading: what was erased may stand "
    "in it still. Run the same command again."
)


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "erase",
        erase,
        "remove all that is told of a card, and record who asked for it and why",
        more="Bodies, states and evidence of the card's entries are overwritten; the entries stay, and with them the "
        "chain and all other proofs. A balance that is not zero stays. Refused while money is held on the card, or a "
        "posting is not settled. Needs the entry key; works while the ledger is served. It can not be undone.",
        example="signed-ledger erase --card card-1 --asked-by 'case 2026-117' --why 'GDPR, article 17' --dry-run",
        facts=True,
    )
    parser.add_argument("--card", required=True, metavar="CARD_ID", help="1 to 64 of A-Za-z0-9._-")
    parser.add_argument("--asked-by", required=True, metavar="WHO", help="a reference, best no name: it stays for ever")
    parser.add_argument("--why", required=True, metavar="TEXT", help="recorded for people, at most 200 characters")
    parser.add_argument("--dry-run", action="store_true", help="say what would go and what would stay; erase nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_passphrase_file(parser)


def erase(options: argparse.Namespace, settings: Settings) -> int:
    command = _command(options)
    planned = asyncio.run(_plan(settings, command))
    if options.dry_run:
        _tell(options, command, planned, None)
        return DONE
    if not options.yes:
        if not options.json:
            _tell(options, command, planned, None)
        _confirm(command.card_id)
    answer = asyncio.run(_erase(options, settings, command))
    is_emptied = asyncio.run(_empty_log(settings))
    _tell(options, command, Erasing([*answer.erasures], planned.kept), answer, is_emptied=is_emptied)
    if not is_emptied:
        warn(LOG_IS_LEFT)
    return DONE


def _command(options: argparse.Namespace) -> Erase:
    """Raises `Invalid` for what no entry can say: to the writer that would be a mistake of our own."""
    CardState(options.card)
    Erasure(asked_by=options.asked_by, why=options.why, body=((0, 0),))
    for name in ("asked_by", "why"):
        try:
            getattr(options, name).encode()
        except UnicodeEncodeError:
            raise Invalid(name, "must be UTF-8") from None
    if re.search(rf"(?<![\w.-]){re.escape(options.card)}(?![\w.-])", f"{options.asked_by} {options.why}"):
        raise Invalid("asked_by and why", "must not name the card: they are not erased")
    return Erase(options.card, options.asked_by, options.why)


async def _plan(settings: Settings, command: Erase) -> Erasing:
    async with opened_store(settings) as store:
        try:
            return await plan_erasure(store, await registry(store, settings), command)
        except CardNotFound:
            await empty_log(store)  # an erasure before this one may have been killed before it could
            raise


async def _erase(options: argparse.Namespace, settings: Settings, command: Erase) -> Answer:
    async with opened_ledger(settings, entry_signers(settings, passphrases_of(options, settings))) as ledger:
        return await ledger.submit(command)


async def _empty_log(settings: Settings) -> bool:
    async with opened_store(settings) as store:
        return await empty_log(store)


def _confirm(card_id: str) -> None:
    """Raises `Invalid` where nobody can be asked, or the answer is no."""
    if not may_ask():
        raise Invalid("--yes", "is needed where nobody can be asked: nothing was erased")
    print(
        f"\nThis can not be undone. To erase it, type the card's id ({card_id}): ", end="", file=sys.stderr, flush=True
    )
    if sys.stdin.readline().strip() != card_id:
        raise Invalid("card", "that is not its id: nothing was erased")


# --- telling -------------------------------------------------------------------------------------------------------


def _tell(
    options: argparse.Namespace, command: Erase, erasing: Erasing, answer: Answer | None, *, is_emptied: bool = False
) -> None:
    counts = {name: sum(each.count(name) for each in erasing.erasures) for name in PART_NAMES}
    if options.json:
        print_json(_members(command, erasing, counts, answer, is_emptied=is_emptied))
        return
    first = "would be erased" if answer is None else "erased"
    facts: list[tuple[str, object]] = [(f"{name} {first}", count) for name, count in counts.items()]
    for seq, state in erasing.kept:
        told = f"{format_minor(state.posted, state.account.currency)} {state.account.currency}, proved by entry {seq}"
        facts.append(("balance stays", told))
    print(f"Card {command.card_id}:\n")
    print_facts(facts)
    if answer is not None:
        seqs = _seqs(erasing, answer)
        print(f"\nRecorded by {'entry' if len(seqs) == 1 else 'entries'} {', '.join(map(str, seqs))}.")
        print("Backups and copies of the file hold it still: docs/operations.md, A person asks to be forgotten.")


def _seqs(erasing: Erasing, answer: Answer) -> list[int]:
    return [*range(answer.seq - len(erasing.erasures) + 1, answer.seq + 1)]


def _members(
    command: Erase, erasing: Erasing, counts: dict[str, int], answer: Answer | None, *, is_emptied: bool
) -> dict[str, Any]:
    kept = [
        {"currency": state.account.currency, "posted": format_minor(state.posted, state.account.currency), "seq": seq}
        for seq, state in erasing.kept
    ]
    done = {} if answer is None else {"seqs": _seqs(erasing, answer), "is_log_emptied": is_emptied}
    return {"card_id": command.card_id, "is_erased": answer is not None, "parts": counts, "kept": kept, **done}
