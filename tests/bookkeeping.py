"""The accountants' own programs, asked about the books of a ledger; and a ledger that is hard on them."""

import csv
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import TypeAlias

from beancount.core.realization import RealAccount, iter_children, realize
from beancount.loader import load_file

from signed_ledger.books import FORMATS, read_books
from signed_ledger.books.plain_text import account_name
from signed_ledger.ledger import Ledger
from signed_ledger.money import MINOR_DIGITS, format_minor
from signed_ledger.records import AccountId
from tests.processes import PROJECT
from tests.world import DAY, Party, World, authorisation, opened, presentment

Balances: TypeAlias = dict[str, Decimal]
"""By the account's name in the books, in the books' signs."""

HARD_IDS = ("card-1", "card.1", "card_1", "CARD-1", "-.-", "--u", "_", "0", "x" * 64, "." * 64)
CURRENCIES = ("EUR", "USD", "JPY", "KWD", "CLF")


def exported(ledger: Path, wanted: str) -> Path:
    """The books of a ledger, in a file beside it."""
    out = ledger.parent / f"books-{wanted}"
    with out.open("wb") as file:
        FORMATS[wanted](read_books(ledger, busy_timeout_ms=0), file)
    return out


def balances_of(ledger: Path) -> Balances:
    """What the ledger says, as the books should."""
    newest = "SELECT owner, currency, posted FROM account_states GROUP BY owner, currency HAVING seq = max(seq)"
    with closing(sqlite3.connect(ledger)) as connection:
        rows = connection.execute(newest).fetchall()
    return {
        account_name(AccountId(owner, currency)): Decimal(format_minor(-posted, currency))
        for owner, currency, posted in rows
    }


# --- their programs ------------------------------------------------------------------------------------------------


def hledger(*arguments: object) -> subprocess.CompletedProcess[str]:
    brought = PROJECT / "build/hledger/usr/bin"
    program = shutil.which("hledger", path=f"{os.environ['PATH']}{os.pathsep}{brought}")
    assert program, "hledger is not there: run `make hledger`, or install it (Debian: apt install hledger)"
    return _run(program, *arguments)


def check_with_hledger(journal: Path) -> subprocess.CompletedProcess[str]:
    return hledger("-f", journal, "check", "--strict", "ordereddates", "payees")


def bean_check(file: Path) -> subprocess.CompletedProcess[str]:
    return _run(Path(sys.executable).with_name("bean-check"), "--no-cache", file)


def hledger_balances(journal: Path) -> Balances:
    told = hledger("-f", journal, "balance", "-O", "csv", "--flat", "--empty", "--no-total").stdout
    _, *rows = csv.reader(StringIO(told))
    return {account: Decimal(balance.partition(" ")[0]) for account, balance in rows}


def beancount_balances(file: Path) -> Balances:
    entries, errors, _ = load_file(str(file))
    assert errors == []
    accounts = iter_children(realize(entries))  # type: ignore[no-untyped-call]
    return {account.account: _balance(account) for account in accounts if account.txn_postings}


def _balance(account: RealAccount) -> Decimal:
    currency = account.account.rpartition(":")[2]
    assert {position.units.currency for position in account.balance} <= {currency}
    return sum((position.units.number for position in account.balance), Decimal(0))


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    # LC_ALL=C: books are ASCII, and need no locale to be read.
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        [*map(str, command)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


# --- a ledger that is hard on them ---------------------------------------------------------------------------------


class Trade:
    """Cards of awkward names spend in currencies of every number of digits, over some days; the chance is seeded."""

    def __init__(self, world: World, ledger: Ledger, schemes: list[Party]) -> None:
        self._world, self._ledger, self._schemes = world, ledger, schemes
        self._chance = random.Random(1494)

    async def go_on(self, purchases: int) -> None:
        for number in range(purchases):
            self._world.clock.now += self._chance.randrange(DAY)
            await self._purchase(f"t-{number}")

    async def load_cards(self) -> None:
        for card_id in HARD_IDS:
            for currency in CURRENCIES:
                await self._world.load(self._ledger, card_id, self._chance.randrange(1, 10**12), currency)

    async def _purchase(self, name: str) -> None:
        number = self._chance.randrange(len(HARD_IDS))
        scheme, card_id = self._schemes[number % len(self._schemes)], HARD_IDS[number]
        billing, settlement = self._chance.choices(CURRENCIES, k=2)
        asked = authorisation(name, card_id, self._amount(billing), billing)
        await self._ledger.submit(self._world.webhook(scheme, "authorisation", asked))
        cleared = presentment(name, self._amount(settlement), settlement)
        await self._ledger.submit(self._world.webhook(scheme, "presentment", cleared))

    def _amount(self, currency: str) -> str:
        """Sometimes nothing, sometimes the smallest there is."""
        largest = self._chance.choice((1, 2, 10 ** MINOR_DIGITS[currency], 10**9))
        return format_minor(self._chance.randrange(largest), currency)


async def make_trade(folder: Path, purchases: int = 60) -> Path:
    world = World(folder)
    async with opened(world) as ledger:
        schemes = [await world.register(ledger, "scheme", name) for name in ("visa", "Union_Pay.2")]
        trade = Trade(world, ledger, schemes)
        await trade.load_cards()
        await trade.go_on(purchases)
    return world.path
