"""The terms as TOML, read strictly and written to read back; `terms show`, `check` and `set`; `serve` with them."""

import json
import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signed_ledger.cli.terms import FILE_BYTES_MAX, decode_toml, encode_toml, quoted, read_terms
from signed_ledger.encoding import decode_entry, encode_terms, encode_time
from signed_ledger.errors import Invalid
from signed_ledger.money import MINOR_DIGITS, WIRE_MINOR_MAX, Money
from signed_ledger.records import DEFAULT_TERMS, FeeRate, Scope, Terms, Tolerance, Window
from signed_ledger.records.messages import AUTHORISATION_KINDS
from signed_ledger.records.names import NAME
from signed_ledger.records.terms import DAYS_MAX, MILLIONTHS_MAX, RULES_MAX
from tests.callers import authorisation, send
from tests.processes import PROJECT, Installation, Server, installed, wait_until
from tests.world import DAY

THREE_DAYS = """
window_days = 4

[[windows]]
scheme = "acme"
mccs = ["5411"]
days = 3
"""


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return installed(tmp_path)


@pytest.fixture
def file(installation: Installation) -> Path:
    """A terms file that gives what `authorisation` asks for three days."""
    path = installation.folder / "terms.toml"
    path.write_text(THREE_DAYS)
    return path


# --- TOML ----------------------------------------------------------------------------------------------------------

