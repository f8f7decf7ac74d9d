#!/usr/bin/env python3
"""Acts as the Scheme against a running `make run`: what `make demo` calls.

The life of a purchase, with balances: authorised, incremented, cleared in two parts, refunded; a retry, a decline; the
receipt of the first decision checked, and a changed one refused; the ledger proved; then one byte of a copy
changed, and the proof naming the entry. Exit status 0 only if all went as told.
"""

import argparse
import http.client
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.run_demo import CARD_ID, PROJECT, Demo, find_demo
from scripts.send_webhook import Unaskable, load_key, sign_request
from signed_ledger.errors import Invalid

ENOUGH = Decimal("100.00")
PURCHASE = {
    "card_id": CARD_ID,
    "merchant_name": "Corner Books, New York",
    "merchant_country": "US",
    "merchant_mcc": "5942",
    "billing_amount": "40.00",
    "billing_currency": "EUR",
    "transaction_amount": "43.20",
    "transaction_currency": "USD",
}
BEYOND_ITS_MEANS = {"billing_amount": "1000000.00", "transaction_amount": "1080000.00"}


@dataclass(frozen=True, slots=True)
class Step:
    """A message after the authorisation, and by how much it changes what is posted and held."""

    title: str
    path: str
    fields: dict[str, Any]
    status: int
    posted: str
    held: str


def euros(billed: str) -> dict[str, str]:
    return {"billing_amount": billed, "billing_currency": "EUR"}


def dollars(settled: str) -> dict[str, str]:
    return {"settlement_amount": settled, "settlement_currency": "USD"}


LIFE = (
    Step("It asks for 10.00 EUR more: express delivery", "/increment", euros("10.00"), 201, "0", "10.00"),
    Step(
        "The Scheme presents a part: 20.00 EUR, settled as 21.60 USD, all stored signatures verified again",
        "/presentment",
        {**euros("20.00"), **dollars("21.60"), "presentment_id": "part-1", "final": False},
        200,
        "-20.00",
        "-20.00",
    ),
    Step(
        "And the rest, settled as 32.40 USD: moved, nothing held any more",
        "/presentment",
        {**dollars("32.40"), "presentment_id": "part-2"},
        200,
        "-30.00",
        "-30.00",
    ),
    Step("The merchant gives 5.00 EUR back", "/refund", {**euros("5.00"), **dollars("5.40")}, 200, "5.00", "0"),
)


class NotAsTold(Exception):
    """Something went otherwise than the demo says."""


class CannotAsk(Exception):
    """There is nothing to show the demo with: no server, or another's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    replayed: bool
    document: dict[str, Any]
    raw: bytes


class Caller:
    """A party with its key: the Scheme, or an operator."""

    def __init__(self, demo: Demo, role: str) -> None:
        self._demo = demo
        try:
            self._key = load_key(demo.private_file(role), None)
        except Unaskable as error:
            hint = "start the demo's server first: make run; with its DEMO_DIR, if it has one"
            raise CannotAsk(f"{error}; {hint}") from None

    def send(self, path: str, webhook_id: str, fields: dict[str, Any]) -> Answer:
        body = json.dumps(fields).encode()
        headers = sign_request(self._key, "POST", self._demo.url + path, body, webhook_id)
        return self._ask("POST", path, body, headers)

    def read(self, path: str) -> dict[str, Any]:
        return self.fetch(path).document

    def fetch(self, path: str) -> Answer:
        answer = self._ask("GET", path, None, sign_request(self._key, "GET", self._demo.url + path, None))
        if answer.status != 200:
            raise CannotAsk(
                f"{self._demo.url} is not the demo's server: {answer.document.get('detail', answer.status)}"
            )
        return answer

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._demo.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            replayed = response.getheader("Idempotent-Replayed") == "true"
            raw = response.read()
            return Answer(response.status, replayed, json.loads(raw), raw)
        except ValueError:
            raise CannotAsk(f"{self._demo.url} is not the demo's server: it does not speak JSON") from None
        except (OSError, http.client.HTTPException):
            raise CannotAsk(f"no server answers on {self._demo.url}; start it in another terminal: make run") from None
        finally:
            connection.close()


def expect(went_so: bool, what: str) -> None:
    if not went_so:
        raise NotAsTold(what)


def section(title: str) -> None:
    print(f"\n--- {title}\n")


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


# --- the card ------------------------------------------------------------------------------------------------------


def show_balance(operator: Caller) -> dict[str, Any]:
    account = operator.read(f"/accounts/{CARD_ID}/EUR")
    print(f"{CARD_ID}: posted {account['posted']}, held {account['held']}, available {account['available']} EUR")
    return account


def command(demo: Demo, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `signed-ledger` on the demo's ledger."""
    environment = {**os.environ, **demo.environment, "PYTHONPATH": str(PROJECT)}
    words = [sys.executable, "-m", "signed_ledger", *arguments]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def top_up(demo: Demo, operator: Caller, available: str) -> None:
    if Decimal(available) >= ENOUGH:
        return
    print("It is running low, so the Issuer loads 1000.00 EUR while the server goes on.")
    loaded = command(demo, "load-money", CARD_ID, "1000.00", "EUR")
    expect(loaded.returncode == 0, f"the load is recorded: {loaded.stderr}")
    show_balance(operator)


