"""Bad input to every decoder: refused in its own words or accepted as the one thing that it means, in bounded time.

The short form; `make fuzz` is the long one, guided by coverage (`tests/fuzz.py`). What that found is in `tests/corpus`.
"""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decoders import Decoder, accepts
from tests.decoders_outside import DECODERS
from tests.spoiling import spoiled

CORPUS = Path(__file__).parent / "corpus"
FOUND = [(path.parent.name.replace("-", " "), path) for path in sorted(CORPUS.glob("*/*"))]
BY_FOLDER = {name.replace("-", " "): decoder for name, decoder in DECODERS.items()}
every_decoder = pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)


@every_decoder
def test_what_is_good_is_accepted(decoder: Decoder) -> None:
    for good in decoder.seeds():
        decoder.check(good)


@every_decoder
def test_what_is_spoiled_is_refused_or_means_what_is_written_of_it(decoder: Decoder) -> None:
    accepted = []

    @settings(max_examples=40, deadline=None)
    @given(data=spoiled(st.sampled_from(decoder.seeds())) | st.binary(max_size=20))
    def check(data: bytes) -> None:
        accepted.append(accepts(decoder, data))

    check()
    assert not all(accepted)


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}/{path.name}" for name, path in FOUND])
def test_what_once_broke_a_decoder_no_longer_does(name: str, path: Path) -> None:
    accepts(BY_FOLDER[name], path.read_bytes())


# --- no input takes time out of proportion to its length ---

UNITS = [
    b"a",
    b"1",
    b"\n",
    b" ",
    b"\n\n",
    b",",
    b";a",
    b'"',
    b"\\",
    b"[",
    b'{"a":',
    b"=",
    b"A",
    b".",
    b"\xe2\x80\x94 a AAAA\n",
]
SMALL, LARGE = 8_192, 65_536
QUICK_SECONDS = 0.2


def grown(good: bytes, unit: bytes, size: int) -> list[bytes]:
    """`good` with many of a unit at its start, in it and at its end; and many of itself."""
    many = unit * (size // len(unit))
    middle = len(good) // 2
    return [many + good, good[:middle] + many + good[middle:], good + many]


def cpu_seconds(decoder: Decoder, data: bytes) -> float:
    """Of this thread alone: what else the machine does is not counted."""
    start = time.thread_time()
    accepts(decoder, data)
    return time.thread_time() - start


def is_out_of_proportion(decoder: Decoder, small: bytes, large: bytes, quick: float = QUICK_SECONDS) -> bool:
    """Eight times the length, and more than three times as long as eight times the time; asked thrice, for chance."""
    if cpu_seconds(decoder, large) < quick:
        return False
    times = [(cpu_seconds(decoder, small), cpu_seconds(decoder, large)) for _ in range(3)]
    return min(large for _, large in times) > 3 * len(large) / len(small) * min(small for small, _ in times)


@every_decoder
def test_time_grows_with_the_length_of_the_input_and_no_faster(decoder: Decoder) -> None:
    for good in decoder.seeds()[:1]:
        for unit in [*UNITS, good]:
            for small, large in zip(grown(good, unit, SMALL), grown(good, unit, LARGE), strict=True):
                assert not is_out_of_proportion(decoder, small, large), (good[:60], unit[:60])


def test_a_decoder_of_quadratic_time_would_be_found() -> None:
    def check(data: bytes) -> None:
        for end in range(0, len(data), 16):
            data[:end].count(b"a")

    slow = Decoder(check, list)
    assert is_out_of_proportion(slow, b"a" * SMALL, b"a" * LARGE, quick=0.0)
