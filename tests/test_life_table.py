"""Every state and every message, the refused ones too: the table of docs/CARD_RULES.md, read from there, cell by cell.

Each cell is decided twice: by the rules alone, and by the real writer on a real file.
"""

from pathlib import Path
from typing import Any, Final

import pytest

from signed_ledger.errors import AuthorisationNotFound, CardNotFound, Refusal, StateConflict, TransactionExists
from signed_ledger.ledger import Ledger
from signed_ledger.records import MESSAGES, AuthorisationKey, AuthorisationState, Request
from signed_ledger.records.states import STATUSES
from signed_ledger.rules import Asked
from tests.support import assert_audits
from tests.till import Till, eur
from tests.world import DAY, Party, World, authorisation, opened, presentment, state_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "CARD_RULES.md"
BEGIN, END = "<!-- life:begin -->", "<!-- life:end -->"


def read_table() -> dict[tuple[str, str], str]:
    """The cells of the document's table by (state, message)."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    lines = [line for line in text.partition(BEGIN)[2].partition(END)[0].splitlines() if line.startswith("|")]
    head, rule, *rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    assert set("".join(rule)) == {"-"}
    cells = {}
    for state, *row in rows:
        for message, cell in zip(head[1:], row, strict=True):
            assert (state, message) not in cells
            cells[state, message] = cell
    return cells


CELLS: Final = read_table()
every_cell = pytest.mark.parametrize(
    ("state", "message", "cell"), [(*key, cell) for key, cell in CELLS.items()], ids=map(" x ".join, CELLS)
)

# --- how to come to each state, and what each message is: a line for each, so that none of the table is left out -----

Step = tuple[str, dict[str, Any]]
"""A message by type, and its fields as the Scheme writes them; `due` lets the hold's time pass before it."""

POOR: Final[Step] = ("authorisation", authorisation("t", "c1", "5000.00"))
ASK: Final[Step] = ("authorisation", authorisation("t", "c1", "40.00"))


def billed(minor: str) -> dict[str, Any]:
    return {"transaction_id": "t", "billing_amount": minor, "billing_currency": "EUR"}


def clearing(minor: str, **more: Any) -> Step:
    return ("presentment", presentment("t", minor, billing_amount=minor, billing_currency="EUR", **more))


STATES: Final[dict[str, list[Step]]] = {
    "-": [],
    "PENDING": [ASK],
    "PENDING+": [ASK, clearing("10.00", final=False)],
    "DECLINED": [POOR],
    "REVERSED": [ASK, ("reversal", {"transaction_id": "t"})],
    "EXPIRED": [ASK, ("expiry", {"due": True})],
    "CLEARED+": [ASK, clearing("40.00", final=False)],
    "CLEARED": [ASK, clearing("40.00")],
}
MESSAGES_SENT: Final[dict[str, Step]] = {
    "authorisation": ASK,
    "authorisation, declined": POOR,
    "increment": ("increment", billed("5.00")),
    "increment, declined": ("increment", billed("5000.00")),
    "reversal in part": ("reversal", billed("5.00")),
    "reversal in full": ("reversal", {"transaction_id": "t"}),
    "presentment in part": clearing("5.00", final=False),
    "presentment in full": clearing("5.00"),
    "presentment, forced": clearing("5.00", force_post=True, card_id="c1"),
    "refund": ("refund", clearing("5.00")[1]),
    "refund of none": ("refund", {**clearing("5.00")[1], "transaction_id": None, "refund_id": "r", "card_id": "c1"}),
    "expiry, early": ("expiry", {}),
    "expiry": ("expiry", {"due": True}),
}


def test_the_table_has_every_state_and_every_message() -> None:
    assert list(CELLS) == [(state, message) for state in STATES for message in MESSAGES_SENT]
    assert {state.rstrip("+") for state in STATES} == {"-", *STATUSES}
    assert {step[0] for step in MESSAGES_SENT.values()} == set(MESSAGES)


def test_the_table_names_states_that_it_has() -> None:
    assert set(CELLS.values()) <= {*STATES, "404", "409"}


@pytest.mark.parametrize("state", ["DECLINED", "REVERSED"])
def test_what_is_declined_or_reversed_is_over(state: str) -> None:
    own = {cell for (row, message), cell in CELLS.items() if row == state and message != "refund of none"}
    assert own == {"409"}