# --- the purchase --------------------------------------------------------------------------------------------------


def authorise(scheme: Caller, transaction_id: str) -> Answer:
    webhook_id, asked = f"{transaction_id}-a", {"transaction_id": transaction_id, **PURCHASE}
    answer = scheme.send("/authorisation", webhook_id, asked)
    show_answer(answer)
    expect(answer.status == 201, "an authorisation within the available amount is approved with 201")
    section("The same webhook again, as after a lost answer: the same answer, nothing decided twice")
    again = scheme.send("/authorisation", webhook_id, asked)
    print(f"{again.status}, Idempotent-Replayed: {str(again.replayed).lower()}, seq {again.document['seq']} as before")
    expect(again.replayed and again.document == answer.document, "a retry gets the very same answer")
    return answer


def outcome(answer: Answer) -> str:
    document = answer.document
    return f"{answer.status}: {document.get('decision')}, {document.get('reason') or document.get('detail')}"


def show_answer(answer: Answer) -> None:
    document = answer.document
    print(outcome(answer))
    if "entry" in document:
        print(f"The Issuer's signed entry {document['seq']}, which the Scheme keeps:\n\n{indented(document['entry'])}")


def buy(operator: Caller, scheme: Caller, transaction_id: str, before: dict[str, Any]) -> int:
    """Play a purchase from its authorisation to its refund; give the seq of the authorisation's entry."""
    section("The Scheme asks: 40.00 EUR for a book of 43.20 USD")
    authorised = authorise(scheme, transaction_id)
    section("After the authorisation: held, not yet moved")
    balance = show_balance(operator)
    expect(moved(before, balance, "held") == Decimal("40.00"), "the hold is 40.00 EUR")
    for number, step in enumerate(LIFE, 1):
        balance = take(operator, scheme, step, transaction_id, number, balance)
    show_totals(operator, transaction_id)
    decline(scheme, transaction_id)
    return int(authorised.document["seq"])


def take(
    operator: Caller, scheme: Caller, step: Step, transaction_id: str, number: int, before: dict[str, Any]
) -> dict[str, Any]:
    """Send one message of the life; give the balance after it."""
    section(step.title)
    sent = {"transaction_id": transaction_id, **step.fields}
    answer = scheme.send(step.path, f"{transaction_id}-{number}", sent)
    seq = f", entry {answer.document['seq']}" if "seq" in answer.document else ""
    print(f"{outcome(answer)}{seq}")
    expect(answer.status == step.status, f"POST {step.path} is answered with {step.status}")
    after = show_balance(operator)
    for name, change in (("posted", step.posted), ("held", step.held)):
        expect(moved(before, after, name) == Decimal(change), f"{name} changes by {change} EUR")
    return after


def show_totals(operator: Caller, transaction_id: str) -> None:
    section("What became of it, and every entry about it is there to be read")
    told = operator.read(f"/transactions/{transaction_id}")
    totals = ", ".join(
        f"{name} {told['totals'][name]}" for name in ("authorised", "incremented", "cleared", "refunded")
    )
    print(f"{told['status']}: {totals} EUR, {len(told['entries'])} entries")
    expect(told["status"] == "CLEARED", "the transaction is cleared")


def decline(scheme: Caller, transaction_id: str) -> None:
    section("The Scheme asks for more than there is: declined, and the decline is signed, too")
    asked = {"transaction_id": f"{transaction_id}-2", **PURCHASE, **BEYOND_ITS_MEANS}
    declined = scheme.send("/authorisation", f"{transaction_id}-d", asked)
    show_answer(declined)
    expect(declined.status == 403 and declined.document["reason"] == "insufficient_funds", "it is declined with 403")


def moved(before: dict[str, Any], after: dict[str, Any], name: str) -> Decimal:
    return Decimal(after[name]) - Decimal(before[name])


# --- the proof -----------------------------------------------------------------------------------------------------


