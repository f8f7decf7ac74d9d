"""`card bind`, `card block`, `card unblock`, `card show`: each change an entry."""

import argparse
import asyncio
from functools import partial
from typing import Any, Final

from signed_ledger.cli.arguments import Commands, Parser, add_command, add_group, add_passphrase_file
from signed_ledger.cli.output import print_facts, print_json
from signed_ledger.cli.reading import read_card
from signed_ledger.cli.wiring import entry_signers, opened_ledger, passphrases_of
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid, KeyUnknown, StateConflict
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Ledger
from signed_ledger.records import CardChange, CardState
from signed_ledger.rules import ChangeCard

NONE_YET: Final = "none yet: the first Scheme whose message on it counts will own it"
_DONE: Final = {"bind": "Bound {} to {}, for ever,", "block": "Blocked {}", "unblock": "Unblocked {}"}


def add_commands(commands: Commands) -> None:
    card = add_group(
        commands, "card", "bind, block and unblock a card, or show it", example="signed-ledger card show card-1"
    )
    bind = _add_change(
        card,
        "bind",
        "give a card to a Scheme, for ever; it need not have an account yet",
        example="signed-ledger card bind card-1 acme",
    )
    bind.add_argument("scheme", metavar="SCHEME", help="a name that keys list shows with the role scheme")
    block = "decline every authorisation on a card from now on; what was authorised is still posted"
    _add_change(card, "block", block, example="signed-ledger card block card-1 --why 'reported lost'")
    _add_change(card, "unblock", "end a card's block", example="signed-ledger card unblock card-1 --why found")
    shown = add_command(
        card,
        "show",
        show,
        "show whose a card is and whether it is blocked, and the entry that says so",
        example="signed-ledger card show card-1",
        facts=True,
    )
    shown.add_argument("card_id", metavar="CARD_ID")


def _add_change(card: Commands, op: str, about: str, *, example: str) -> Parser:
    parser = add_command(card, op, partial(change, op), about, example=example, facts=True)
    parser.set_defaults(scheme=None)
    parser.add_argument("card_id", metavar="CARD_ID", help="1 to 64 of A-Za-z0-9._-")
    parser.add_argument("--why", metavar="TEXT", default="", help="recorded for people, at most 200 characters")
    add_passphrase_file(parser)
    return parser


def change(op: str, options: argparse.Namespace, settings: Settings) -> int:
    command = ChangeCard(op, options.card_id, options.scheme, options.why)
    _check(command)
    seq, card = asyncio.run(_change(options, settings, command))
    if options.json:
        print_json({**_described(seq, card), "op": op, "why": options.why})
    else:
        print(f"{_DONE[op].format(card.card_id, card.scheme)} at seq {seq}.")
    return 0


def _check(command: ChangeCard) -> None:
    """Raise `Invalid` for what no entry can say: to the writer that would be a mistake of our own."""
    CardChange(command.op, CardState(command.card_id, command.scheme), command.why)
    try:
        command.why.encode()
    except UnicodeEncodeError:
        raise Invalid("why", "must be UTF-8") from None


async def _change(options: argparse.Namespace, settings: Settings, command: ChangeCard) -> tuple[int, CardState]:
    async with opened_ledger(settings, entry_signers(settings, passphrases_of(options, settings))) as ledger:
        if command.scheme is not None:
            check_has_key(ledger.keyring, command.scheme)
        answer = await ledger.submit(command)
    assert isinstance(answer.body, CardChange)
    return answer.seq, answer.body.card


def check_has_key(keyring: Keyring, name: str) -> None:
    """Raise `KeyUnknown`, naming the Schemes there are, unless this one has a valid key: a card is bound for ever."""
    names = sorted({key.whose for key in keyring if key.role == "scheme" and key.valid_to is None})
    if name not in names:
        raise KeyUnknown(f"No Scheme {name!r} has a key here; those that have: {', '.join(names) or 'none'}.")


async def bind_once(ledger: Ledger, settings: Settings, card_id: str, scheme: str) -> None:
    """Bind a card unless it is this Scheme's already. Raises `KeyUnknown`; `StateConflict` where it is another's."""
    check_has_key(ledger.keyring, scheme)
    try:
        await ledger.submit(ChangeCard("bind", card_id, scheme))
    except StateConflict:
        if (await read_card(settings, card_id)).state.scheme != scheme:
            raise


def show(options: argparse.Namespace, settings: Settings) -> int:
    CardState(options.card_id)
    seq, card = asyncio.run(read_card(settings, options.card_id))
    if options.json:
        print_json(_described(seq, card))
    else:
        blocked = "yes" if card.blocked else "no"
        facts = [("card", card.card_id), ("Scheme", card.scheme or NONE_YET), ("blocked", blocked), ("since seq", seq)]
        print_facts(facts)
    return 0


def _described(seq: int, card: CardState) -> dict[str, Any]:
    return {"card_id": card.card_id, "scheme": card.scheme, "blocked": card.blocked, "seq": seq}
