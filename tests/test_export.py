"""`export`: hledger, beancount, csv and Parquet are asked, and have each account as the ledger has it, to the unit."""

import asyncio
import csv
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyarrow import parquet

from signed_ledger.books import FORMATS, Closed, read_books
from signed_ledger.books.plain_text import account_name
from signed_ledger.books.rows import COLUMNS
from signed_ledger.money import MINOR_DIGITS
from signed_ledger.records import AccountId
from tests.bookkeeping import (
    CURRENCIES,
    HARD_IDS,
    Balances,
    balances_of,
    bean_check,
    beancount_balances,
    check_with_hledger,
    exported,
    hledger,
    hledger_balances,
    make_trade,
)
from tests.processes import Installation
from tests.support import Sample, assert_audits, make_sample
from tests.tampering import Copy
from tests.world import World, opened

every_format = pytest.mark.parametrize("wanted", FORMATS)


@pytest.fixture(scope="module")
def trade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_trade(tmp_path_factory.mktemp("trade")))


@pytest.fixture(params=["sample", "trade", "nothing"])
def ledger(request: pytest.FixtureRequest, sample: Sample, trade: Path, tmp_path: Path) -> Path:
    if request.param == "nothing":
        return World(tmp_path).path
    return sample.path if request.param == "sample" else trade


