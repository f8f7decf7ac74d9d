"""The books from entry to entry: names that can not be confused, batches that are whole, balances that were signed."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from beancount.core.account import is_valid
from hypothesis import given
from hypothesis import strategies as st

from signed_ledger.books import Batch, Closed, Opened, Posting, read_books
from signed_ledger.books.beancount import beancount_text
from signed_ledger.books.hledger import hledger_text
from signed_ledger.books.plain_text import account_name, day_of, debit, escaped
from signed_ledger.disk import whole_file
from signed_ledger.encoding import decode_entry, encode_entry_note, encode_entry_text
from signed_ledger.errors import Invalid
from signed_ledger.money import BALANCE_MINOR_MAX, MINOR_DIGITS, Money
from signed_ledger.records import AccountId, Effect, JournalLine, Load, Opening
from signed_ledger.rules import lines_of
from tests.bookkeeping import bean_check, check_with_hledger
from tests.cheating import CheatingIssuer, eur
from tests.processes import PROJECT
from tests.support import Sample, assert_audits
from tests.tampering import Copy, found
from tests.world import START

# --- names ---------------------------------------------------------------------------------------------------------

NAMES = st.text("abzABZ09._-hpu", min_size=1, max_size=64) | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
OWNERS = st.just("issuer") | st.builds("{}:{}".format, st.sampled_from(("card", "scheme", "external")), NAMES)
ACCOUNTS = st.builds(AccountId, OWNERS, st.sampled_from(sorted(MINOR_DIGITS)))


def unescaped(text: str) -> str:
    """The way back, read from left to right."""
    return re.sub("--([hpu])", lambda code: {"h": "-", "p": ".", "u": "_"}[code[1]], text)


@given(NAMES)
def test_an_escaped_name_can_be_read_back(name: str) -> None:
    assert unescaped(escaped(name)) == name


@given(ACCOUNTS, ACCOUNTS)
def test_two_accounts_never_have_one_name(one: AccountId, other: AccountId) -> None:
    assert (account_name(one) == account_name(other)) == (one == other)


@given(ACCOUNTS)
def test_beancount_takes_each_name(account: AccountId) -> None:
    assert is_valid(account_name(account))
    assert account_name(account).isascii()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("card:card-1", "Liabilities:Cards:Id-card-1:EUR"),
        ("card:a.b_c", "Liabilities:Cards:Id-a--pb--uc:EUR"),
        ("card:--u", "Liabilities:Cards:Id---h-u:EUR"),
        ("card:-", "Liabilities:Cards:Id--:EUR"),
        ("scheme:visa", "Liabilities:Schemes:Id-visa:EUR"),
        ("external:visa", "Assets:External:Id-visa:EUR"),
        ("issuer", "Equity:Issuer:EUR"),
    ],
)
def test_an_account_is_named(owner: str, name: str) -> None:
    assert account_name(AccountId(owner, "EUR")) == name


@pytest.mark.parametrize("owner", ["card:<id>", "scheme:<name>", "external:<name>", "issuer"])
def test_operations_tells_each_owners_account(owner: str) -> None:
    told = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{owner}`.* \| `{account_name(AccountId(owner, 'EUR'))}` \|", told, re.MULTILINE)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(1230, "EUR", "-12.30 EUR"), (-5, "KWD", "0.005 KWD"), (0, "EUR", "0.00 EUR"), (0, "JPY", "0 JPY")],
)
def test_an_amount_has_the_other_sign(minor: int, currency: str, text: str) -> None:
    assert debit(minor, currency) == text


def test_a_day_is_that_of_utc() -> None:
    midnight = START - 10 * 3_600_000_000
    assert (day_of(midnight - 1), day_of(midnight)) == ("2026-11-22", "2026-11-23")
    assert day_of(midnight, later=8) == "2026-12-01"


# --- text ----------------------------------------------------------------------------------------------------------

HOSTILE = 'a"b\\c|d;e\nf, date:2020-01-01  g\\'


def books_of(minor: int, currency: str, text: str) -> list[Opened | Batch | Closed]:
    issuer, card = AccountId("issuer", currency), AccountId("card:c", currency)
    postings = (Posting(2, issuer, Money(-minor, currency)), Posting(3, card, Money(minor, currency)))
    batch = Batch(1, START, text, text, text, text, postings)
    closed = Closed("issuer.example", 3, bytes(32), START, {issuer: -minor, card: minor})
    return [Opened(START, issuer), Opened(START, card), batch, closed]


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD", "CLF"])
@pytest.mark.parametrize("minor", [0, 1, BALANCE_MINOR_MAX], ids=["zero", "one", "the largest"])
def test_both_programs_take_any_amount_and_any_text(tmp_path: Path, minor: int, currency: str) -> None:
    books = books_of(minor, currency, HOSTILE)
    for name, render, check in (("j", hledger_text, check_with_hledger), ("b", beancount_text, bean_check)):
        (tmp_path / name).write_text("".join(render(books)))
        checked = check(tmp_path / name)
        assert (checked.returncode, checked.stderr) == (0, "")


# --- entries that are signed, and wrong ----------------------------------------------------------------------------

Cheat: TypeAlias = Callable[[CheatingIssuer], object]


def batch(issuer: CheatingIssuer) -> list[JournalLine]:
    """A load of one euro is written; its lines are left to the cheat."""
    load = Load("new", "c1", eur(1_00))
    return lines_of(load, issuer.write(load))


def first_line_twice(issuer: CheatingIssuer) -> None:
    first, _ = batch(issuer)
    issuer.write_all(first, first)


def last_line_twice(issuer: CheatingIssuer) -> None:
    first, last = batch(issuer)
    issuer.write_all(first, last, last)


def line_of_another_batch(issuer: CheatingIssuer) -> None:
    first, _ = batch(issuer)
    issuer.write(replace(first, batch=first.batch - 1))


def other_number_of_lines(issuer: CheatingIssuer) -> None:
    first, last = batch(issuer)
    issuer.write_all(first, replace(last, lines=3))


def line_missing(issuer: CheatingIssuer) -> None:
    first, _ = batch(issuer)
    issuer.write_all(first, Load("next", "c1", eur(1_00)))


def line_missing_at_the_end(issuer: CheatingIssuer) -> None:
    issuer.write(batch(issuer)[0])


def batch_that_does_not_balance(issuer: CheatingIssuer) -> None:
    first, last = batch(issuer)
    issuer.write_all(first, replace(last, amount=eur(1_01)))


def account_opened_twice(issuer: CheatingIssuer) -> None:
    account = issuer.state("card:c1")
    issuer.write(Opening(account.account), effect=Effect(account))


def account_never_opened(issuer: CheatingIssuer) -> None:
    first, _ = batch(issuer)
    state = replace(issuer.state("card:c1"), account=AccountId("card:c7", "EUR"))
    issuer.write(replace(first, owner="card:c7"), effect=Effect(state))


def signed_balance_that_is_none(issuer: CheatingIssuer) -> None:
    first, _ = batch(issuer)
    issuer.write(first, effect=Effect(issuer.state("issuer")))


def no_signed_balance(issuer: CheatingIssuer) -> None:
    first, _ = batch(issuer)
    issuer.write(first, effect=Effect())


def time_that_goes_back(issuer: CheatingIssuer) -> None:
    issuer.write(Load("new", "c1", eur(1_00)), place={"time": START - 1})


@pytest.mark.parametrize(
    ("cheat", "reason"),
    [
        pytest.param(first_line_twice, "does not follow its transaction", id="a line twice"),
        pytest.param(last_line_twice, "does not follow its transaction", id="a line too many"),
        pytest.param(line_of_another_batch, "does not follow its transaction", id="a line of another batch"),
        pytest.param(other_number_of_lines, "lines: is not what the line before says", id="two numbers of lines"),
        pytest.param(line_missing, "1 of its 2 journal lines are missing", id="a line missing"),
        pytest.param(line_missing_at_the_end, "1 of its 2 journal lines are", id="a line missing at the end"),
        pytest.param(batch_that_does_not_balance, "batch: does not sum to zero in EUR", id="an unbalanced batch"),
        pytest.param(account_opened_twice, "account: is open already", id="an account opened twice"),
        pytest.param(account_never_opened, "account: is not open", id="an account never opened"),
        pytest.param(signed_balance_that_is_none, "state: is not what the journal", id="a signed balance of nothing"),
        pytest.param(no_signed_balance, "state: is not what the journal lines sum up to", id="no signed balance"),
        pytest.param(time_that_goes_back, "time: is before that of the entry before it", id="time that goes back"),
    ],
)
def test_what_does_not_add_up_is_refused_where_the_audit_finds_it(
    copy: Copy, sample: Sample, cheat: Cheat, reason: str
) -> None:
    with copy.edited() as connection:
        issuer = CheatingIssuer(connection, sample)
        cheat(issuer)
    with pytest.raises(Invalid, match=re.escape(reason)) as refused:
        list(read_books(copy.path, busy_timeout_ms=0))
    assert refused.value.field in {f"entry {seq}" for seq, _ in found(copy.audit())}
    assert_audits(sample.path, sample.trust)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("UPDATE parts SET body = x'00' WHERE seq = 9", "entry 9: body: does not have", id="a body edited"),
        pytest.param("UPDATE parts SET state = body WHERE seq = 9", "entry 9: state: does not", id="a state edited"),
        pytest.param("UPDATE parts SET state = NULL WHERE seq = 9", "entry 9: state: is missing", id="a state gone"),
        pytest.param("DELETE FROM parts WHERE seq = 9", "entry 9: body: is missing", id="parts gone"),
        pytest.param("DELETE FROM entries WHERE seq = 9", "entry 10: prev: does not follow", id="an entry gone"),
        pytest.param("DELETE FROM entries WHERE seq = 0", "entry 1: prev: does not follow", id="genesis gone"),
        pytest.param("UPDATE entries SET note = x'00' WHERE seq = 9", "entry 9: entry: ", id="an entry no note"),
        pytest.param("DELETE FROM entries", "database: has no entry", id="no entry at all"),
    ],
)
def test_what_was_edited_is_refused_and_its_seq_named(copy: Copy, statement: str, reason: str) -> None:
    with copy.edited() as connection:
        connection.execute(statement)
    with pytest.raises(Invalid, match=re.escape(reason)):
        list(read_books(copy.path, busy_timeout_ms=0))
    assert not copy.audit().ok


def test_an_entry_of_another_kind_than_its_body_is_refused(copy: Copy) -> None:
    with copy.edited() as connection:
        newest = (
            "SELECT e.seq, e.note FROM entries AS e JOIN transactions AS t ON t.seq = e.seq ORDER BY e.seq DESC LIMIT 1"
        )
        seq, note = connection.execute(newest).fetchone()
        signed = decode_entry(note)
        text = encode_entry_text(replace(signed.entry, kind="journal"))
        other = encode_entry_note(text, signed.entry.origin, signed.key_id, signed.signature)
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (other, seq))
    with pytest.raises(Invalid, match=f"entry {seq}: kind: of the body is transaction, of its entry journal"):
        list(read_books(copy.path, busy_timeout_ms=0))
    assert not copy.audit().ok


def test_it_tells_how_far_it_is(sample: Sample) -> None:
    told: list[tuple[int, int]] = []
    *_, closed = read_books(sample.path, busy_timeout_ms=0, progress=lambda done, total: told.append((done, total)))
    assert isinstance(closed, Closed)
    assert told == [(closed.seq + 1, closed.seq + 1)]
    assert_audits(sample.path, sample.trust)


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_that_fails_half_way_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="bytes-like"), whole_file(tmp_path / "books") as file:
        file.writelines([b"half", "not bytes"])  # type: ignore[list-item]
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "books"
    with pytest.raises(FileExistsError), whole_file(path):
        path.write_bytes(b"another's")
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == b"another's"
    with whole_file(path, replace=True) as file:
        file.write(b"ours")
    assert path.read_bytes() == b"ours"
