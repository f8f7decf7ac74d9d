"""`load-money`, `balance`, `transactions`."""

import argparse
import asyncio
import secrets
from typing import Any, Final

from signed_ledger.api.views import view_balance
from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.card_commands import bind_once
from signed_ledger.cli.output import print_facts, print_json, print_table
from signed_ledger.cli.reading import TransactionRead, moment_of, read_balances, read_card, read_transactions
from signed_ledger.cli.wiring import entry_signers, opened_ledger, passphrases_of
from signed_ledger.config import Settings, variable_of
from signed_ledger.encoding import encode_time, members_of
from signed_ledger.errors import CardNotFound, Invalid
from signed_ledger.money import MINOR_DIGITS, Money, read_amount
from signed_ledger.records import Load
from signed_ledger.store import Balance

AMOUNTS: Final = ("currency", "posted", "held", "available")


def add_commands(commands: Commands) -> None:
    load = add_command(
        commands,
        "load-money",
        load_money,
        "move money from the Issuer to a card, opening its account if need be",
        example="signed-ledger load-money card-1 100.00 EUR",
        facts=True,
    )
    load.add_argument("card_id", metavar="CARD_ID", help="1 to 64 of A-Za-z0-9._-")
    load.add_argument("amount", metavar="AMOUNT", help="exact in the currency's digits, such as 12.30")
    load.add_argument("currency", metavar="CURRENCY", help="ISO 4217, such as EUR")
    load.add_argument("--scheme", metavar="NAME", help="bind the card to this Scheme first, for ever")
    add_passphrase_file(load)
    shown = add_command(
        commands,
        "balance",
        balance,
        "show a card's posted, held and available amounts, now or then",
        example="signed-ledger balance card-1 EUR --at 2026-11-23T10:00:00Z",
        facts=True,
    )
    shown.add_argument("card_id", metavar="CARD_ID")
    shown.add_argument("currency", metavar="CURRENCY", nargs="?", help="one account only")
    shown.add_argument("--at", metavar="TIME", help="a time (RFC 3339) or a seq (default: now)")
    listed = add_command(
        commands,
        "transactions",
        transactions,
        "show a card's transactions, newest first",
        example="signed-ledger transactions card-1",
        facts=True,
    )
    listed.add_argument("card_id", metavar="CARD_ID")


# --- loading -------------------------------------------------------------------------------------------------------


def load_money(options: argparse.Namespace, settings: Settings) -> int:
    amount = _read_load(options.amount, options.currency, settings)
    command = Load(f"load-{secrets.token_hex(8)}", options.card_id, amount)
    seq, after = asyncio.run(_load(options, settings, command))
    if options.json:
        load = {"transaction_id": command.transaction_id, "seq": seq, "card_id": command.card_id}
        bound = {} if options.scheme is None else {"scheme": options.scheme}
        print_json({**load, **bound, "amount": amount.amount, **_amounts(after)})
    else:
        print(f"Loaded {amount} to {command.card_id} at seq {seq}, transaction {command.transaction_id}.\n")
        print_facts(_amounts(after).items())
        _tell_whose(settings, command.card_id)
    return 0


def _tell_whose(settings: Settings, card_id: str) -> None:
    try:
        card = asyncio.run(read_card(settings, card_id)).state
    except CardNotFound:  # the money is there all the same
        print(
            f"\n{card_id} was erased, but for its balance: nothing is authorised on it, unless it is made known again:"
        )
        print(f"signed-ledger card bind {card_id} SCHEME")
        return
    if card.scheme is not None:
        print(f"\n{card.card_id} belongs to {card.scheme}.")
        return
    print(f"\n{card.card_id} belongs to no Scheme yet: the first whose message on it counts will own it, for ever.")
    print(f"To bind it now: signed-ledger card bind {card.card_id} SCHEME")


def _amounts(balance: Balance) -> dict[str, Any]:
    view = view_balance(balance)
    return {name: view[name] for name in AMOUNTS}


def _read_load(text: str, currency: str, settings: Settings) -> Money:
    if currency not in MINOR_DIGITS:
        raise Invalid("CURRENCY", f"{currency!r} is not a currency of ISO 4217, such as EUR")
    if settings.currencies and currency not in settings.currencies:
        taken = ", ".join(settings.currencies)
        raise Invalid("CURRENCY", f"{currency} is not taken here; {variable_of('currencies')} says {taken}")
    amount = read_amount(text, currency, "AMOUNT")
    if amount.minor == 0:
        raise Invalid("AMOUNT", "must be more than nothing")
    return amount


async def _load(options: argparse.Namespace, settings: Settings, command: Load) -> tuple[int, Balance]:
    signers = entry_signers(settings, passphrases_of(options, settings))
    async with opened_ledger(settings, signers) as ledger:
        if options.scheme is not None:
            await bind_once(ledger, settings, command.card_id, options.scheme)
        seq = (await ledger.submit(command)).seq
    found = await read_balances(settings, command.card_id, None)
    return seq, next(each for each in found.balances if each.state.account.currency == command.billing.currency)


# --- reading -------------------------------------------------------------------------------------------------------


def balance(options: argparse.Namespace, settings: Settings) -> int:
    found = asyncio.run(read_balances(settings, options.card_id, moment_of(options.at, "--at")))
    accounts = [view_balance(balance) for balance in found.balances]
    accounts = [account for account in accounts if options.currency in (None, account["currency"])]
    if not accounts:
        where = "" if options.currency is None else f" in {options.currency}"
        raise CardNotFound(f"{options.card_id} has no account{where} at seq {found.at}")
    if options.json:
        print_json({"card_id": options.card_id, "at": found.at, "accounts": accounts})
    else:
        print_table(AMOUNTS, [[account[name] for name in AMOUNTS] for account in accounts], right=AMOUNTS[1:])
    return 0


def transactions(options: argparse.Namespace, settings: Settings) -> int:
    found = asyncio.run(read_transactions(settings, options.card_id))
    if not found:
        raise CardNotFound(f"{options.card_id} has no transaction here")
    if options.json:
        print_json({"card_id": options.card_id, "transactions": [_described(read) for read in found]})
    else:
        names = ("seq", "time", "type", "transaction_id", "amount", "currency", "decision", "reason")
        print_table(names, [_row(read) for read in found], right=("seq", "amount"))
    return 0


def _described(read: TransactionRead) -> dict[str, Any]:
    return {"seq": read.seq, "time": encode_time(read.time), **members_of(read.body)}


def _row(read: TransactionRead) -> tuple[object, ...]:
    body = read.body
    billed = (body.billing.amount, body.billing.currency)
    return (read.seq, encode_time(read.time), body.type, body.transaction_id, *billed, body.decision, body.reason)