_RANGES = st.tuples(st.integers(0, 9999), st.integers(0, 9999)).map(lambda ends: (min(ends), max(ends)))
SCOPES = st.builds(
    Scope,
    st.none() | st.from_regex(NAME, fullmatch=True),
    st.lists(st.sampled_from(AUTHORISATION_KINDS), unique=True).map(tuple),
    st.lists(_RANGES, max_size=4).map(tuple),
)
SHARES = st.integers(0, MILLIONTHS_MAX // 10_000).map(lambda percent: percent * 10_000) | st.integers(0, MILLIONTHS_MAX)
AMOUNTS = st.none() | st.builds(Money, st.integers(0, WIRE_MINOR_MAX), st.sampled_from(sorted(MINOR_DIGITS)))


def few(rules: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(rules, max_size=4).map(tuple)


TERMS = st.builds(
    Terms,
    st.integers(1, DAYS_MAX),
    few(st.builds(Window, SCOPES, st.integers(1, DAYS_MAX))),
    few(st.builds(Tolerance, SCOPES, SHARES, AMOUNTS)),
    few(st.builds(FeeRate, SCOPES, SHARES, AMOUNTS)),
)


@given(TERMS)
@example(DEFAULT_TERMS)
def test_what_is_written_reads_back_the_same(terms: Terms) -> None:
    written = encode_toml(terms)
    assert decode_toml(written.encode()) == terms
    assert encode_toml(decode_toml(written.encode())) == written


@given(st.text())
@example('"""')
@example("\\u0041\x00\x7f\r\n\t")
def test_any_text_is_quoted_so_that_it_reads_back(text: str) -> None:
    assert tomllib.loads(f"text = {quoted(text)}") == {"text": text}


def test_the_example_is_what_is_in_force_by_default() -> None:
    example_file = PROJECT / "docs" / "terms-example.toml"
    assert read_terms(example_file) == DEFAULT_TERMS
    fee = "\n".join(line.removeprefix("#   ") for line in example_file.read_text().splitlines()[-6:])
    assert decode_toml(f"window_days = 7\n{fee}".encode()).fees == (
        FeeRate(Scope("visa", mccs=((5411, 5411),)), 2_000, Money(5, "EUR")),
    )


@pytest.mark.parametrize(
    ("percent", "millionths"),
    [("0.2", 2_000), ('"0.2"', 2_000), ("15", 150_000), ('"15"', 150_000), ("0.0001", 1), ("1000", 10_000_000)],
)
def test_a_percentage_is_exact_as_number_and_as_text(percent: str, millionths: int) -> None:
    assert decode_toml(f"window_days = 7\n[[fees]]\npercent = {percent}".encode()).fees[0].millionths == millionths


def rule(of: str, *members: str) -> str:
    """A file whose second rule in the list `of` has these members."""
    first = {"windows": "days = 1", "tolerances": "percent = 1", "fees": "percent = 1"}[of]
    return "\n".join(("window_days = 7", f"[[{of}]]", first, f"[[{of}]]", *members))


WRONG: dict[str, tuple[str, str]] = {
    "nothing": ("", "window_days: is missing or not an integer"),
    "no TOML": ("window_days: 7", "TOML: "),
    "a key given twice": ("window_days = 7\nwindow_days = 8", "TOML: "),
    "an integer of 5000 digits": (f"window_days = {'9' * 5000}", "TOML: "),
    "lists in lists": (f"window_days = {'[' * 100_000}", "TOML: "),
    "more than a file may have": ("#" * (FILE_BYTES_MAX + 1), "TOML: is more than"),
    "an unknown key": ("window_days = 7\ndays = 8", "days: is not a member"),
    "an unknown key of two lines": ('window_days = 7\n"a\\nb" = 8', "a\\nb: is not a member"),
    "a list misspelt": ("window_days = 7\n[[window]]\ndays = 8", "window: is not a member"),
    "no time": ("window_days = 0", "window_days: must be a whole number of days from 1 to 400"),
    "too long a time": ("window_days = 401", "window_days: must be a whole number of days from 1 to 400"),
    "true for a number of days": ("window_days = true", "window_days: is missing or not an integer"),
    "days as text": ('window_days = "7"', "window_days: is missing or not an integer"),
    "days as a float": ("window_days = 7.0", "window_days: is missing or not an integer"),
    "a table for a list": ("window_days = 7\n[windows]\ndays = 8", "windows: is missing or not a list"),
    "a list of numbers": ("window_days = 7\nfees = [1]", "fees: is missing or not a list"),
    "no days in a window": (rule("windows", 'scheme = "visa"'), "windows[2].days: is missing"),
    "days out of bounds": (rule("windows", "days = 1000"), "windows[2].days: must be a whole number of days"),
    "an unknown key in a window": (rule("windows", "days = 1", "day = 1"), "windows[2].day: is not a member"),
    "a share in a window": (rule("windows", "days = 1", "percent = 1"), "windows[2].percent: is not a member"),
    "a Scheme that is no name": (rule("windows", "days = 1", 'scheme = "a b"'), "windows[2].scheme: must be"),
    "a Scheme of two lines": (rule("windows", "days = 1", 'scheme = "a\\nb"'), "windows[2].scheme: must be"),
    "a float for a Scheme": (rule("windows", "days = 1", "scheme = 1.5"), "windows[2].scheme: is missing or not text"),
    "an unknown kind": (rule("windows", "days = 1", 'kinds = ["x"]'), "windows[2].kinds: must be of card_present"),
    "no kinds": (rule("windows", "days = 1", "kinds = []"), "windows[2].kinds: must not be empty"),
    "kinds as text": (rule("windows", "days = 1", 'kinds = "final"'), "windows[2].kinds: is missing or not a list"),
    "an mcc as a number": (rule("windows", "days = 1", "mccs = [5812]"), "windows[2].mccs: is missing or not a list"),
    "an mcc of 3 digits": (rule("windows", "days = 1", 'mccs = ["581"]'), "windows[2].mccs: must be categories"),
    "a range backwards": (rule("windows", "days = 1", 'mccs = ["5813-5812"]'), "windows[2].mccs: must be categories"),
    "no share": (rule("tolerances"), "tolerances[2].percent: is missing"),
    "five decimals": (rule("tolerances", "percent = 0.00001"), "tolerances[2].percent: must be a percentage"),
    "a zero at the end": (rule("tolerances", "percent = 0.20"), "tolerances[2].percent: must be a percentage"),
    "less than nothing": (rule("tolerances", "percent = -1"), "tolerances[2].percent: must be a percentage"),
    "more than 1000 percent": (rule("tolerances", "percent = 1001"), "tolerances[2].percent: must be from 0 to 1000"),
    "a number without end": (rule("fees", f"percent = 0x{'f' * 9000}"), "fees[2].percent: must be a percentage"),
    "an exponent": (rule("fees", "percent = 1e1"), "fees[2].percent: must be a percentage"),
    "infinity": (rule("fees", "percent = inf"), "fees[2].percent: must be a percentage"),
    "true for a share": (rule("fees", "percent = true"), "fees[2].percent: is missing or not text"),
    "an amount without its currency": (rule("fees", "percent = 1", 'fixed = "0.05"'), "fees[2].fixed: must be an"),
    "a float for an amount": (rule("fees", "percent = 1", "fixed = 0.05"), "fees[2].fixed: is missing or not text"),
    "an amount of three decimals": (rule("fees", "percent = 1", 'fixed = "0.055 EUR"'), "fees[2].fixed: is not an"),
    "an amount beyond all": (
        rule("fees", "percent = 1", 'fixed = "10000000000000.00 EUR"'),
        "fees[2].fixed: must be from 0 to less than 10^15",
    ),
    "201 rules": ("window_days = 7\n" + "[[fees]]\npercent = 1\n" * (RULES_MAX + 1), "fees: must be at most 200 rules"),
    "more than an entry holds": (
        "window_days = 7\n" + f"[[fees]]\npercent = 1\nmccs = {['1000-2000'] * 40}\n" * RULES_MAX,
        "terms: must fit into one entry",
    ),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_named_with_the_member_at_fault(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "terms.toml"
    path.write_text(text)
    with pytest.raises(Invalid) as refused:
        read_terms(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: {says}")
    assert sentence.isprintable()


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda text: f"window_days = 7\n{text}".encode()))
@example(b"\xff")
@example(b"window_days = 7\ndate = 1979-05-27T00:32:00.999999-07:00")
@example(b"date = 2021-02-30")
def test_any_file_gives_terms_or_one_refusal(data: bytes) -> None:
    try:
        terms = decode_toml(data)
    except Invalid:
        return
    assert decode_toml(encode_toml(terms).encode()) == terms


# --- the commands --------------------------------------------------------------------------------------------------


def terms_entries(installation: Installation) -> list[tuple[int, dict[str, Any]]]:
    """Seq and body of each terms entry."""
    query = "SELECT k.seq, p.body FROM keys AS k JOIN parts AS p ON p.seq = k.seq WHERE k.kind = 'terms' ORDER BY k.seq"
    return [(seq, json.loads(body)) for seq, body in installation.rows(query)]


def test_the_terms_in_force_are_shown_and_can_be_fed_back(installation: Installation, file: Path) -> None:
    own = installation.run("terms").stdout
    assert own.startswith("# In force: the ledger's own")
    assert decode_toml(own.encode()) == DEFAULT_TERMS
    assert installation.json("terms") == {"seq": None, "terms": encode_terms(DEFAULT_TERMS)}
    changed = installation.json("terms", "set", file)
    shown = installation.run("terms", "show").stdout
    assert shown == f"# In force: entry {changed['seq']}.\n\n{THREE_DAYS.lstrip()}"
    for command in (("terms",), ("terms", "show")):
        assert installation.json(*command) == {"seq": changed["seq"], "terms": encode_terms(read_terms(file))}
    file.write_text(shown)
    assert installation.json("terms", "set", file) == {"changed": False, "seq": None}
    installation.assert_audits()


def test_json_counts_wherever_it_stands(installation: Installation) -> None:
    shown = installation.run("terms", "--json", "show").stdout
    assert json.loads(shown) == installation.json("terms")
    assert installation.json("terms", "check", PROJECT / "docs" / "terms-example.toml")["terms"]["window_days"] == 7


def test_terms_are_set_once(installation: Installation, file: Path) -> None:
    told = installation.run("terms", "set", file).stdout
    ((seq, body),) = terms_entries(installation)
    assert told == f"The terms of {file} are in force after entry {seq}.\n"
    assert (body["window_days"], body["windows"][0]["days"], body["fees"]) == (4, 3, [])
    assert installation.run("terms", "set", file).stdout == "These terms are in force already; nothing was written.\n"
    file.write_text(encode_toml(DEFAULT_TERMS))
    assert installation.json("terms", "set", file)["changed"]
    assert len(terms_entries(installation)) == 2
    installation.assert_audits()


def test_a_file_is_checked_without_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "terms.toml"
    path.write_text(THREE_DAYS)
    told = Installation(tmp_path / "empty").run("terms", "check", path).stdout
    assert told.startswith(f"{path} is good:\n\nwindow_days  4\nwindows      1\n")


@pytest.mark.parametrize("command", ["check", "set"])
def test_a_file_that_is_not_to_be_used_is_refused_in_a_sentence(
    installation: Installation, file: Path, command: str
) -> None:
    assert "nowhere.toml: No such file" in installation.refused(2, "terms", command, "nowhere.toml")
    assert str(installation.folder) in installation.refused(2, "terms", command, installation.folder)
    file.write_bytes(b"\xff")
    assert "terms.toml: TOML: " in installation.refused(2, "terms", command, file)
    file.write_text(rule("windows", "days = 0"))
    assert f"{file}: windows[2].days: must be" in installation.refused(2, "terms", command, file)
    assert "FILE" in installation.refused(2, "terms", command)
    assert terms_entries(installation) == []
    installation.assert_audits()


def test_terms_that_were_edited_are_not_told(installation: Installation, file: Path) -> None:
    installation.json("terms", "set", file)
    connection = sqlite3.connect(installation.database)
    connection.execute("DROP TRIGGER parts_no_update")
    connection.execute(
        "UPDATE parts SET body = CAST(replace(body, '\"days\":3', '\"days\":9') AS BLOB) "
        "WHERE seq = (SELECT max(seq) FROM keys)"
    )
    connection.commit()
    connection.close()
    assert "does not verify" in installation.refused(1, "terms")
    assert "does not verify" in installation.refused(2, "terms", "set", file)
    assert "does not verify" in installation.refused(2, "serve")
    assert json.loads(installation.run("verify", "--json", status=1).stdout)["faults"]


def test_a_row_that_names_no_terms_is_not_believed(installation: Installation) -> None:
    connection = sqlite3.connect(installation.database)
    connection.execute("INSERT INTO keys VALUES (5, 'terms')")
    connection.commit()
    connection.close()
    assert "seq 5 does not verify" in installation.refused(1, "terms")
    assert "entry 5, which has no terms" in installation.refused(2, "serve")
    installation.run("rebuild")
    assert installation.json("terms")["seq"] is None
    installation.assert_audits()


@pytest.mark.parametrize("command", [(), ("show",), ("check",), ("set",)], ids=" ".join)
def test_each_commands_help_has_an_example_and_the_exit_statuses(
    installation: Installation, command: tuple[str, ...]
) -> None:
    told = installation.help("terms", *command)
    assert "signed-ledger terms" in told.partition("example:")[2]
    assert "Exit status: 0 done, 1 the answer is no, 2 it could not be asked." in told


# --- a server ------------------------------------------------------------------------------------------------------


def approved(server: Server, installation: Installation, name: str) -> dict[str, Any]:
    """The body of an authorisation's entry; its hold ends as many days after it as it says."""
    answer = send(server.url, installation.scheme, "/authorisation", name, authorisation(f"t-{name}"))
    assert answer.status == 201
    body: dict[str, Any] = json.loads(answer.document["body"])
    time = decode_entry(answer.document["entry"].encode()).entry.time
    assert body["expires"] == encode_time(time + body["window_days"] * DAY)
    return body


def test_a_server_approves_by_the_terms_of_its_file(installation: Installation, file: Path) -> None:
    with installation.serve("--workers", 2, TERMS=file) as server:
        body = approved(server, installation, "a-1")
        changed = [line for line in server.lines if line["event"] == "terms_changed"]
    ((seq, _),) = terms_entries(installation)
    assert [(line["seq"], line["file"]) for line in changed] == [(seq, str(file))]
    assert body["window_days"] == 3
    with installation.serve(TERMS=file) as server:
        assert approved(server, installation, "a-2")["window_days"] == 3
        assert '"terms_changed"' not in server.log
    with installation.serve() as server:
        assert approved(server, installation, "a-3")["window_days"] == 3
    assert len(terms_entries(installation)) == 1, "the same terms are not written again"
    installation.assert_audits()


def test_a_file_that_is_not_to_be_used_stops_the_start(installation: Installation, file: Path) -> None:
    file.write_text(rule("tolerances", "percent = 0.20"))
    sentence = installation.run("serve", status=2, TERMS=file).stderr
    assert sentence.startswith(f"signed-ledger: {file}: tolerances[2].percent: must be a percentage")
    assert sentence.count("\n") == 1
    assert "nowhere.toml" in installation.refused(2, "serve", TERMS="nowhere.toml")
    assert "SIGNED_LEDGER_TERMS" in installation.refused(2, "serve", TERMS="https://issuer.example/terms.toml")
    assert terms_entries(installation) == []
    installation.assert_audits()


def test_a_server_takes_a_change_up_by_itself(installation: Installation, file: Path) -> None:
    def told(what: str, times: int) -> Callable[[], bool]:
        return lambda: server.log.count(what) == times

    with installation.serve("--workers", 2) as server:
        wait_until(told('"serving"', 2))
        before = [approved(server, installation, f"a-{number}")["window_days"] for number in range(4)]
        seq = installation.json("terms", "set", file)["seq"]
        wait_until(told('"terms_changed"', 1))  # by the one that writes
        assert {line["seq"] for line in server.lines if line["event"] == "terms_changed"} == {seq}
        after = [approved(server, installation, f"b-{number}")["window_days"] for number in range(8)]
    assert (set(before), set(after)) == ({7}, {3})
    installation.assert_audits()
