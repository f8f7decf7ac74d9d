"""Signatures, many at a time: in this process, or in others while this one reads on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeAlias

from signed_ledger.signing import verify

Signed: TypeAlias = tuple[bytes, bytes, bytes]
"""Public key, message, signature; a plain tuple, cheap to send to another process."""
Submit: TypeAlias = Callable[[list[Signed]], "Future[list[bool]]"]


def verify_all(signed: list[Signed]) -> list[bool]:
    return [verify(*one) for one in signed]


@contextmanager
def verifier(jobs: int) -> Iterator[Submit]:
    """Give what verifies lists of signatures with `jobs` processes in all, this one included."""
    if jobs == 1:
        yield _verify_here
        return
    # Spawned, not forked: a fork would copy the caller's threads and locks half-way.
    with ProcessPoolExecutor(jobs - 1, mp_context=get_context("spawn")) as pool:
        try:
            yield lambda signed: pool.submit(verify_all, signed)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _verify_here(signed: list[Signed]) -> "Future[list[bool]]":
    done: Future[list[bool]] = Future()
    done.set_result(verify_all(signed))
    return done
