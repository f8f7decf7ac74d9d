"""The parts put together: settings, key folder, store and ledger, as every command needs them."""

import argparse
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Final

from signed_ledger.cli.passphrases import Passphrases
from signed_ledger.config import Settings
from signed_ledger.errors import Fault, InternalError, Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring
from signed_ledger.ledger import Ledger, Limits, read_keyring
from signed_ledger.policy import Policy, read_policy
from signed_ledger.publishing import CheckpointLock
from signed_ledger.signing import KeyFileRefused, KeyFolder, Signer
from signed_ledger.store import Store
from signed_ledger.telemetry import Metrics

RANDOM_POOL_BYTES: Final = 4096


def clock() -> int:
    """Now, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def random_pool() -> Callable[[int], bytes]:
    """Random bytes as `os.urandom` gives them, fetched many at a time: an entry's salts are a few calls else."""
    pool = bytearray()

    def take(size: int) -> bytes:
        if len(pool) < size:
            pool.extend(os.urandom(max(size, RANDOM_POOL_BYTES)))
        taken = bytes(pool[-size:])
        del pool[-size:]
        return taken

    return take


def passphrases_of(options: argparse.Namespace, settings: Settings) -> Passphrases:
    """--passphrase-file goes before the setting."""
    return Passphrases(options.passphrase_file or settings.key_passphrase_file)


def key_folder(settings: Settings, passphrases: Passphrases, role: str) -> KeyFolder:
    """The key folder as it is opened for keys of `role`."""
    return KeyFolder(settings.keys, passphrases.opening(role), settings.pkcs11_module)


def entry_signers(settings: Settings, passphrases: Passphrases) -> Callable[[bytes], Signer]:
    """From an entry public key to its signer; each key file is read once."""
    return cache(partial(key_folder(settings, passphrases, "entry").signer, "entry"))


def checkpoint_signers(settings: Settings, passphrases: Passphrases) -> Callable[[bytes], Signer]:
    """From a checkpoint public key to its signer; each key file is read once."""
    return cache(partial(key_folder(settings, passphrases, "checkpoint").signer, "checkpoint"))


def witness_policy(settings: Settings) -> Policy | None:
    """The witnesses that cosign, where the settings name some. Raises `Invalid` naming the file and the line."""
    return None if settings.witness_policy is None else read_policy(settings.witness_policy)


def checkpoint_lock(settings: Settings) -> CheckpointLock:
    """By default it lies with the keys: a backup of the ledger's folder does not bring it back."""
    return CheckpointLock(settings.checkpoint_lock or settings.keys / "checkpoint.lock")


async def _store(settings: Settings) -> Store:
    waiting_ms, rows = settings.busy_timeout_ms, settings.wal_rows_max
    return await Store.open(settings.database, busy_timeout_ms=waiting_ms, wal_rows_max=rows)


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    store = await _store(settings)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened_ledger(
    settings: Settings, load_signer: Callable[[bytes], Signer], metrics: Metrics | None = None
) -> AsyncIterator[Ledger]:
    """A ledger to write to, closed when done. Raises `Invalid` naming what can not be used: file, head or key."""
    store = await _store(settings)
    try:
        ledger = await _verified_ledger(store, settings, load_signer, metrics)
    except BaseException:
        await store.close()
        raise
    try:
        yield ledger
    except InternalError as error:
        raise Fault(f"{ledger.stopped.exception()}; whether this was recorded is not known: look first") from error
    finally:
        await ledger.close()


async def _verified_ledger(
    store: Store, settings: Settings, load_signer: Callable[[bytes], Signer], metrics: Metrics | None
) -> Ledger:
    try:
        return await Ledger.open(
            store,
            load_signer=load_signer,
            clock=clock,
            random_bytes=random_pool(),
            metrics=metrics,
            limits=Limits(
                queue_commands_max=settings.queue_commands_max,
                group_commands_max=settings.group_commands_max,
                cache_accounts_max=settings.cache_accounts_max,
            ),
        )
    except KeyFileRefused:
        raise
    except (Invalid, KeyChangeRefused) as error:
        raise _not_verified(settings.database, error) from error


async def registry(store: Store, settings: Settings) -> Keyring:
    """The key registry, verified entry by entry."""
    try:
        return await read_keyring(store, (await store.newest()).seq)
    except (Invalid, KeyChangeRefused) as error:
        raise _not_verified(settings.database, error) from error


def _not_verified(path: Path, error: Exception) -> Invalid:
    return Invalid(str(path), f"does not verify: {error}; see signed-ledger verify")


def trust_file(settings: Settings) -> Path:
    """Where `init` puts the origin and the root public keys."""
    return settings.keys / "trust.json"
