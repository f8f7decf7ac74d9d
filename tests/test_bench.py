"""What the bench stands on: its ledgers are such as the service writes, and what it counts it counts right."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.bench_client import Load, answer_length, percentile
from scripts.bench_document import BLOCKS, DOCUMENT, fill
from scripts.bench_ledger import found_ledger, grow_ledger
from scripts.bench_open import run_open_load
from scripts.bench_plot import write_plot
from scripts.bench_server import Row, Work, serving
from scripts.bench_yardsticks import Yardsticks
from signed_ledger.trust import read_trust
from tests.support import assert_audits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found_ledger(tmp_path)
    return tmp_path


async def test_a_ledger_that_is_grown_in_two_steps_audits(folder: Path) -> None:
    seen: list[int] = []
    await grow_ledger(folder, 100, range(3), seen.append)
    await grow_ledger(folder, 200, range(3, 5), seen.append)
    report = assert_audits(folder / "ledger.db", read_trust(folder / "keys" / "trust.json"))
    assert 200 <= report.entries < 205
    assert seen == sorted(seen)
    assert seen[-1] == report.entries - 1


async def test_an_open_load_is_sent_at_its_rate_and_each_answer_counted(folder: Path) -> None:
    await grow_ledger(folder, 20, range(3), lambda seq: None)
    server = serving(folder)
    try:
        work = Work(3)
        asks = [(f"{number}", request) for number, request in enumerate(work.authorisations(400))]
        load = await run_open_load(server.port, iter(asks), rate=100, seconds=1, connections=200)
    finally:
        server.stop()
    assert 90 <= len(load.statuses) + load.unsent <= 100 * load.seconds
    assert load.counted() == Counter({201: len(load.statuses)})
    assert len(load.of(201)) == len(load.statuses)
    assert_audits(folder / "ledger.db", read_trust(folder / "keys" / "trust.json"))


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length"])
def test_an_answer_is_whole_when_as_much_came_as_it_says(name: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nDate: now\r\n" + name + b": 5\r\nServer: s\r\n\r\n"
    assert answer_length(head + b"12345") == answer_length(head) == len(head) + 5
    assert answer_length(head[:-1]) == 0


def test_a_percentile_is_what_so_many_did_not_exceed() -> None:
    latencies = [number / 1000 for number in range(100, 0, -1)]
    assert (percentile(latencies, 0.5), percentile(latencies, 0.99), percentile([], 0.5)) == (51.0, 100.0, 0.0)


def test_the_ceiling_is_the_sum_of_what_a_webhook_takes() -> None:
    echo = Row("echo", Load(32, 1.0, [0.001] * 1_000), 0.0)
    yardsticks = Yardsticks({32: echo}, {1: 10_000}, {1: 5_000}, {1: 10.0, 32: 100.0, 256: 50.0})
    share = 1 / (100 * 32)
    assert yardsticks.ceiling("authorisation", 32) == pytest.approx(1 / (0.001 + 0.0002 + 0.0001 + share))
    assert yardsticks.ceiling("presentment", 32) == pytest.approx(1 / (0.001 + 3 * 0.0002 + 4 * 0.0001 + share))
    assert yardsticks.ceiling("a message of a whole life", 32) is None


def test_figures_go_into_their_own_block_of_the_document(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("a\n<!-- figures: growth -->\nold\n<!-- end: growth -->\nb\n")
    fill("growth", "new", document)
    fill("growth", "newer", document)
    assert document.read_text() == "a\n<!-- figures: growth -->\n\nnewer\n\n<!-- end: growth -->\nb\n"
    with pytest.raises(SystemExit, match="no block overload"):
        fill("overload", "new", document)


def test_the_document_has_every_block_once() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [text.count(f"<!-- figures: {block} -->\n") for block in BLOCKS] == [1] * len(BLOCKS)


def test_a_plot_is_svg_with_a_line_for_each_series(tmp_path: Path) -> None:
    path = tmp_path / "plots" / "a.svg"
    write_plot(path, "A & B", {"a": [(1_000, [1, 2, 3]), (100_000, [5])], "b < c": [(1_000, [0]), (100_000, [7])]})
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg")
    assert len(root.findall("{*}circle")) == 4
    assert {"A & B", "a", "b < c", "1,000", "100,000"} <= {text.text for text in root.findall("{*}text")}
