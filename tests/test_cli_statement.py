"""`statement`, as an operator types it: the same as over HTTP, a table that fits, CSV that nothing runs."""

import asyncio
import csv
import io
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from scripts.send_webhook import sign_request
from signed_ledger.cli.output import shortened
from signed_ledger.money import Money
from signed_ledger.records import Load
from tests.callers import presentment, send
from tests.processes import Installation, Server, installed
from tests.support import assert_audits
from tests.tampering import Copy
from tests.world import World, authorisation, opened

PATH = "/accounts/card-1/EUR/statement"
SHOPS = {
    "t-1": "Café Central",
    "t-2": "株式会社とても長い名前の店舗東京駅前支店",
    "t-3": '=HYPERLINK("http://x", "y")',
    "t-4": "A merchant whose name goes on and on, and does not end before 80",
    "t-5": "\u202eelgooG",
}


class Shop(NamedTuple):
    """An installation whose card-1 was loaded, paid in each of the shops, and holds 5.00; what HTTP said of it."""

    folder: Path
    told: Any


async def _get(server: Server, installation: Installation, path: str) -> Any:
    headers = sign_request(installation.operator.key, "GET", server.url + path, None, None)
    async with aiohttp.ClientSession() as session, session.get(server.url + path, headers=headers) as answer:
        assert answer.status == 200
        return await answer.json(content_type=None)


def _pay(installation: Installation, server: Server, name: str, shop: str) -> None:
    asked = json.dumps(authorisation(name, "card-1", "12.30", merchant_name=shop)).encode()
    assert send(server.url, installation.scheme, "/authorisation", f"a-{name}", asked).status == 201
    if name != "held":
        told = send(server.url, installation.scheme, "/presentment", f"p-{name}", presentment(name, "12.30"))
        assert told.status == 200


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    installation = installed(tmp_path_factory.mktemp("shop"))
    with installation.serve() as server:
        for name, merchant in {**SHOPS, "held": "Hotel"}.items():
            _pay(installation, server, name, merchant)
        told = asyncio.run(_get(server, installation, PATH))
    asyncio.run(installation.submit(Load("load-2", "card-1", Money(1_000, "JPY"))))
    installation.assert_audits()
    return Shop(installation.folder, told)


@pytest.fixture
def installation(shop: Shop, tmp_path: Path) -> Installation:
    shutil.copytree(shop.folder, tmp_path, dirs_exist_ok=True)
    return Installation(tmp_path)


def printed(installation: Installation, *arguments: object) -> str:
    ended, out, err = installation._ask(("statement", *arguments), {})
    assert (ended, err) == (0, "")
    return out


# --- JSON ----------------------------------------------------------------------------------------------------------


def test_json_is_what_http_tells(installation: Installation, shop: Shop) -> None:
    told = installation.json("statement", "card-1", "EUR", "--to", shop.told["to"])
    assert told == shop.told
    assert [row.get("merchant_name") for row in told["movements"]] == [None, *SHOPS.values()]
    assert (told["opening"]["posted"], told["closing"]["posted"]) == ("0.00", "999938.50")
    assert (told["closing"]["held"], told["closing"]["available"]) == ("12.30", "999926.20")
    yen = installation.json("statement", "card-1", "JPY")
    assert [(row["transaction_id"], row["balance"]) for row in yen["movements"]] == [("load-2", "1000")]
    installation.assert_audits()


def test_from_is_included_and_to_is_not_by_entry_and_by_time(installation: Installation, shop: Shop) -> None:
    rows = shop.told["movements"]
    for first, end in ((rows[2]["seq"], rows[4]["seq"]), (rows[2]["time"], rows[4]["time"])):
        told = installation.json("statement", "card-1", "EUR", "--from", first, "--to", end)
        assert told["movements"] == rows[2:4]
        assert (told["opening"]["posted"], told["closing"]["posted"]) == (rows[1]["balance"], rows[3]["balance"])
    assert installation.json("statement", "card-1", "EUR", "--from", "2000-01-01T00:00:00Z")["movements"] == rows
    assert installation.json("statement", "card-1", "EUR", "--to", "9999-01-01T00:00:00Z")["movements"] == rows


