"""Several processes: the parent starts them, and ends them all when it is asked to or one ends."""

import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess
from typing import Final, TypeAlias

import structlog

from signed_ledger.cli.outcome import FAULT

log = structlog.get_logger("signed_ledger.cli")

Sockets: TypeAlias = list[socket.socket]
Work: TypeAlias = Callable[[int, Connection, Sockets], int]
"""What a process does, told its number, its lifeline (a pipe that ends when the parent does), and its ends of the
channels: the writer, number 0, has one to each of the others, which have one each."""

STOPS: Final = (signal.SIGTERM, signal.SIGINT)

FAULT_SECONDS: Final = 10
"""Once one has ended by itself, the others can do no more than say so to those who wait."""
END_SECONDS: Final = 30
"""What ending may take beside the open requests. Who is killed then has lost nothing that was acknowledged."""


def supervise(workers: int, work: Work, shutdown_timeout_s: int) -> int:
    """Run `work` in a writer and `workers` more processes until one ends or SIGTERM or SIGINT comes.

    Gives the exit status, once all have ended: one that does not is killed. They are forked, so that what was asked for
    at the terminal need not be written anywhere: nothing else may run in this process yet, no thread, no event loop.
    """
    context = multiprocessing.get_context("fork")
    lifeline, held = context.Pipe(duplex=False)
    pairs = [socket.socketpair() for _ in range(workers)]
    ends: list[Sockets] = [[ours for ours, _ in pairs], *([theirs] for _, theirs in pairs)]
    every = [end for pair in pairs for end in pair]
    processes = [
        context.Process(target=_work, name=_name(number), args=(work, number, lifeline, held, own, every))
        for number, own in enumerate(ends)
    ]
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # a signal must meet either the parent's handler or a child's
    for process in processes:
        process.start()
    for end in every:
        end.close()
    signals = _signals(context)
    ended = wait([signals, *(process.sentinel for process in processes)])
    by_itself = [] if signals in ended else [process for process in processes if process.sentinel in ended]
    _tell_who_ended(by_itself)
    _end(processes, FAULT_SECONDS if by_itself else shutdown_timeout_s + END_SECONDS)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # who asks twice is not to change the status
    if by_itself:
        return _status(by_itself, ()) or _status(processes, STOPS) or FAULT
    return _status(processes, STOPS)


def _name(number: int) -> str:
    return f"worker-{number}" if number else "writer"


def _work(work: Work, number: int, lifeline: Connection, held: Connection, own: Sockets, every: Sockets) -> None:
    held.close()
    for end in every:
        if end not in own:
            end.close()  # a channel ends when the one process at its other end does
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    sys.exit(work(number, lifeline, own))


def _signals(context: ForkContext) -> Connection:
    """What can be read from once a signal came that asks us to end."""
    came, told = context.Pipe(duplex=False)
    for stop in STOPS:
        signal.signal(stop, lambda *_: told.send_bytes(b"."))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    return came


def _tell_who_ended(processes: list[ForkProcess]) -> None:
    for process in processes:
        process.join()
        log.error("worker_ended", process=process.name, exit_code=process.exitcode)


def _end(processes: list[ForkProcess], seconds: float) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0, deadline - time.monotonic()))
    for process in processes:
        if process.is_alive():
            log.error("worker_killed", process=process.name, seconds=seconds)
            process.kill()
            process.join()


def _status(processes: list[ForkProcess], ours: Collection[int]) -> int:
    """The first one's exit status that is not 0; 128 and the number for one that a signal killed that is not `ours`."""
    for process in processes:
        code = process.exitcode or 0
        if code and -code not in ours:
            return code if code > 0 else 128 - code
    return 0
