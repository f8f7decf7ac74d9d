"""All that is counted in any process of a service is shown at its one port."""

import re
from pathlib import Path

from signed_ledger.telemetry import Metrics

PACKAGE = Path(__file__).parents[1] / "signed_ledger"
ELSEWHERE = {"checkpoint_size", "registry"}
"""The writer, who publishes, has the first too; the second is all of them."""


def test_what_is_counted_where_http_is_answered_is_told_to_the_writer() -> None:
    files = [*(PACKAGE / "api").glob("*.py"), PACKAGE / "publishing" / "board.py"]
    used = {name for file in files for name in re.findall(r"metrics\.([a-z_]+)", file.read_text())} - ELSEWHERE
    metrics = Metrics()
    for name in used:
        counter = getattr(metrics, name)
        (counter.labels("x") if counter._labelnames else counter).inc()
    assert {name for (name, *_), count in metrics.counts().items() if count} == used
    assert {"refusals", "integrity_alarms"} <= used


def test_counts_are_added() -> None:
    here, there = Metrics(), Metrics()
    here.refusals.labels("overloaded").inc(3)
    here.integrity_alarms.inc()
    there.refusals.labels("overloaded").inc(2)
    there.add(here.counts())
    assert there.registry.get_sample_value("signed_ledger_refusals_total", {"code": "overloaded"}) == 5
    assert there.registry.get_sample_value("signed_ledger_integrity_alarms_total") == 1
