"""`reconcile`: the Scheme's file, strictly read; both sides matched, whatever the order; and what it tells."""

import asyncio
import csv
import io
import json
import random
import shutil
from collections import Counter
from contextlib import suppress
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.daily import Line, Posting, read_scheme_file, reconcile, settle
from signed_ledger.daily.reconciling import Difference, Name, differences
from signed_ledger.errors import Invalid
from signed_ledger.money import Fee, Money
from tests.processes import Installation
from tests.settlements import Life, Past, desk_on
from tests.support import edit
from tests.world import opened

HEADER = "type,transaction_id,posting_id,settlement_amount,settlement_currency,interchange_amount"


def write(path: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    path.write_bytes("".join(f"{line}{end}" for line in (header, *lines)).encode())
    return path


# --- the Scheme's file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_a_file_is_read_line_by_line(tmp_path: Path, end: str, mark: bytes) -> None:
    path = write(tmp_path / "f.csv", "presentment,t,p,12.3,EUR,0.0123", 'refund,"",r,500,JPY,', end=end)
    path.write_bytes(mark + path.read_bytes())
    assert list(read_scheme_file(path)) == [
        Posting(Name("presentment", "t", "p"), Money(1230, "EUR"), Fee(1_230_000, "EUR"), 2),
        Posting(Name("refund", "r", "r"), Money(500, "JPY"), None, 3),
    ]


def test_the_columns_may_stand_in_any_order_and_interchange_be_left_out(tmp_path: Path) -> None:
    header = "settlement_currency,posting_id,settlement_amount,transaction_id,type"
    assert list(read_scheme_file(write(tmp_path / "f", "USD,,1.00,t,presentment", header=header))) == [
        Posting(Name("presentment", "t", ""), Money(100, "USD"), None, 2)
    ]


def test_a_file_with_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert list(read_scheme_file(write(tmp_path / "f"))) == []


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        pytest.param(["chargeback,t,,1.00,EUR,"], "line 2, column type", id="no such type"),
        pytest.param(["presentment,,p,1.00,EUR,"], "line 2, column transaction_id", id="no transaction"),
        pytest.param(["refund,,,1.00,EUR,"], "line 2, column transaction_id", id="a refund of nothing"),
        pytest.param(["presentment,t t,,1.00,EUR,"], "line 2, column transaction_id", id="not an id"),
        pytest.param(["presentment,t,p/1,1.00,EUR,"], "line 2, column posting_id", id="not a posting id"),
        pytest.param(["presentment,t,,1.001,EUR,"], "line 2, column settlement_amount", id="too many digits"),
        pytest.param(["presentment,t,,-1.00,EUR,"], "line 2, column settlement_amount", id="negative"),
        pytest.param(['presentment,t,,"1,00",EUR,'], "line 2, column settlement_amount", id="a decimal comma"),
        pytest.param(["presentment,t,,1e2,EUR,"], "line 2, column settlement_amount", id="an exponent"),
        pytest.param(["presentment,t,,,EUR,"], "line 2, column settlement_amount", id="no amount"),
        pytest.param(["presentment,t,,1.00,eur,"], "line 2, column settlement_currency", id="no currency"),
        pytest.param(["presentment,t,,1.00,EUR,x"], "line 2, column interchange_amount", id="no fee"),
        pytest.param(["presentment,t,,1.00,EUR,-0.1"], "line 2, column interchange_amount", id="a negative fee"),
        pytest.param(["presentment,t,,1.00,EUR"], "line 2: has 5 columns", id="a column missing"),
        pytest.param(["presentment,t,,1.00,EUR,,"], "line 2: has 7 columns", id="a column too many"),
        pytest.param([""], "line 2: has 0 columns", id="an empty line"),
        pytest.param(
            ["presentment,t,p,1.00,EUR,", "presentment,u,p,1.00,EUR,", "presentment,t,p,1.00,EUR,"],
            "line 4, column posting_id: is there twice: see line 2",
            id="the same posting twice",
        ),
        pytest.param(['presentment,"t"t,,1.00,EUR,'], "line 2: is not CSV", id="a quote within"),
        pytest.param(['presentment,"t'], "is not CSV", id="a quote without end"),
        pytest.param(["presentment," + "t" * 4096], "line 2: is longer than 4096 bytes", id="an endless line"),
        pytest.param([" presentment,t,,1.00,EUR,"], "line 2, column type", id="a space before"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, lines: list[str], where: str) -> None:
    with pytest.raises(Invalid, match=f"f.csv, {where}" if where.startswith("line") else where):
        list(read_scheme_file(write(tmp_path / "f.csv", *lines)))


@pytest.mark.parametrize(
    ("header", "where"),
    [
        pytest.param(
            "type,transaction_id,settlement_amount,settlement_currency", "posting_id: is missing", id="one less"
        ),
        pytest.param(f"{HEADER},merchant", "column merchant: is none of", id="an unknown one"),
        pytest.param(f"{HEADER},type", "column type: is there twice", id="one twice"),
        pytest.param(HEADER.upper(), "column TYPE: is none of", id="in capitals"),
        pytest.param(HEADER.replace(",", ";"), "is none of", id="another separator"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: str, where: str) -> None:
    with pytest.raises(Invalid, match=f"line 1, column .*{where.partition('column ')[2] or where}"):
        list(read_scheme_file(write(tmp_path / "f.csv", header=header)))


@pytest.mark.parametrize(
    ("data", "where"),
    [
        pytest.param(b"", "is empty", id="nothing"),
        pytest.param(HEADER.encode() + b"\npresentment,\xff,,1.00,EUR,\n", "line 2: is not UTF-8", id="no UTF-8"),
        pytest.param(HEADER.encode() + b"\npresentment,t\0,,1.00,EUR,\n", "line 2", id="a zero byte"),
        pytest.param(HEADER.encode("utf-16"), "line 1: is not UTF-8", id="UTF-16"),
    ],
)
def test_bytes_that_are_no_such_file_are_refused(tmp_path: Path, data: bytes, where: str) -> None:
    (tmp_path / "f.csv").write_bytes(data)
    with pytest.raises(Invalid, match=where):
        list(read_scheme_file(tmp_path / "f.csv"))


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(f"{HEADER}\n".encode() + data)
    with suppress(Invalid):
        assert all(isinstance(row, Posting) for row in read_scheme_file(path))


# --- matching -------------------------------------------------------------------------------------------------------


def posting(
    amount: int, at: int, *, name: str = "t", own: str = "", fee: int | None = None, code: str = "EUR"
) -> Posting:
    interchange = None if fee is None else Fee(fee, code)
    return Posting(Name("presentment", name, own), Money(amount, code), interchange, at)


def told(lines: list[Line]) -> list[tuple[str, int | None, int | None]]:
    return [(line.result, line.ours and line.ours.at, line.theirs and line.theirs.at) for line in lines]


def test_each_result_in_order_of_their_file_then_of_ours() -> None:
    ours = [posting(1, 10, name="a"), posting(2, 20, name="b"), posting(3, 30, name="d"), posting(4, 25, name="e")]
    theirs = [posting(9, 2, name="c"), posting(1, 3, name="a"), posting(5, 4, name="b")]
    assert told(list(reconcile(ours, theirs))) == [
        ("matched", 10, 3),
        ("missing_here", None, 2),
        ("different", 20, 4),
        ("missing_there", 25, None),
        ("missing_there", 30, None),
    ]


@pytest.mark.parametrize(
    ("our", "their", "found"),
    [
        pytest.param(posting(1, 1), posting(1, 1), [], id="the same"),
        pytest.param(posting(1, 1), posting(2, 1), [("settlement_amount", "0.01", "0.02")], id="the amount"),
        pytest.param(
            posting(1, 1),
            posting(1, 1, code="USD"),
            [("settlement_amount", "0.01", "0.01"), ("settlement_currency", "EUR", "USD")],
            id="the currency",
        ),
        pytest.param(posting(1, 1, fee=5), posting(1, 1), [], id="interchange they do not state"),
        pytest.param(posting(1, 1), posting(1, 1, fee=0), [], id="none and nothing"),
        pytest.param(
            posting(1, 1, fee=1),
            posting(1, 1, fee=2),
            [("interchange_amount", "0.00000001", "0.00000002")],
            id="the fee",
        ),
        pytest.param(
            posting(1, 1), posting(1, 1, fee=2), [("interchange_amount", "0.00000000", "0.00000002")], id="fees"
        ),
    ],
)
def test_fields_that_differ(our: Posting, their: Posting, found: list[tuple[str, str, str]]) -> None:
    assert differences(our, their) == [Difference(*each) for each in found]


@pytest.mark.parametrize(
    ("ours", "theirs", "results"),
    [
        pytest.param([1, 2], [2, 1], ["matched"] * 2, id="in another order"),
        pytest.param([1, 1], [1, 1], ["matched"] * 2, id="the same twice"),
        pytest.param([1, 1], [1], ["matched", "missing_there"], id="one of two"),
        pytest.param([1], [1, 1], ["matched", "missing_here"], id="two of one"),
        pytest.param([1], [2, 1], ["matched", "missing_here"], id="the second is it"),
        pytest.param([1, 2], [3, 1], ["different", "matched"], id="one differs"),
        pytest.param([1, 2, 3], [3], ["matched", "missing_there", "missing_there"], id="one of three"),
    ],
)
def test_those_without_an_id_of_their_own_match_by_amount(
    ours: list[int], theirs: list[int], results: list[str]
) -> None:
    lines = reconcile(
        [posting(amount, at) for at, amount in enumerate(ours)],
        [posting(amount, at) for at, amount in enumerate(theirs, 2)],
    )
    assert sorted(line.result for line in lines) == sorted(results)


def test_interchange_they_state_is_matched_before_those_where_they_do_not() -> None:
    ours = [posting(1, 10, fee=5), posting(1, 20, fee=6)]
    theirs = [posting(1, 2), posting(1, 3, fee=5)]
    assert sorted(told(list(reconcile(ours, theirs)))) == [("matched", 10, 3), ("matched", 20, 2)]


names = st.sampled_from(["a", "b", "c"])
fees = st.sampled_from([None, 0, 1, 2])
drawn_postings = st.lists(st.builds(posting, st.integers(1, 3), st.just(0), name=names, fee=fees), max_size=12)


def numbered(postings: list[Posting]) -> list[Posting]:
    return [each._replace(at=at) for at, each in enumerate(postings, 2)]


def most_matched(ours: list[Posting], theirs: list[Posting]) -> int:
    """The largest matching there is, by augmenting paths: slow, and not how the code does it."""
    partner: dict[int, int] = {}

    def place(our: int, seen: set[int]) -> bool:
        for number, their in enumerate(theirs):
            fits = ours[our].name == their.name and not differences(ours[our], their)
            if fits and number not in seen:
                seen.add(number)
                if number not in partner or place(partner[number], seen):
                    partner[number] = our
                    return True
        return False

    return sum(place(our, set()) for our in range(len(ours)))


@given(drawn_postings, drawn_postings)
def test_every_one_is_told_once_and_as_many_match_as_can(drawn: list[Posting], given_to_us: list[Posting]) -> None:
    ours, theirs = numbered(drawn), numbered(given_to_us)
    lines = list(reconcile(ours, theirs))
    assert Counter(line.ours for line in lines if line.ours) == Counter(ours)
    assert Counter(line.theirs for line in lines if line.theirs) == Counter(theirs)
    counts = Counter(line.result for line in lines)
    assert counts["matched"] == most_matched(ours, theirs)
    for line in lines:
        both = line.ours is not None and line.theirs is not None
        assert both == (line.result in ("matched", "different"))
        assert bool(line.differences) == (line.result == "different")
    for name in {each.name for each in (*ours, *theirs)}:  # nothing is missing on both sides
        missing = {line.result for line in lines if line.name == name} & {"missing_here", "missing_there"}
        assert len(missing) <= 1


@given(drawn_postings, st.randoms())
def test_a_file_of_ours_in_any_order_matches(drawn: list[Posting], chance: random.Random) -> None:
    ours = numbered(drawn)
    theirs = [each._replace(interchange=each.interchange or Fee(0, "EUR")) for each in ours]
    chance.shuffle(theirs)
    assert {line.result for line in reconcile(ours, theirs)} <= {"matched"}


# --- the command ----------------------------------------------------------------------------------------------------


async def _settle_two_days(past: Past) -> None:
    async with opened(past.world) as ledger, desk_on(past.world, ledger) as desk:
        life = await past.begin(ledger)
        await life.authorise("t", "40.00")
        await life.present("t", "10.00", billing_amount="10.00", billing_currency="EUR", final=False)
        await life.present("t", "29.00", billing_amount="29.00", billing_currency="EUR", interchange_amount="0.1239")
        await life.refund("back", "5.00")
        await past.world.load(ledger, "c2", 10_00)
        await Life(past.world, ledger, await past.world.register(ledger, "scheme", "other")).force(
            "theirs", "3.00", card_id="c2"
        )
        await settle(desk, "acme", date(2026, 11, 1), ZoneInfo("UTC"))
        await life.force("u", "7.00", presentment_id="p1")
        await settle(desk, "acme", date(2026, 11, 2), ZoneInfo("UTC"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    past = Past(tmp_path_factory.mktemp("made"))
    asyncio.run(_settle_two_days(past))
    return past.folder


@pytest.fixture
def past(made: Path, tmp_path: Path) -> Installation:
    shutil.copytree(made, tmp_path / "past")
    return Installation(tmp_path / "past")


REFUND = "(SELECT seq FROM transactions WHERE transaction_id = 'back')"
FIRST_DAY = ("presentment,t,,29.00,EUR,0.1239", "presentment,t,,10.00,EUR,", "refund,,back,5.00,EUR,")


def test_all_matched_is_0_and_each_day_has_its_own(past: Installation, tmp_path: Path) -> None:
    first, second = (
        write(tmp_path / "first.csv", *FIRST_DAY),
        write(tmp_path / "second.csv", "presentment,u,p1,7.00,EUR,"),
    )
    told = past.json("reconcile", first, "--scheme", "acme", "--date", "2026-11-01")
    assert (told["date"], told["counts"]["matched"], told["lines"]) == ("2026-11-01", 3, [])
    told = past.json("reconcile", second, "--scheme", "acme", "--all")
    assert (told["date"], told["counts"]) == (
        "2026-11-02",
        {"matched": 1, "different": 0, "missing_here": 0, "missing_there": 0},
    )
    (line,) = told["lines"]
    assert (line["posting_id"], line["theirs"]["line"]) == ("p1", 2)
    assert past.rows("SELECT transaction_id FROM transactions WHERE seq = ?", line["ours"]["seq"]) == [("u",)]
    past.assert_audits()


def test_what_does_not_match_is_1_in_every_format(past: Installation, tmp_path: Path) -> None:
    file = write(tmp_path / "f.csv", FIRST_DAY[0], "presentment,t,,11.00,EUR,", "presentment,other,,1.00,EUR,")
    command = ("reconcile", file, "--scheme", "acme", "--date", "2026-11-01")
    table = past.run(*command, status=1).stdout
    for wanted in ("matched            1", "different          1", "missing_here       1", "missing_there      1"):
        assert wanted in table
    assert max(map(len, table.splitlines())) <= 120
    rows = list(csv.DictReader(io.StringIO(past.run(*command, "--format", "csv", status=1).stdout)))
    assert [(row["result"], row["line"], row["field"], row["ours"], row["theirs"]) for row in rows] == [
        ("different", "3", "settlement_amount", "10.00", "11.00"),
        ("missing_here", "4", "", "", "1.00 EUR"),
        ("missing_there", "", "", "5.00 EUR", ""),
    ]
    told = json.loads(past.run(*command, "--format", "json", status=1).stdout)
    assert [line["result"] for line in told["lines"]] == ["different", "missing_here", "missing_there"]
    assert len(json.loads(past.run(*command, "--json", "--all", status=1).stdout)["lines"]) == 4


@pytest.mark.parametrize(
    ("status", "arguments", "named"),
    [
        pytest.param(2, ("--scheme", "nosuch"), "no Scheme 'nosuch'", id="a Scheme never registered"),
        pytest.param(2, ("--scheme", "acme", "--date", "2026-11-03"), "is not settled", id="a day not settled"),
        pytest.param(2, ("--scheme", "acme", "--date", "yesterday"), "--date", id="no date"),
        pytest.param(2, ("--scheme", "acme", "--format", "xml"), "--format", id="no such format"),
        pytest.param(2, (), "--scheme", id="no Scheme"),
    ],
)
def test_what_can_not_be_compared_is_2(
    past: Installation, tmp_path: Path, status: int, arguments: tuple[str, ...], named: str
) -> None:
    assert named in past.refused(status, "reconcile", write(tmp_path / "f.csv"), *arguments)


def test_a_file_that_is_not_there_or_wrong_is_2(past: Installation, tmp_path: Path) -> None:
    assert "none.csv" in past.refused(2, "reconcile", tmp_path / "none.csv", "--scheme", "acme")
    wrong = write(tmp_path / "f.csv", "presentment,t,,1.001,EUR,")
    assert "f.csv, line 2, column settlement_amount" in past.refused(2, "reconcile", wrong, "--scheme", "acme")


def test_a_scheme_that_never_settled_has_nothing_to_compare(tmp_path: Path) -> None:
    past = Past(tmp_path)
    asyncio.run(_begin(past))
    assert "nothing is settled with acme yet" in past.refused(2, "reconcile", tmp_path / "f.csv", "--scheme", "acme")


async def _begin(past: Past) -> None:
    async with opened(past.world) as ledger:
        await past.begin(ledger)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("DELETE FROM transactions WHERE transaction_id = 'back'", id="one not told"),
        pytest.param("UPDATE transactions SET type = 'refund' WHERE transaction_id = 't'", id="one told twice"),
        pytest.param(f"UPDATE parts SET evidence = NULL WHERE seq = {REFUND}", id="no evidence"),
        pytest.param("UPDATE transactions SET scheme = 'acme' WHERE scheme = 'other'", id="another Scheme's"),
        pytest.param("UPDATE settlements SET seq = 9 WHERE date = '2026-11-01'", id="another settlement"),
    ],
)
def test_what_was_tampered_with_is_not_compared(past: Installation, tmp_path: Path, statement: str) -> None:
    edit(past.database, statement)
    file = write(tmp_path / "f.csv", *FIRST_DAY)
    told = past.run("reconcile", file, "--scheme", "acme", "--date", "2026-11-01", status=1)
    assert told.stdout == ""
    assert told.stderr
