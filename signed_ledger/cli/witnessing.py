"""`witness`: a witness of other people's logs, which needs no ledger. Its settings are options."""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from signed_ledger.checkpoints import read_vkey, vkey_of
from signed_ledger.cli.arguments import Commands, Parser, add_command, add_group
from signed_ledger.cli.output import print_facts, print_json
from signed_ledger.cli.passphrases import read_passphrase
from signed_ledger.cli.workers import STOPS
from signed_ledger.config import Settings
from signed_ledger.encoding import COSIGNATURE, ED25519
from signed_ledger.errors import Invalid
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.records import Checkpoint
from signed_ledger.signing import SoftwareSigner, read_private_key, write_private_key
from signed_ledger.telemetry import FORMATS, configure_logging
from signed_ledger.witness import Evidence, FollowedLog, State, Witness, create_state, run_witness

EXAMPLE: Final = """\
signed-ledger witness init --name auditor.example/w1 --database witness.db --key witness.pem
signed-ledger witness add-log --database witness.db --vkey issuer.example/ledger+1a2b3c4d+AU...
signed-ledger witness serve --database witness.db --key witness.pem"""
LOST: Final = (
    "A witness whose database is lost must not begin anew under the same key: make another one, with another name."
)


def add_commands(commands: Commands) -> None:
    witness = add_group(commands, "witness", "witness other people's logs (C2SP tlog-witness)", example=EXAMPLE)
    _add_init(witness)
    _add_add_log(witness)
    _add_drop_key(witness)
    _add_serve(witness)
    for name, run, about in (
        ("status", show_status, "show the witness, and the newest checkpoint of each log"),
        ("evidence", show_evidence, "show what logs signed that can not be, or was not shown to be, of one history"),
    ):
        parser = add_command(witness, name, run, about, example=f"signed-ledger witness {name} --json", facts=True)
        _add_database(parser)


def _add_init(witness: Commands) -> None:
    example = EXAMPLE.splitlines()[0]
    more = f"The verifier key that it prints is what the Issuer lists in its policy file. {LOST}"
    parser = add_command(witness, "init", init, "make a witness's key and database", more=more, example=example)
    parser.add_argument("--name", required=True, help="the witness's name, such as auditor.example/w1")
    _add_database(parser)
    _add_key(parser)


def _add_add_log(witness: Commands) -> None:
    more = "Works while the witness is being served. A log whose key was rotated is added again, with the new one."
    example = EXAMPLE.splitlines()[1]
    parser = add_command(
        witness, "add-log", add_log, "follow a log, or trust one more key of it", more=more, example=example
    )
    parser.add_argument("--vkey", required=True, help="the log's verifier key; get it by a road that you trust")
    parser.add_argument("--origin", help="the log's origin (default: the name of the key)")
    _add_database(parser)


def _add_drop_key(witness: Commands) -> None:
    more = "For a key that was stolen: who has it could have another history cosigned. Add the new one with add-log."
    example = "signed-ledger witness drop-key --database witness.db --vkey issuer.example/ledger+1a2b3c4d+AU..."
    parser = add_command(witness, "drop-key", drop_key, "trust a key of a log no more", more=more, example=example)
    parser.add_argument("--vkey", required=True, help="the verifier key, as status shows it")
    parser.add_argument("--origin", help="the log's origin (default: the name of the key)")
    _add_database(parser)


def _add_serve(witness: Commands) -> None:
    example = "signed-ledger witness serve --host 0.0.0.0 --port 7380"
    parser = add_command(witness, "serve", serve, "serve the witness until SIGTERM", more=LOST, example=example)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7380, help="the port; 0 takes a free one (default: 7380)")
    parser.add_argument("--log-format", choices=FORMATS, default="auto", help="for people or machines (default: auto)")
    _add_database(parser)
    _add_key(parser)


def _add_database(parser: Parser) -> None:
    path = Path("witness.db")
    parser.add_argument("--database", type=Path, default=path, metavar="FILE", help=f"its state (default: {path})")


def _add_key(parser: Parser) -> None:
    path = Path("witness.pem")
    parser.add_argument("--key", type=Path, default=path, metavar="FILE", help=f"its private key (default: {path})")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="mode 0600; its first line opens the key")


def init(options: argparse.Namespace, settings: Settings) -> int:
    Checkpoint(options.name, 0, EMPTY_ROOT)
    if "+" in options.name:
        raise Invalid("--name", "must be without a plus sign")
    if options.database.exists():
        raise Invalid("--database", f"{options.database} is there already")
    seed = os.urandom(32)
    passphrase = None if options.passphrase_file is None else read_passphrase(options.passphrase_file)
    options.key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private_key(options.key, seed, passphrase)
    vkey = vkey_of(options.name, SoftwareSigner(seed).public_key, COSIGNATURE)
    create_state(options.database, options.name, vkey)
    print(vkey)
    return 0