def test_a_statement_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def live() -> None:
        async with opened(world) as ledger:
            await asyncio.gather(*(world.load(ledger, "card-1", 1) for _ in range(1_001)))

    asyncio.run(live())
    installation = Installation(tmp_path)
    told = installation.json("statement", "card-1", "EUR")
    assert [row["balance"] for row in told["movements"]][-2:] == ["10.00", "10.01"]
    assert (len(told["movements"]), told["opening"]["posted"], told["closing"]["posted"]) == (1_001, "0.00", "10.01")
    assert told["next_cursor"] is None
    assert_audits(world.path)


# --- the table -----------------------------------------------------------------------------------------------------


def width(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
    return len(line) + wide


def test_the_table_fits_a_terminal(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table = printed(installation, "card-1", "EUR").splitlines()
    assert max(map(width, table)) <= 80
    heading = next(line for line in table if line.startswith("SEQ"))
    assert heading.split() == ["SEQ", "TIME", "TYPE", "AMOUNT", "BALANCE", "ABOUT"]
    rows = table[table.index(heading) + 1 : -3]
    assert rows[0].split() == ["opening", "0.00"]
    assert rows[-1].split()[1:] == ["closing", "999938.50"]
    assert [row[heading.index("ABOUT") :] for row in rows[1:-1]] == [
        "load-1",
        "Café Central",
        "株式会社とても…",
        '=HYPERLINK("htt…',
        "A merchant whos…",
        "?elgooG",
    ]
    end = heading.index("AMOUNT") + len("AMOUNT")
    assert [row[:end].split()[-1] for row in rows[1:-1]] == ["1000000.00", *["-12.30"] * 5]
    assert table[-2:] == ["held       12.30", "available  999926.20"]


def test_a_wider_terminal_shortens_less_and_a_narrower_one_shows_less(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    table = printed(installation, "card-1", "EUR")
    assert "…" not in table
    assert all(name in table for name in list(SHOPS.values())[:4])
    for columns, names in ((72, "SEQ DATE TYPE AMOUNT BALANCE"), (56, "SEQ DATE AMOUNT BALANCE")):
        monkeypatch.setenv("COLUMNS", str(columns))
        table = printed(installation, "card-1", "EUR")
        assert f"{names} ABOUT" in " ".join(table.split())
        assert max(map(width, table.splitlines())) <= columns


def test_the_largest_amounts_fit_80_columns_uncut(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = Money(10**15 - 1, "CLF")
    asyncio.run(installation.submit(*(Load(f"load-{'9' * 59}", "card-9", largest) for _ in range(3))))
    monkeypatch.setenv("COLUMNS", "80")
    table = printed(installation, "card-9", "CLF")
    assert max(map(width, table.splitlines())) <= 80
    assert "299999999999.9997" in table
    installation.assert_audits()


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        pytest.param("", 5, "", id="nothing"),
        pytest.param("12345", 5, "12345", id="what just fits"),
        pytest.param("123456", 5, "1234…", id="one too many"),
        pytest.param("東京駅", 6, "東京駅", id="wide characters that just fit"),
        pytest.param("東京駅前", 6, "東京…", id="half a wide character is not shown"),
        pytest.param("e\u0301" * 5, 5, "e\u0301" * 5, id="combining characters take no room"),
        pytest.param("e\u0301" * 6, 5, "e\u0301" * 4 + "…", id="and stay with what they combine with"),
        pytest.param("a\u202eb\u200dc", 5, "a?b?c", id="what turns or joins others"),
        pytest.param("a\u2028b\u3000c", 5, "a?b c", id="a line's end, and a wide space"),
        pytest.param("\x1b[31m", 9, "?[31m", id="a control character"),
    ],
)
def test_a_text_is_shortened_by_the_columns_that_it_takes(text: str, columns: int, shown: str) -> None:
    assert shortened(text, columns) == shown


# --- CSV -----------------------------------------------------------------------------------------------------------


def test_csv_has_a_header_the_balances_and_every_movement(installation: Installation, shop: Shop) -> None:
    text = printed(installation, "card-1", "EUR", "--csv")
    assert text.count("\r\n") == text.count("\n") == len(shop.told["movements"]) + 3
    header, opening, *rows, closing = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == [
        "seq",
        "time",
        "batch",
        "type",
        "transaction_id",
        "merchant_name",
        "amount",
        "balance",
        "currency",
    ]
    assert opening == ["", "", "", "opening", "", "", "", "0.00", "EUR"]
    seq = str(shop.told["closing"]["seq"])
    assert closing == [seq, "", "", "closing", "", "", "", "999938.50", "EUR"]
    for row, told in zip(rows, shop.told["movements"], strict=True):
        name = told.get("merchant_name", "")
        shown = {**told, "merchant_name": f"'{name}" if name.startswith("=") else name, "currency": "EUR"}
        assert row == [str(shown[column]) for column in header]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("=1+1", id="equals"),
        pytest.param("+1", id="plus"),
        pytest.param("-1", id="minus"),
        pytest.param("@SUM(A1)", id="at"),
        pytest.param("\u3000 =1+1", id="after spaces"),
        pytest.param("＝1+1", id="full-width equals"),
        pytest.param("＋1", id="full-width plus"),
        pytest.param("－1", id="full-width minus"),
        pytest.param("＠SUM(A1)", id="full-width at"),
        pytest.param("'=1+1", id="one behind an apostrophe already"),
        pytest.param('Shop, "quoted" = 1', id="a comma and quotes, and no formula"),
    ],
)
def test_no_text_of_a_merchant_or_scheme_is_a_formula(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)

    async def live() -> None:
        async with opened(world) as ledger:
            visa = await world.register(ledger, "scheme", "visa")
            await world.load(ledger, "card-1", 100)
            asked = authorisation("-1-2", "card-1", "1.00", merchant_name=name)
            await ledger.submit(world.webhook(visa, "authorisation", asked))
            cleared = json.loads(presentment("-1-2", "1.00"))
            await ledger.submit(world.webhook(visa, "presentment", cleared))

    asyncio.run(live())
    text = printed(Installation(tmp_path), "card-1", "EUR", "--csv")
    *_, row, _ = csv.DictReader(io.StringIO(text, newline=""))
    shown = row["merchant_name"]
    assert (shown == name) == name.startswith("Shop")
    assert shown.removeprefix("'") == name
    assert (row["transaction_id"], row["amount"]) == ("'-1-2", "-1.00")
    assert_audits(world.path)


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(1, ("nobody", "EUR"), "nobody", id="a card never seen"),
        pytest.param(1, ("card-1", "USD"), "USD", id="no account in that currency"),
        pytest.param(1, ("card-1", "EUR", "--to", "1"), "no account", id="no account by then"),
        pytest.param(2, ("card-1",), "CURRENCY", id="an argument missing"),
        pytest.param(2, ("card-1", "EUR", "--from", "yesterday"), "--from", id="from: not a time"),
        pytest.param(2, ("card-1", "EUR", "--to", "2026-11-23"), "--to", id="to: not a time"),
        pytest.param(2, ("card-1", "EUR", "--from", "9", "--to", "8"), "--from", id="from after to"),
        pytest.param(2, ("card-1", "EUR", "--json", "--csv"), "not allowed with", id="two forms"),
    ],
)
def test_a_statement_that_can_not_be_told(
    installation: Installation, status: int, arguments: tuple[str, ...], named: str
) -> None:
    assert named in installation.refused(status, "statement", *arguments)
    installation.assert_audits()


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "ledger.db") in Installation(tmp_path).refused(2, "statement", "card-1", "EUR")


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)], ids=["table", "JSON", "CSV"])
def test_a_balance_that_was_edited_is_told_in_no_form(installation: Installation, form: tuple[str, ...]) -> None:
    edited = Copy(installation.database, installation.folder / "edited.db")
    with edited.edited() as connection:
        connection.execute("UPDATE account_states SET posted = posted + 1 WHERE owner = 'card:card-1'")
    told = installation.refused(1, "statement", "card-1", "EUR", *form, DATABASE=edited.path)
    assert "does not verify" in told
    assert edited.audit().faults
    installation.assert_audits()
