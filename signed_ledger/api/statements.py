"""An account's statement: what is asked for, and the one document that HTTP and the command line tell."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from signed_ledger.api.query import read_currency, read_cursor, read_moment, read_name, write_cursor
from signed_ledger.api.views import view_balance, view_record
from signed_ledger.errors import Invalid, Malformed
from signed_ledger.money import format_minor
from signed_ledger.records import AccountId, State, card
from signed_ledger.store import Balance, Moment, Movement, Reader, Span, Statement, StatementWanted


class StatementQuestion(NamedTuple):
    """A card's account, from one moment up to, not including, another; `cursor` is not read yet."""

    card_id: str
    currency: str
    start: Moment | None
    end: Moment | None
    cursor: str | None
    texts: tuple[str, ...]

    @property
    def account(self) -> AccountId:
        return AccountId(card(self.card_id), self.currency)


def read_question(path: Mapping[str, str], query: Mapping[str, str]) -> StatementQuestion:
    """Read what a request asks for; raise `Malformed` naming the first parameter that is not understood."""
    return StatementQuestion(
        read_name(path["card_id"], "card_id"),
        read_currency(path["currency"]),
        read_moment(query["from"], "from") if "from" in query else None,
        read_moment(query["to"], "to") if "to" in query else None,
        query.get("cursor"),
        (path["card_id"], path["currency"], query.get("from", ""), query.get("to", "")),
    )


async def find_wanted(reader: Reader, question: StatementQuestion) -> StatementWanted:
    """Where the page that is asked for begins. A cursor keeps to the span that the first page was of."""
    if question.cursor is None:
        span = await reader.span(question.start, question.end)
        return StatementWanted(question.account, in_order(span, question.start, question.end))
    first, end, after = read_cursor(question.cursor, question.texts, 3)
    return StatementWanted(question.account, Span(first, end), after)


def in_order(span: Span, start: Moment | None, end: Moment | None) -> Span:
    """Give back what was found between two moments; raise `Malformed` where the first is after the second."""
    if span.first > span.end or _is_after(start, end):
        raise Malformed("from must not be after to.", field="from")
    return span


def _is_after(start: Moment | None, end: Moment | None) -> bool:
    """Whether that can be told without looking into the ledger: no entry need lie between two times."""
    return start is not None and end is not None and type(start) is type(end) and start > end


def next_cursor(question: StatementQuestion, statement: Statement) -> str | None:
    following = statement.following
    return None if following is None else write_cursor([*following.span, following.after], question.texts)


def view_statement(card_id: str, statement: Statement, cursor: str | None = None) -> dict[str, Any]:
    """The document. Raises `Invalid` where the amounts do not lead from the opening balance to the closing one."""
    _check_adds_up(statement)
    currency = statement.wanted.account.currency
    return {
        "card_id": card_id,
        "currency": currency,
        "from": statement.wanted.span.first,
        "to": statement.wanted.span.end,
        "opening": _view_opening(statement),
        "movements": [_view_movement(movement) for movement in statement.movements],
        "closing": _view_amounts(statement.closing),
        "next_cursor": cursor,
        **({} if statement.erased is None else {"erased_to": statement.erased.seq}),
    }


def _check_adds_up(statement: Statement) -> None:
    posted = 0 if statement.opening is None else statement.opening.state.posted
    for movement in statement.movements:
        if movement.line.account != statement.wanted.account:
            raise Invalid("account", f"of entry {movement.entry.seq} is another one")
        posted += movement.line.amount.minor
        _check_posted(movement.balance, posted)
    _check_posted(statement.closing, posted)


def _check_posted(balance: Balance, posted: int) -> None:
    if balance.state.posted != posted:
        raise Invalid("account_states", f"at seq {balance.seq} is not what stood before with what moved since")


def _view_opening(statement: Statement) -> dict[str, Any]:
    if statement.opening is not None:
        return _view_amounts(statement.opening)
    return {**_view_amounts(Balance(State(statement.wanted.account, 0, 0), 0)), "seq": None}


def _view_amounts(balance: Balance) -> dict[str, Any]:
    view = view_balance(balance)
    del view["currency"]
    return view


def _view_movement(movement: Movement) -> dict[str, Any]:
    entry, cause = view_record(movement.entry), view_record(movement.cause)
    named = view_record(movement.basis[-1]) if movement.basis else cause
    if "transaction_id" not in cause:
        raise Invalid("batch", f"of entry {entry['seq']} was not caused by a transaction")
    return {
        "seq": entry["seq"],
        "time": entry["time"],
        "batch": entry["batch"],
        "type": cause["type"],
        "transaction_id": cause["transaction_id"],
        **({"merchant_name": named["merchant_name"]} if "merchant_name" in named else {}),
        "amount": entry["amount"],
        "balance": format_minor(movement.balance.state.posted, movement.line.amount.currency),
    }
