#!/usr/bin/env python3
"""Makes a demo ledger with all it needs, where there is none, and serves it: what `make run` calls.

PORT moves it from port 8080; DEMO_DIR keeps everything in another folder. `make demo` is the other side.
"""

import argparse
import asyncio
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from signed_ledger.cli import main
from signed_ledger.cli.card_commands import bind_once
from signed_ledger.cli.founding import create, refuse_where_something_is
from signed_ledger.cli.outcome import exit_status
from signed_ledger.cli.output import print_facts
from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.cli.reading import read_balances
from signed_ledger.cli.registering import registrar
from signed_ledger.config import PREFIX, Settings, read_settings
from signed_ledger.errors import Invalid
from signed_ledger.money import Money
from signed_ledger.records import Load
from signed_ledger.signing import encode_public_pem, kid_of, read_private_key, write_private_key

PROJECT = Path(__file__).resolve().parent.parent
ORIGIN = "localhost/demo"
CARD_ID = "demo-card"
FIRST_LOAD = Money(1000_00, "EUR")
PARTIES = {"scheme": "demo-scheme", "operator": "demo-operator"}


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo has its things. `parties` holds the private keys of those whom the Issuer deals with."""

    folder: Path
    parties: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """The settings under which the commands, too, find the demo's ledger."""
        places = {"DATABASE": self.folder / "ledger.db", "KEYS": self.folder / "keys"}
        settings = {**places, "ORIGIN": ORIGIN, "PORT": self.port}
        return {f"{PREFIX}{name}": str(value) for name, value in settings.items()}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def private_file(self, role: str) -> Path:
        return self.parties / f"{role}.pem"


def find_demo(environment: Mapping[str, str]) -> Demo:
    """Read DEMO_DIR and PORT; raises `Invalid` naming the one that is wrong."""
    folder = environment.get("DEMO_DIR")
    port = environment.get("PORT") or "8080"
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise Invalid("PORT", f"must be a whole number from 1 to 65535 (it is {port!r})")
    if folder:
        return Demo(Path(folder), Path(folder) / "keys" / "demo", int(port))
    return Demo(PROJECT / ".demo", PROJECT / "keys" / "demo", int(port))


def refuse_taken_port(demo: Demo) -> None:
    try:
        socket.create_server(("127.0.0.1", demo.port)).close()
    except OSError:
        raise Invalid(
            "PORT",
            f"{demo.port} is taken. If that is `make run` in another terminal, go on with `make demo`; if not, take "
            f"another port: make run PORT={demo.port + 1}",
        ) from None


def admin_port() -> int:
    """The usual port of /metrics, or any where that one is taken: a demo shall not fail for it."""
    usual = Settings().admin_port
    try:
        socket.create_server(("127.0.0.1", usual)).close()
    except OSError:
        return 0
    return usual


def prepare(demo: Demo, settings: Settings) -> None:
    """Make what is not there yet: ledger, keys, parties, a funded card. Broken off, it goes on the next time."""
    if not settings.database.exists():
        refuse_where_something_is(settings)
        create(settings, ORIGIN, None)
    public_keys = {role: make_key_pair(demo.private_file(role)) for role in PARTIES}
    asyncio.run(register_and_load(settings, public_keys))


def make_key_pair(private_file: Path) -> bytes:
    """Give the public key of a party's key pair; both files are made where they are not there."""
    private_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not private_file.exists():
        write_private_key(private_file, os.urandom(32), None)
    public_key = read_private_key(private_file, lambda: None).public_key
    private_file.with_suffix(".pub.pem").write_bytes(encode_public_pem(public_key))
    return public_key


async def register_and_load(settings: Settings, public_keys: Mapping[str, bytes]) -> None:
    funded = (await read_balances(settings, CARD_ID, None)).balances
    async with registrar(settings, Passphrases(None)) as changes:
        for role, public_key in public_keys.items():
            if changes.keyring.find(kid_of(public_key)) is None:
                await changes.add(role, PARTIES[role], public_key)
        await bind_once(changes.ledger, settings, CARD_ID, PARTIES["scheme"])
        if not funded:
            await changes.ledger.submit(Load("demo-first-load", CARD_ID, FIRST_LOAD))


def tell(demo: Demo) -> None:
    ledger = shown(demo.folder / "ledger.db")
    again = "" if demo.port == 8080 else f" PORT={demo.port}"
    again += "" if demo.folder == PROJECT / ".demo" else f" DEMO_DIR={shlex.quote(str(demo.folder))}"
    print_facts(
        [
            ("The demo's ledger", ledger),
            ("The Issuer's keys", f"{shown(demo.folder / 'keys')}, the root key too: in earnest it belongs offline"),
            (
                "The Scheme's key pair",
                f"{shown(demo.private_file('scheme'))}, beside it a reader's",
            ),
            ("The card", f"{CARD_ID}, {PARTIES['scheme']}'s, given {FIRST_LOAD} at first"),
        ]
    )
    print(f"\nServing on {demo.url} until Ctrl-C. In a second terminal:\n")
    commands = [
        (f"  make demo{again}", "the life of a purchase, its proof, and an edited copy"),
        (f"  {demo.url}/docs", "the interface, in a browser"),
        (f"  {PREFIX}DATABASE={ledger} .venv/bin/signed-ledger transactions {CARD_ID}", "the record"),
    ]
    print_facts(commands)
    print(flush=True)


def shown(path: Path) -> str:
    """As the reader in the project's folder would write it."""
    return str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Any other argument is handed on to serve.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    _, handed_on = parser.parse_known_args()
    demo = find_demo(os.environ)
    refuse_taken_port(demo)
    os.environ.update(demo.environment)
    os.environ.setdefault(f"{PREFIX}ADMIN_PORT", str(admin_port()))
    settings = read_settings(os.environ)
    if not settings.database.exists():
        print("Making a ledger, its keys, a Scheme and a card for the demo.\n", flush=True)
    prepare(demo, settings)
    tell(demo)
    return main(["serve", *handed_on])


if __name__ == "__main__":
    sys.exit(exit_status(run))