def add_log(options: argparse.Namespace, settings: Settings) -> int:
    key = read_vkey(options.vkey)
    if key.algorithm != ED25519:
        raise Invalid("--vkey", "is a witness's, not a log's: its algorithm must be 0x01")
    origin = Checkpoint(key.name if options.origin is None else options.origin, 0, EMPTY_ROOT).origin
    with _opened(options.database) as state:
        if read_vkey(state.identity().vkey).public_key == key.public_key:
            raise Invalid("--vkey", "is this witness's own key: it would take its own cosignatures for the log's")
        state.add_log(origin, options.vkey)
    return 0


def drop_key(options: argparse.Namespace, settings: Settings) -> int:
    origin = read_vkey(options.vkey).name if options.origin is None else options.origin
    with _opened(options.database) as state:
        if not state.drop_key(origin, options.vkey):
            raise Invalid("--vkey", f"is not a key that is trusted for {origin}; see signed-ledger witness status")
    return 0


def serve(options: argparse.Namespace, settings: Settings) -> int:
    """Serve; give 0 after SIGTERM."""
    if not 0 <= options.port <= 65535:
        raise Invalid("--port", "must be from 0 to 65535")
    signer = read_private_key(options.key, lambda: _passphrase(options))
    configure_logging("info", options.log_format)
    with _opened(options.database) as state:
        witness = Witness(state, signer, lambda: int(time.time()))
        try:
            asyncio.run(_serve(witness, options.host, options.port))
        except OSError as error:
            raise Invalid("can not listen", f"{error.strerror or error}; see --host and --port") from error
    return 0


def _passphrase(options: argparse.Namespace) -> bytes:
    if options.passphrase_file is None:
        raise Invalid("--passphrase-file", f"must be given: {options.key} is encrypted")
    return read_passphrase(options.passphrase_file)


async def _serve(witness: Witness, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_witness(witness, host, port, stop)


def show_status(options: argparse.Namespace, settings: Settings) -> int:
    """Give 1 where a log is proven to have shown two histories."""
    with _opened(options.database) as state:
        identity, logs = state.identity(), _logs(state)
        evidence = [seen for log in logs for seen in state.evidence(log.origin)]
    shown = [_log_document(log, evidence) for log in logs]
    if options.json:
        print_json(
            {"name": identity.name, "vkey": identity.vkey, "signed_at": _time(identity.signed_at), "logs": shown}
        )
    else:
        signed_at = _time(identity.signed_at) or "never"
        print_facts([("name", identity.name), ("vkey", identity.vkey), ("signed at", signed_at)])
        for document in shown:
            print()
            print_facts([(name.replace("_", " "), _plain(value)) for name, value in document.items()])
    return int(any(seen.is_proof for seen in evidence))


def show_evidence(options: argparse.Namespace, settings: Settings) -> int:
    """Give 1 where a log is proven to have shown two histories."""
    with _opened(options.database) as state:
        evidence = [seen for log in _logs(state) for seen in state.evidence(log.origin)]
    documents = [_evidence_document(seen) for seen in evidence]
    if options.json:
        print_json(documents)
    elif not documents:
        print("no log signed anything that was not shown to continue what it signed before")
    for document in [] if options.json else documents:
        for name, value in document.items():
            print(f"{name.replace('_', ' ')}: {value}" if name not in ("note", "ours") else f"{name}:\n{value}")
    return int(any(seen.is_proof for seen in evidence))


@contextmanager
def _opened(path: Path) -> Iterator[State]:
    state = State(path)
    try:
        yield state
    finally:
        state.close()


def _logs(state: State) -> list[FollowedLog]:
    return [log for log in map(state.find, state.origins()) if log is not None]


def _log_document(log: FollowedLog, evidence: list[Evidence]) -> dict[str, Any]:
    of_log = [seen.is_proof for seen in evidence if seen.origin == log.origin]
    return {
        "origin": log.origin,
        "keys": list(log.vkeys),
        "size": log.size,
        "root": log.root.hex(),
        "cosigned_at": _time(log.cosigned_at),
        "split_views": of_log.count(True),
        "not_consistent": of_log.count(False),
    }


def _evidence_document(seen: Evidence) -> dict[str, Any]:
    return {
        "origin": seen.origin,
        "kind": "split_view" if seen.is_proof else "not_consistent",
        "seen_at": _time(seen.seen_at),
        "reason": seen.reason,
        "note": seen.note.decode(),
        "ours": None if seen.ours is None else seen.ours.decode(),
    }


def _time(seconds: int | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def _plain(value: object) -> object:
    return ", ".join(value) if isinstance(value, list) else "never" if value is None else value
