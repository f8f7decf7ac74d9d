"""Four servers, the command line, the daily settlement and key rotations on one ledger at once, under load."""

import asyncio
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from tests.processes import Server
from tests.surviving import SCHEME, Done, Survivor

SERVERS: Final = 4
TRIES: Final = 20
BUSY: Final = "Another process is writing; nothing was decided."


async def crowd(survivor: Survivor, day: int, *, kill: bool) -> list[Server]:
    """Serve on four ports while commands run; `day` numbers the business day, each later than the last.

    With `kill`, one server is killed while the commands run, and the others at the end.
    """
    servers = [survivor.start() for _ in range(SERVERS)]
    try:
        await survivor.until(lambda: all('"serving"' in server.log for server in servers))
        survivor.traffic.go([server.url for server in servers])
        told = len(survivor.traffic.told)
        await survivor.until(lambda: len(survivor.traffic.told) >= told + 40)
        work = asyncio.gather(*(asyncio.to_thread(hand, survivor, day) for hand in HANDS))
        if kill:
            await _kill(survivor, servers[0])
        for done in await work:
            survivor.done += done
        for server in servers[kill:]:
            if kill:
                await _kill(survivor, server)
            else:
                assert await asyncio.to_thread(server.stop) == 0, server.log
    finally:
        for server in servers:
            server.kill()
    await survivor.traffic.hold()
    survivor.examine()
    return servers


async def _kill(survivor: Survivor, server: Server) -> None:
    await asyncio.sleep(survivor.draw.uniform(0.0, 0.5))
    survivor.kill(server, alone=False)
    await survivor.until_dead(server)
    survivor.deaths["one server of four"] += 1


# --- hands: each does its commands one after the other ------------------------------------------------------------


def _do(survivor: Survivor, *command: object) -> Any:
    """Run a command until it has its turn: what it says of others that write is that nothing was decided."""
    for _ in range(TRIES):
        ended, out, err = survivor.installation.ended(*command, "--json")
        if ended == 0:
            return json.loads(out)
        assert (ended, BUSY in err) == (2, True), (ended, err)
        survivor.busy += 1
    raise AssertionError(f"no turn for {command}")


def _loads(survivor: Survivor, _: int) -> list[Done]:
    told = _do(survivor, "load-money", "card-1", "5.00", "EUR")
    return [Done(told["seq"], "load", ("card-1", _cents(told["amount"])))]


def _blocks(survivor: Survivor, _: int) -> list[Done]:
    card = survivor.traffic.cards[-1]
    ops = ("block", "unblock")
    return [Done(_do(survivor, "card", op, card)["seq"], op, card) for op in ops]


def _settles(survivor: Survivor, day: int) -> list[Done]:
    out, business_day = survivor.installation.folder / "settlements", date(1970, 1, 1) + timedelta(days=day)
    told = _do(survivor, "settle", "--scheme", SCHEME, "--date", business_day, "--out", out)
    assert told["is_first"], told
    names = ("gross", "refunds", "fees", "net", "issuer_result")
    sums = {one["currency"]: (*(_cents(one[name]) for name in names), one["count"]) for one in told["sums"]}
    return [Done(told["seq"], "settlement", sums)]


def _rotates(survivor: Survivor, day: int) -> list[Done]:
    _do(survivor, "keys", "rotate", ("entry", "checkpoint")[day % 2])
    return []


HANDS: tuple[Callable[[Survivor, int], list[Done]], ...] = (_loads, _blocks, _settles, _rotates)


def _cents(amount: str) -> int:
    whole, _, part = amount.partition(".")
    return int(f"{whole}{part}")