def show_receipt(demo: Demo, scheme: Caller, seq: int) -> None:
    """The Scheme's own proof, which needs neither the ledger nor us; and the same with one amount changed."""
    section(f"The Scheme fetches the receipt of entry {seq} and checks it, with no ledger and no network")
    receipt = scheme.fetch(f"/receipts/{seq}").raw
    print(indented(shortened(json.loads(receipt))))
    checked = check(demo, receipt)
    print(f"signed-ledger check-receipt:\n\n{indented(checked.stdout)}", end="")
    expect(checked.returncode == 0, f"the receipt proves the entry: {checked.stderr}")
    section("Somebody makes 4.00 EUR of the 40.00 in the receipt")
    forged = check(demo, receipt.replace(b"40.00", b"4.00", 1))
    print(indented(forged.stdout), end="")
    expect(forged.returncode == 1, "the changed receipt proves nothing, with exit status 1")


def check(demo: Demo, receipt: bytes) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="signed-ledger-demo-") as folder:
        file = Path(folder) / "receipt.json"
        file.write_bytes(receipt)
        return command(demo, "check-receipt", str(file), "--trust", str(demo.folder / "keys" / "trust.json"))


def shortened(receipt: dict[str, Any]) -> str:
    """A receipt for people: it is one line of JSON, and its texts are long."""
    lines = []
    for name in ("entry", "proof"):
        lines += [f"{name}:", indented(receipt[name]).rstrip()]
    sizes = ", ".join(f"{name} {len(text.encode())} bytes" for name, text in sorted(receipt["parts"].items()))
    return "\n".join([*lines, f"parts: {sizes}", f"keys: {len(receipt['keys'])}, with the root's approval"])


def prove(demo: Demo) -> None:
    section("Anyone verifies the ledger, from its file and the root's public key, while it is served")
    verified = command(demo, "verify")
    print(indented(verified.stdout), end="")
    expect(verified.returncode == 0, f"the ledger verifies: {verified.stderr}")


def tamper(demo: Demo, seq: int) -> None:
    section(f"Somebody edits one byte of entry {seq} in a copy of the ledger")
    with tempfile.TemporaryDirectory(prefix="signed-ledger-demo-") as folder:
        copy = Path(folder) / "ledger.db"
        copy_ledger(demo.folder / "ledger.db", copy)
        change_one_byte(copy, seq)
        prove_tampered(demo, copy, seq)


def prove_tampered(demo: Demo, copy: Path, seq: int) -> None:
    """The edited copy does not verify, against the very trust file of the original."""
    trust = str(demo.folder / "keys" / "trust.json")
    verified = command(Demo(copy.parent, demo.parties, demo.port), "verify", "--trust", trust, "--json")
    faults = json.loads(verified.stdout)["faults"]
    print(f"signed-ledger verify, exit status {verified.returncode}:\n")
    print("".join(f"    entry {fault['seq']}, step {fault['step']}: {fault['reason']}\n" for fault in faults))
    expect(verified.returncode == 1, "verification of the edited copy says no, with exit status 1")
    expect(any(fault["seq"] == seq for fault in faults), f"verification names entry {seq}")


def copy_ledger(ledger: Path, copy: Path) -> None:
    """Copy one moment of a ledger that is being served, what is in its WAL included."""
    reading = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)
    with closing(reading) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def change_one_byte(ledger: Path, seq: int) -> None:
    """Make the entry a second younger or older, past the triggers, as one could who has the file."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER entries_no_update")
        (note,) = connection.execute("SELECT note FROM entries WHERE seq = ?", (seq,)).fetchone()
        place = note.index(b"T") + len("T00:00:0")
        edited = note[:place] + (b"1" if note[place : place + 1] == b"0" else b"0") + note[place + 1 :]
        connection.execute("UPDATE entries SET note = ? WHERE seq = ?", (edited, seq))
    print(f"    was  {line_at(note, place)}\n    is   {line_at(edited, place)}\n")


def line_at(note: bytes, place: int) -> str:
    return note[note.rindex(b"\n", 0, place) + 1 : note.index(b"\n", place)].decode()


def run(demo: Demo) -> None:
    scheme, operator = Caller(demo, "scheme"), Caller(demo, "operator")
    section("Before")
    before = show_balance(operator)
    top_up(demo, operator, before["available"])
    before = operator.read(f"/accounts/{CARD_ID}/EUR")
    seq = buy(operator, scheme, f"demo-{secrets.token_hex(6)}", before)
    show_receipt(demo, scheme, seq)
    prove(demo)
    tamper(demo, seq)
    print("All went as told.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    try:
        run(find_demo(os.environ))
    except NotAsTold as error:
        print(f"\ndemo: this did not go as told: {error}", file=sys.stderr)
        return 1
    except (CannotAsk, Invalid) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