def rows_of(books: Path) -> list[dict[str, str]]:
    with books.open(newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


# --- each format ---------------------------------------------------------------------------------------------------


def test_hledger_accepts_the_books_and_has_our_balances(ledger: Path) -> None:
    books = exported(ledger, "hledger")
    checked = check_with_hledger(books)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert hledger_balances(books) == balances_of(ledger)
    assert_audits(ledger)


def test_beancount_accepts_the_books_and_has_our_balances(ledger: Path) -> None:
    books = exported(ledger, "beancount")
    checked = bean_check(books)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert beancount_balances(books) == balances_of(ledger)
    assert_audits(ledger)


def test_a_csv_has_each_journal_line_and_they_sum_up_to_our_balances(ledger: Path) -> None:
    rows = rows_of(exported(ledger, "csv"))
    with closing(sqlite3.connect(ledger)) as connection:
        (lines,) = connection.execute(
            "SELECT count(*) FROM entries WHERE CAST(note AS TEXT) LIKE '%/v1 journal%'"
        ).fetchone()
        causes = dict(connection.execute("SELECT seq, transaction_id FROM transactions").fetchall())
    assert len(rows) == lines
    assert [int(row["seq"]) for row in rows] == sorted({int(row["seq"]) for row in rows})
    assert all(causes[int(row["batch"])] == row["transaction_id"] for row in rows)
    sums: Balances = {}
    for row in rows:
        name = account_name(AccountId(row["account"], row["currency"]))
        sums[name] = sums.get(name, Decimal(0)) - Decimal(row["amount"])
    assert sums == balances_of(ledger)
    assert_audits(ledger)


def test_parquet_says_what_the_csv_says(ledger: Path) -> None:
    table = parquet.read_table(exported(ledger, "parquet"))
    assert table.column_names == list(COLUMNS)
    assert str(table.schema.field("amount").type) == "decimal128(38, 4)"
    typed = [
        {
            **row,
            "seq": int(row["seq"]),
            "batch": int(row["batch"]),
            "time": datetime.fromisoformat(row["time"]),
            "scheme": row["scheme"] or None,
            "amount": Decimal(row["amount"]),
        }
        for row in rows_of(exported(ledger, "csv"))
    ]
    assert table.to_pylist() == typed
    assert_audits(ledger)


def test_amounts_have_exactly_their_currencys_digits(trade: Path) -> None:
    rows = rows_of(exported(trade, "csv"))
    assert {len(row["amount"].partition(".")[2]) - MINOR_DIGITS[row["currency"]] for row in rows} == {0}
    assert {row["currency"] for row in rows} == set(CURRENCIES)
    assert {row["account"] for row in rows} > {f"card:{card_id}" for card_id in HARD_IDS}
    assert any(Decimal(row["amount"]) == 0 for row in rows)
    assert_audits(trade)


def test_the_first_row_is_the_issuers_side_of_the_first_load(sample: Sample) -> None:
    first = rows_of(exported(sample.path, "csv"))[0]
    seq = sample.seqs["load"]
    cause = [str(seq + 1), "2026-11-23T10:00:00.000000Z", str(seq), "load", "load-1", ""]
    assert [*first.values()] == [*cause, "issuer", "EUR", "-100.00"]
    assert_audits(sample.path, sample.trust)


def test_hledger_finds_a_transaction_by_its_tags_and_its_scheme(sample: Sample) -> None:
    books, batch = exported(sample.path, "hledger"), sample.seqs["abroad-presented"]
    told = hledger("-f", books, "print", f"tag:batch=^{batch}$").stdout
    assert f"2026-11-23 * ({batch}) visa | presentment abroad" in told
    assert f"seq: {batch + 4}" in told
    assert told == hledger("-f", books, "print", "payee:visa", "tag:transaction_id=abroad", "tag:card_id=c1").stdout
    assert_audits(sample.path, sample.trust)


# --- the books prove themselves ------------------------------------------------------------------------------------


def changed(books: Path, old: str, new: str) -> Path:
    text = books.read_text(encoding="ascii")
    assert old in text
    books.write_text(text.replace(old, new, 1), encoding="ascii")
    return books


@pytest.mark.parametrize("currency", CURRENCIES)
def test_both_programs_refuse_a_balance_that_is_one_minor_unit_off(trade: Path, currency: str) -> None:
    name = account_name(AccountId("issuer", currency))
    was = balances_of(trade)[name]
    off = was + Decimal(1).scaleb(-MINOR_DIGITS[currency])
    journal = changed(exported(trade, "hledger"), f"== {was} {currency}\n", f"== {off} {currency}\n")
    assert "balance assertion" in check_with_hledger(journal).stderr
    file = changed(exported(trade, "beancount"), f"{name}  {was} ~ 0", f"{name}  {off} ~ 0")
    assert f"Balance failed for '{name}'" in bean_check(file).stderr
    assert_audits(trade)


@pytest.mark.parametrize("currency", CURRENCIES)
def test_both_programs_refuse_a_transaction_that_is_one_minor_unit_off(trade: Path, currency: str) -> None:
    row = next(row for row in rows_of(exported(trade, "csv")) if row["currency"] == currency)
    was = -Decimal(row["amount"])
    off = was + Decimal(1).scaleb(-MINOR_DIGITS[currency])
    assert check_with_hledger(
        changed(exported(trade, "hledger"), f"  {was} {currency}", f"  {off} {currency}")
    ).returncode
    assert bean_check(changed(exported(trade, "beancount"), f"  {was} {currency}", f"  {off} {currency}")).returncode
    assert_audits(trade)


# --- where it is written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["hledger", "beancount", "csv"])
@pytest.mark.parametrize("out", [[], ["--out", "-"]], ids=["no --out", "a dash"])
def test_text_goes_to_standard_output(sample: Sample, wanted: str, out: list[str]) -> None:
    told = Installation(sample.path.parent).run("export", "--format", wanted, *out)
    assert told.stdout == exported(sample.path, wanted).read_text(encoding="ascii")
    assert told.stderr == ""
    assert_audits(sample.path, sample.trust)


@every_format
def test_a_file_is_whole_and_its_owners_only(sample: Sample, tmp_path: Path, wanted: str) -> None:
    installation, out = Installation(sample.path.parent), tmp_path / "books"
    assert installation.run("export", "--format", wanted, "--out", out).stdout == ""
    assert out.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [out]
    assert_audits(sample.path, sample.trust)


def test_a_file_that_is_there_is_replaced_by_force_only(sample: Sample, tmp_path: Path) -> None:
    installation, out = Installation(sample.path.parent), tmp_path / "books"
    out.write_text("another's")
    assert "--force replaces it" in installation.refused(2, "export", "--format", "csv", "--out", out)
    assert out.read_text() == "another's"
    installation.run("export", "--format", "csv", "--out", out, "--force")
    assert out.read_text() == exported(sample.path, "csv").read_text()
    assert_audits(sample.path, sample.trust)


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "by force"])
@pytest.mark.parametrize(
    ("out", "reason"),
    [
        pytest.param("ledger.db", "is the ledger itself", id="the ledger"),
        pytest.param("link.db", "is the ledger itself", id="the ledger by another name"),
        pytest.param("ledger.db-wal", "is the ledger itself", id="the ledger's log"),
        pytest.param(".", "is not a file", id="a folder"),
        pytest.param("/dev/null", "is not a file", id="a device"),
        pytest.param("nowhere/books", "there is no folder", id="in no folder"),
    ],
)
def test_it_refuses_to_write_there(tmp_path: Path, out: str, reason: str, force: list[str]) -> None:
    path = World(tmp_path).path
    (tmp_path / "link.db").symlink_to(path)
    with closing(sqlite3.connect(path)) as connection:  # an open one has its log beside it
        connection.execute("SELECT * FROM entries").fetchall()
        sentence = Installation(tmp_path).refused(2, "export", "--format", "csv", "--out", tmp_path / out, *force)
    assert reason in sentence
    assert_audits(path)


