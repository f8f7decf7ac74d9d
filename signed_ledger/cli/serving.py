"""`serve`: everything checked first, then a writer, and those that answer on one port before it."""

import argparse
import os
import socket
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from signed_ledger.api.server import not_listening
from signed_ledger.cli.arguments import Commands, add_command, add_passphrase_file
from signed_ledger.cli.outcome import DONE
from signed_ledger.cli.reading import opened_reader
from signed_ledger.cli.service import Service, run, work
from signed_ledger.cli.term_commands import record_terms
from signed_ledger.cli.terms import read_terms
from signed_ledger.cli.wiring import (
    checkpoint_lock,
    checkpoint_signers,
    entry_signers,
    opened_ledger,
    opened_store,
    passphrases_of,
    trust_file,
    witness_policy,
)
from signed_ledger.cli.workers import supervise
from signed_ledger.config import Settings, describe_settings, variable_of
from signed_ledger.errors import Invalid
from signed_ledger.keyring import Keyring
from signed_ledger.money import MINOR_DIGITS
from signed_ledger.publishing import Publisher
from signed_ledger.records import Terms
from signed_ledger.signing import Signer
from signed_ledger.store import try_disk
from signed_ledger.telemetry import Metrics, configure_logging
from signed_ledger.trust import read_trust

log = structlog.get_logger("signed_ledger.cli")

WORKERS_MAX: Final = 64


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "serve",
        serve,
        "serve the ledger until SIGTERM",
        more="Refuses a missing ledger, a loose key file, a newest entry that does not verify, and a wrong setting.",
        example="SIGNED_LEDGER_DATABASE=ledger.db SIGNED_LEDGER_KEYS=keys signed-ledger serve --workers 2",
    )
    parser.epilog = f"{parser.epilog}\n\nsettings, from the environment:\n{_settings_help()}"
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that answer HTTP, beside the one that writes (default: 1)",
    )
    add_passphrase_file(parser)


def _settings_help() -> str:
    lines = []
    for variable, default, about in describe_settings():
        lines.append(f"  {variable} (default: {default})")
        lines += textwrap.wrap(about, 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def serve(options: argparse.Namespace, settings: Settings) -> int:
    """Serve; give 0 after SIGTERM, 70 after a fault. Raises `Invalid` for what must be mended before a start."""
    terms = _check_settings(settings)
    if not 1 <= options.workers <= WORKERS_MAX:
        raise Invalid("--workers", f"must be from 1 to {WORKERS_MAX}")
    configure_logging(settings.log_level, settings.log_format)
    passphrases = passphrases_of(options, settings)
    load_signer = entry_signers(settings, passphrases)
    load_checkpoint_signer = checkpoint_signers(settings, passphrases)
    run(_check(settings, load_signer, load_checkpoint_signer, terms))
    passphrases.stop_asking()
    service = Service(_with_ports(settings), load_signer, load_checkpoint_signer, options.workers)
    return supervise(options.workers, partial(work, service), settings.shutdown_timeout_s)


# --- what is checked before ----------------------------------------------------------------------------------------


def _check_settings(settings: Settings) -> Terms | None:
    """Give the terms to be put in force, where the settings name some."""
    witness_policy(settings)
    for currency in settings.currencies:
        if currency not in MINOR_DIGITS:
            raise Invalid(variable_of("currencies"), f"{currency} is not a currency of ISO 4217")
    return None if settings.terms is None else read_terms(settings.terms)


async def _check(
    settings: Settings,
    load_signer: Callable[[bytes], Signer],
    load_checkpoint_signer: Callable[[bytes], Signer],
    terms: Terms | None,
) -> int:
    """Open the ledger as a server does, which verifies keys and head; compare it with what is expected of it.

    Terms that are not in force yet are recorded: that is the one thing written before the workers start.
    """
    async with opened_store(settings) as store:
        await try_disk(store, settings.database)
    async with opened_ledger(settings, load_signer) as ledger, opened_reader(settings) as reader:
        _check_origin(settings, ledger.keyring)
        _check_trust(settings, ledger.keyring)
        await Publisher(ledger, reader, checkpoint_lock(settings), load_checkpoint_signer, Metrics()).open()
        load_checkpoint_signer(ledger.keyring.current("checkpoint").public_key)
        if terms is not None and (seq := await record_terms(ledger, terms)) is not None:
            log.info("terms_changed", seq=seq, file=str(settings.terms))
    return DONE


def _check_origin(settings: Settings, keyring: Keyring) -> None:
    variable = variable_of("origin")
    if variable in os.environ and settings.origin != keyring.origin:
        raise Invalid(variable, f"is {settings.origin}, but {settings.database} is the ledger {keyring.origin}")


def _check_trust(settings: Settings, keyring: Keyring) -> None:
    path = trust_file(settings)
    if not path.exists():
        return
    trust = read_trust(path)
    if trust.origin != keyring.origin:
        raise Invalid(str(path), f"is of the ledger {trust.origin}, but {settings.database} is {keyring.origin}")
    same = [root_set.is_same(trust.root_keys, trust.threshold) for root_set in keyring.root_sets]
    if not any(same):
        raise Invalid(str(path), f"names other root keys than {settings.database}: one of the two is not this ledger's")
    if not same[-1]:
        log.warning("trust_file_is_old", file=str(path), newest_seq=keyring.root_sets[-1].seq)


def _with_ports(settings: Settings) -> Settings:
    """Several processes share a port, so it must be known before they start; and it must not be another program's."""
    port = _found_port(settings.host, settings.port)
    return replace(settings, port=port, admin_port=_found_port(settings.admin_host, settings.admin_port))


def _found_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:  # it does not listen: who came now would be hung up on
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise not_listening(OSError(error.errno, f"{error.strerror} ({host}, port {port})")) from error
