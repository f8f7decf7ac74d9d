"""Several processes: the parent starts them, hands signals on, and ends them all when one ends."""

import multiprocessing
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Final, TypeAlias

import structlog

log = structlog.get_logger("signed_ledger.cli")

Sockets: TypeAlias = list[socket.socket]
Work: TypeAlias = Callable[[int, Connection, Sockets], int]
"""What a process does, told its number, its lifeline (a pipe that ends when the parent does), and its ends of the
channels: the writer, number 0, has one to each of the others, which have one each."""

STOPS: Final = (signal.SIGTERM, signal.SIGINT)


def supervise(workers: int, work: Work) -> int:
    """Run `work` in a writer and `workers` more processes until one ends or SIGTERM or SIGINT comes.

    Gives the exit status. They are forked, so that what was asked for at the terminal need not be written anywhere:
    nothing else may run in this process yet, no thread, no event loop.
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
    asked = _hand_on_signals(processes)
    ended = wait([process.sentinel for process in processes])
    if not asked:
        _tell_who_ended([process for process in processes if process.sentinel in ended])
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    return _status([process.exitcode or 0 for process in processes], bool(asked))


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


def _hand_on_signals(processes: list[ForkProcess]) -> list[int]:
    """Give the list to which each signal that came is added."""
    came: list[int] = []

    def hand_on(number: int, _: object) -> None:
        came.append(number)
        for process in processes:
            process.terminate()

    for stop in STOPS:
        signal.signal(stop, hand_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    return came


def _tell_who_ended(processes: list[ForkProcess]) -> None:
    for process in processes:
        process.join()
        log.error("worker_ended", process=process.name, exit_code=process.exitcode)


def _status(exit_codes: list[int], asked: bool) -> int:
    """The first worker's status that is not 0; 128 and the signal's number for one that was killed."""
    for code in exit_codes:
        if code > 0 or (code < 0 and not (asked and -code in STOPS)):
            return code if code > 0 else 128 - code
    return 0