# --- what it can not do --------------------------------------------------------------------------------------------


def test_parquet_needs_a_file(sample: Sample) -> None:
    installation = Installation(sample.path.parent)
    assert "--out: must name a file" in installation.refused(2, "export", "--format", "parquet")
    assert "--out: must name a file" in installation.refused(2, "export", "--format", "parquet", "--out", "-")
    assert_audits(sample.path, sample.trust)


def test_parquet_needs_pyarrow_and_names_the_extra(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    out = tmp_path / "books"
    sentence = Installation(sample.path.parent).refused(2, "export", "--format", "parquet", "--out", out)
    assert "pip install 'signed-ledger[parquet]'" in sentence
    assert [*tmp_path.iterdir()] == []
    assert_audits(sample.path, sample.trust)


def test_a_wrong_command_line_is_told_in_a_sentence(sample: Sample) -> None:
    installation = Installation(sample.path.parent)
    assert "--format" in installation.refused(2, "export")
    assert "'xlsx'" in installation.refused(2, "export", "--format", "xlsx")
    assert_audits(sample.path, sample.trust)


@every_format
@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("UPDATE parts SET body = x'00' WHERE seq = 9", "entry 9: body: does not have", id="a body edited"),
        pytest.param("DELETE FROM entries WHERE seq = 9", "entry 10: prev: does not follow", id="an entry gone"),
    ],
)
def test_a_tampered_ledger_is_refused_and_nothing_is_left(
    copy: Copy, tmp_path: Path, wanted: str, statement: str, reason: str
) -> None:
    with copy.edited() as connection:
        connection.execute(statement)
    out = tmp_path / "books"
    installation = Installation(tmp_path / "keys")
    told = installation.refused(1, "export", "--format", wanted, "--out", out, DATABASE=copy.path)
    assert reason in told
    assert "see signed-ledger verify" in told
    assert not any(path.name.startswith((".books", "books")) for path in tmp_path.iterdir())
    if wanted != "parquet":
        assert reason in installation.refused(1, "export", "--format", wanted, DATABASE=copy.path)
    assert not copy.audit().ok


# --- while it is served --------------------------------------------------------------------------------------------


async def test_the_books_are_of_one_moment(tmp_path: Path) -> None:
    sample = await make_sample(tmp_path)
    with closing(sqlite3.connect(sample.path)) as connection:
        (head,) = connection.execute("SELECT max(seq) FROM entries").fetchone()
    books = read_books(sample.path, busy_timeout_ms=0)
    first = next(books)
    async with opened(sample.world) as ledger:
        await sample.world.load(ledger, "c3", 1_00)
        *_, closed = (first, *books)
    assert isinstance(closed, Closed)
    assert closed.seq == head
    assert AccountId("card:c3", "EUR") not in closed.balances
    assert_audits(sample.path, sample.trust)
