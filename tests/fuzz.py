"""The long form of the decoders' fuzzing: `make fuzz MINUTES=10`. The time is shared by all decoders.

Of each decoder's share a third goes to Hypothesis, which spoils good inputs by their structure, and the rest to
atheris, which changes bytes and is guided by what code they reach; where there is no atheris (it has wheels for Linux
on x86-64), Hypothesis has it all. What breaks a decoder is written to `tests/corpus`, where the tests replay it.
"""

import argparse
import hashlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = 500
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None

Tally = Counter[bool]
"""How many inputs were accepted, and how many were not."""


def folder_of(name: str) -> str:
    return name.replace(" ", "-")


def by_structure(name: str, seconds: float) -> tuple[Tally, str]:
    """Spoil good inputs for so long; give the tally, and what was found, as small as Hypothesis can make it."""
    from tests.decoders import accepts
    from tests.decoders_outside import DECODERS
    from tests.spoiling import spoiled

    decoder = DECODERS[name]
    tally: Tally = Counter()
    smallest = b""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=spoiled(st.sampled_from(decoder.seeds())))
    def check(data: bytes) -> None:
        nonlocal smallest
        try:
            tally[accepts(decoder, data)] += 1
        except Exception:
            smallest = data
            raise

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            check()
        except Exception:
            keep(name, smallest)
            return tally, traceback.format_exc()
    return tally, ""


def by_coverage(name: str, seconds: float) -> tuple[Tally, str]:
    """The same with atheris, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz", "--child", name, folder, f"--seconds={seconds}"]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if ended.returncode == 0:
            refused, accepted = map(int, (Path(folder) / "told").read_text().split())
            return Counter({False: refused, True: accepted}), ""
        for found in (*Path(folder).glob("crash-*"), *Path(folder).glob("timeout-*")):
            keep(name, found.read_bytes())
        return Counter(), ended.stdout + ended.stderr


def child(name: str, folder: Path, seconds: float) -> NoReturn:
    """Fuzz one decoder, with our own code instrumented; ends the process, for libFuzzer does not return."""
    import atheris

    with atheris.instrument_imports(include=["signed_ledger"]):
        from tests.decoders import accepts
        from tests.decoders_outside import DECODERS

    decoder = DECODERS[name]
    seeds = folder / "seeds"
    seeds.mkdir()
    known = [path.read_bytes() for path in (CORPUS / folder_of(name)).glob("*")]
    for number, seed in enumerate((*decoder.seeds(), *known)):
        (seeds / str(number)).write_bytes(seed)
    tally: Tally = Counter()
    until = time.monotonic() + seconds

    def check(data: bytes) -> None:
        if time.monotonic() > until:
            (folder / "told").write_text(f"{tally[False]} {tally[True]}")
            os._exit(0)
        tally[accepts(decoder, data)] += 1

    options = ["fuzz", f"-artifact_prefix={folder}/", "-timeout=20", "-rss_limit_mb=1024", str(seeds)]
    atheris.Setup(options, check)
    atheris.Fuzz()
    raise AssertionError("libFuzzer returned")


def keep(name: str, data: bytes) -> None:
    path = CORPUS / folder_of(name) / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def fuzz(name: str, seconds: float) -> bool:
    """Fuzz one decoder for so long and print a line; whether something was found."""
    share = seconds / 3 if HAS_ATHERIS else seconds
    tally, said = by_structure(name, share)
    if HAS_ATHERIS and not said:
        guided, said = by_coverage(name, seconds - share)
        tally += guided
    print(f"{name:26} {tally.total():>12,} inputs {tally[True]:>12,} accepted", flush=True)
    print(said[-5_000:], end="")
    return bool(said)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="which decoders; default: all")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long, all decoders together")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser


def main() -> int:
    options: Any = make_parser().parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    if options.child:
        child(options.child[0], Path(options.child[1]), options.seconds)
    from tests.decoders_outside import DECODERS

    names = options.names or list(DECODERS)
    print(f"{len(names)} decoders, {options.minutes} minutes, {'with' if HAS_ATHERIS else 'without'} atheris")
    found = [name for name in names if fuzz(name, options.minutes * 60 / len(names))]
    print(f"found something in: {', '.join(found)}" if found else "nothing was found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