def stands(state: AuthorisationState | None) -> str:
    """Where a transaction stands, in the table's words."""
    if state is None:
        return "-"
    more_may_come = state.totals is not None and state.totals.clearings > 0 and not state.totals.final
    return state.status + ("+" if more_may_come else "")


def check_refusal(refusal: Refusal, state: str, message: str, cell: str) -> None:
    """The right refusal of its status, naming the state where it is one."""
    assert str(refusal.status) == cell
    if cell == "404":
        assert isinstance(refusal, AuthorisationNotFound)
        assert not isinstance(refusal, CardNotFound)
    elif message.startswith("authorisation"):
        assert isinstance(refusal, TransactionExists)
    else:
        assert isinstance(refusal, StateConflict)
        assert state.rstrip("+") in refusal.detail


# --- the rules alone -------------------------------------------------------------------------------------------------


def do(till: Till, step: Step) -> None:
    kind, fields = step
    if fields.get("due"):
        till.time += 7 * DAY
    request = decoded(kind, fields)
    asked = Asked("visa", None if kind == "expiry" else f"wh-{till.seq}", request)
    till.do(asked._replace(authorised=till.began.get(asked.key)))


def decoded(kind: str, fields: dict[str, Any]) -> Request:
    """Fields as the Scheme writes them, as the rules read them."""
    given = {name: value for name, value in fields.items() if not name.endswith(("_amount", "_currency", "due"))}
    for name in ("billing", "transaction", "settlement"):
        if f"{name}_amount" in fields:
            given[name] = eur(int(fields[f"{name}_amount"].replace(".", "")))
    return Request(kind, **{"transaction_id": "t", **given})


@every_cell
def test_the_rules_decide_as_the_table_says(state: str, message: str, cell: str) -> None:
    till = Till(1_000_00)
    for step in STATES[state]:
        do(till, step)
    key = AuthorisationKey("visa", "t")
    assert stands(till.book.authorisations.get(key)) == state
    if cell in ("404", "409"):
        check_refusal(till.refused(lambda: do(till, MESSAGES_SENT[message])), state, message, cell)
        return
    before = till.book.authorisations.get(key)
    do(till, MESSAGES_SENT[message])
    after = till.book.authorisations.get(key)
    assert stands(after) == cell
    assert (after == before) is (message in ("increment, declined", "refund of none"))
    assert till.balance()[1] == (0 if after is None else after.held)


# --- the writer ------------------------------------------------------------------------------------------------------


class Walk:
    """One ledger on which every cell has a transaction and a card of its own."""

    def __init__(self, world: World, ledger: Ledger, visa: Party) -> None:
        self.world = world
        self.ledger = ledger
        self.visa = visa

    async def send(self, name: str, step: Step) -> None:
        kind, fields = step
        if fields.get("due"):
            self.world.clock.now += 7 * DAY
        own = {key: value for key, value in fields.items() if value is not None}
        own |= {key: f"{key}-{name}" for key in ("transaction_id", "refund_id", "card_id") if key in own}
        if kind == "expiry":
            await self.ledger.submit(Asked("visa", None, Request("expiry", f"transaction_id-{name}")))
        else:
            await self.ledger.submit(self.world.webhook(self.visa, kind, own))

    async def walk(self, name: str, state: str, message: str) -> tuple[str, str]:
        """Where it stood before the message, and its outcome."""
        await self.world.load(self.ledger, f"card_id-{name}", 1_000_00)
        for step in STATES[state]:
            await self.send(name, step)
        before = await state_of(self.world, f"transaction_id-{name}")
        try:
            await self.send(name, MESSAGES_SENT[message])
        except Refusal as refusal:
            check_refusal(refusal, state, message, str(refusal.status))
            assert await state_of(self.world, f"transaction_id-{name}") == before
            return stands(before), str(refusal.status)
        return stands(before), stands(await state_of(self.world, f"transaction_id-{name}"))


async def test_the_writer_decides_as_the_table_says(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        walk = Walk(world, ledger, await world.register(ledger, "scheme", "visa"))
        told = {key: await walk.walk(str(number), *key) for number, key in enumerate(CELLS)}
    assert told == {key: (key[0], cell) for key, cell in CELLS.items()}
    assert_audits(world.path)
