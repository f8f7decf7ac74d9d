"""Signed reads, for operators and auditors. What is read is shown as it stands in the store.

No signature is verified here but the reader's own: each answer names the entries that prove it, and
`GET /entries/{seq}` gives their bytes. The writer verifies what decides, `signed-ledger verify` verifies all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from aiohttp import web

from signed_ledger.api.answers import json_answer, json_bytes
from signed_ledger.api.incoming import as_signed, check_length
from signed_ledger.api.query import (
    read_currency,
    read_cursor,
    read_limit,
    read_moment,
    read_name,
    read_query,
    read_seq,
    write_cursor,
)
from signed_ledger.api.signatures import READING_ROLES, Signatures
from signed_ledger.api.statements import find_wanted, next_cursor, read_question, view_statement
from signed_ledger.api.views import view_balance, view_entry, view_record, view_transaction
from signed_ledger.config import Settings
from signed_ledger.encoding import decode_body, encode_receipt
from signed_ledger.errors import (
    CardNotFound,
    EntryNotFound,
    IntegrityViolation,
    Invalid,
    Malformed,
    Overloaded,
    RoleNotAllowed,
    TransactionNotFound,
)
from signed_ledger.ledger import Decider
from signed_ledger.publishing import Board, make_receipt
from signed_ledger.records import CardTransaction, Parts, RegisteredKey, Settlement, card
from signed_ledger.store import AtSeq, Balances, FoundTransaction, Reader, StoredEntry, TransactionsWanted
from signed_ledger.telemetry import Metrics

COVERING_SECONDS: Final = 2.0
"""How long a receipt waits for a checkpoint that covers its entry."""

log = structlog.get_logger("signed_ledger.api")


class Reading:
    """The readers' requests. Each is checked in the order: size, signature, role, parameters."""

    def __init__(
        self,
        ledger: Decider,
        reader: Reader,
        board: Board,
        signatures: Signatures,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._board = board
        self._signatures = signatures
        self._body_bytes_max = settings.body_bytes_max
        self._page_rows_max = settings.page_rows_max
        self._metrics = metrics

    async def accounts(self, request: web.Request) -> web.Response:
        query = await self._admit(request, "at")
        card_id, found = await self._balances(request, query)
        if not found.balances:
            raise CardNotFound(f"Card {card_id} has no account at that moment.", field="card_id")
        accounts = [view_balance(balance) for balance in found.balances]
        return json_answer({"card_id": card_id, "at": found.at, "accounts": accounts})

    async def account(self, request: web.Request) -> web.Response:
        query = await self._admit(request, "at")
        currency = read_currency(request.match_info["currency"])
        card_id, found = await self._balances(request, query)
        for balance in found.balances:
            if balance.state.account.currency == currency:
                return json_answer({"card_id": card_id, "at": found.at, **view_balance(balance)})
        raise CardNotFound(f"Card {card_id} has no account in {currency} at that moment.", field="currency")

    async def statement(self, request: web.Request) -> web.Response:
        query = await self._admit(request, "from", "to", "limit", "cursor")
        question = read_question(request.match_info, query)
        rows_max = read_limit(query.get("limit"), self._page_rows_max)
        with self._stored():
            wanted = await find_wanted(self._reader, question)
            found = await self._reader.statement(wanted, rows_max)
            if found is None:
                told = f"Card {question.card_id} has no account in {question.currency} by then."
                raise CardNotFound(told, field="currency")
            return json_answer(view_statement(question.card_id, found, next_cursor(question, found)))

    async def transaction(self, request: web.Request) -> web.Response:
        query = await self._admit(request, "scheme")
        transaction_id = read_name(request.match_info["transaction_id"], "transaction_id")
        with self._stored():
            found = await self._reader.transaction(transaction_id)
            scheme = _choose_scheme(found, query.get("scheme"))
            if scheme is None:
                raise TransactionNotFound(f"No transaction here has id {transaction_id}.", field="transaction_id")
            return json_answer(view_transaction(transaction_id, scheme, found[scheme]))

    async def transactions(self, request: web.Request) -> web.Response:
        query = await self._admit(request, "card_id", "from", "to", "limit", "cursor")
        rows_max = read_limit(query.get("limit"), self._page_rows_max)
        question = [query.get(name, "") for name in ("card_id", "from", "to")]
        wanted = TransactionsWanted(
            card_id=read_name(query["card_id"], "card_id") if "card_id" in query else None,
            start=read_moment(query["from"], "from") if "from" in query else None,
            end=read_moment(query["to"], "to") if "to" in query else None,
            before=read_cursor(query["cursor"], question, 1)[0] if "cursor" in query else None,
        )
        with self._stored():
            rows = await self._reader.transactions(wanted, rows_max + 1)  # one more: is there another page?
            page = [view_record(row) for row in rows[:rows_max]]
        following = write_cursor([page[-1]["seq"]], question) if len(rows) > rows_max else None
        return json_answer({"transactions": page, "next_cursor": following})

    async def entry(self, request: web.Request) -> web.Response:
        await self._admit(request)
        seq = read_seq(request.match_info["seq"], "seq")
        with self._stored():
            stored = await self._find(seq)
            return json_answer(view_entry(stored, self._ledger.keyring, await self._reader.erased(stored)))

    async def receipt(self, request: web.Request) -> web.Response:
        """What proves an entry. A Scheme gets those of its own transactions; the balances are not its business."""
        check_length(request, self._body_bytes_max)
        signed = as_signed(request, b"")
        caller = await self._signatures.verify_caller(signed)
        read_query(signed.query, ())
        seq = read_seq(request.match_info["seq"], "seq")
        with self._stored():
            stored = await self._find(seq)
            shown = _shown_to(caller, stored)
            published = await self._board.covering(seq, COVERING_SECONDS)
            if published is None:
                raise Overloaded(f"No checkpoint covers entry {seq} yet: ask again in a second.")
            await self._signatures.catch_up()  # the checkpoint may be under a key that another process rotated to
            receipt = await make_receipt(self._reader, self._ledger.keyring, stored, published, shown)
            return json_bytes(encode_receipt(receipt))

    async def _find(self, seq: int) -> StoredEntry:
        stored = await self._reader.entry(seq)
        if stored.note is None and seq > await self._reader.head():
            raise EntryNotFound(f"The ledger has no entry {seq}.", field="seq")
        return stored

    async def _admit(self, request: web.Request, *parameters: str) -> dict[str, str]:
        """Give the query of a request that a reader signed. A body is not read, and so not answered for."""
        check_length(request, self._body_bytes_max)
        signed = as_signed(request, b"")
        await self._signatures.verify_read(signed)
        return read_query(signed.query, parameters)

    async def _balances(self, request: web.Request, query: dict[str, str]) -> tuple[str, Balances]:
        card_id = read_name(request.match_info["card_id"], "card_id")
        moment = read_moment(query["at"], "at") if "at" in query else None
        with self._stored():
            found = await self._reader.balances(card(card_id), moment)
        if isinstance(moment, AtSeq) and moment.seq > found.at:
            raise EntryNotFound(f"The ledger has no entry {moment.seq} yet; its newest is {found.at}.", field="at")
        return card_id, found

    @contextmanager
    def _stored(self) -> Iterator[None]:
        """Stored bytes that can not be read are not the caller's fault, and are the operator's to know."""
        try:
            yield
        except Invalid as error:
            self._metrics.integrity_alarms.inc()
            log.error("integrity_violation", reason=str(error))
            raise IntegrityViolation("What is stored about this can not be read; the operator is alarmed.") from error


def _shown_to(caller: RegisteredKey, stored: StoredEntry) -> tuple[str, ...]:
    """The names of the parts that a caller may see of this entry. Raises `RoleNotAllowed` where it is not his."""
    if caller.role in READING_ROLES:
        return Parts._fields
    if stored.parts.body is None:
        told = f"Nothing of entry {stored.seq} says any more whose it is: its receipt is for operators and auditors."
        raise RoleNotAllowed(told, field="signature-input")
    body = decode_body(stored.parts.body).body
    if not isinstance(body, CardTransaction | Settlement) or body.scheme != caller.whose:
        told = (
            f"A Scheme's key gets receipts of its own transactions, and entry {stored.seq} is none of {caller.whose}'s."
        )
        raise RoleNotAllowed(told, field="signature-input")
    return ("body", "evidence")


def _choose_scheme(found: dict[str, FoundTransaction], asked: str | None) -> str | None:
    """The Scheme whose transaction is meant; `None` where there is none. Loads are under the empty name."""
    if asked is not None:
        return asked if asked in found else None
    if len(found) > 1:
        names = ", ".join(name or "(the Issuer's loads: scheme=)" for name in sorted(found))
        raise Malformed(f"More than one use this transaction id: say which by scheme=NAME: {names}.", field="scheme")
    return next(iter(found), None)
