"""What the operator sees: structured logs and Prometheus metrics. Never a key, never a whole body."""

import logging
import sys
from contextlib import suppress
from typing import Any, Final, TextIO, TypeAlias, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FORMATS: Final = ("auto", "human", "json")

Counts: TypeAlias = dict[tuple[str, ...], float]
"""By a counter's attribute and the values of its labels: what it stands at, or how much is to be added."""


class Metrics:
    """The service's counters, in a registry of their own: nothing is made on import, and tests do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "signed_ledger_decisions", "Recorded decisions", ["kind", "reason"], registry=self.registry
        )
        self.replays = Counter("signed_ledger_replays", "First answers given again", registry=self.registry)
        self.refusals = Counter("signed_ledger_refusals", "Refused requests", ["code"], registry=self.registry)
        self.group_size = Histogram(
            "signed_ledger_group_commands",
            "Commands decided in one commit",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "signed_ledger_commit_seconds",
            "Insert and commit of one group, to disk",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
            registry=self.registry,
        )
        self.queue_depth = Gauge("signed_ledger_queue_commands", "Commands waiting", registry=self.registry)
        self.integrity_alarms = Counter(
            "signed_ledger_integrity_alarms", "Stored bytes that did not verify", registry=self.registry
        )
        self.checkpoint_size = Gauge(
            "signed_ledger_checkpoint_size", "Entries in the newest checkpoint published", registry=self.registry
        )
        self.checkpoint_failures = Counter(
            "signed_ledger_checkpoint_failures", "Tries to publish that failed", registry=self.registry
        )
        self.witness_pushes = Counter(
            "signed_ledger_witness_pushes",
            "Pushes by what came of them",
            ["witness", "outcome"],
            registry=self.registry,
        )
        self.witness_cosigned_size = Gauge(
            "signed_ledger_witness_cosigned_size", "Entries cosigned by a witness", ["witness"], registry=self.registry
        )
        self.quorum_size = Gauge(
            "signed_ledger_quorum_size", "Entries cosigned by a quorum of the policy", registry=self.registry
        )
        self.settlements = Counter(
            "signed_ledger_settlements", "Settlements by what came of them", ["outcome"], registry=self.registry
        )
        self.expired = Counter("signed_ledger_expired", "Authorisations expired", registry=self.registry)

    def counts(self) -> Counts:
        """What the counters stand at that processes have which answer HTTP, and do not write."""
        return {
            (name, *sample.labels.values()): sample.value
            for name in _COUNTED_BEFORE_THE_WRITER
            for sample in next(iter(getattr(self, name).collect())).samples
            if sample.name.endswith("_total")
        }

    def add(self, counts: Counts) -> None:
        """Add what another process counted."""
        for (name, *labels), count in counts.items():
            counter = getattr(self, name)
            (counter.labels(*labels) if labels else counter).inc(count)


_COUNTED_BEFORE_THE_WRITER: Final = ("refusals", "checkpoint_failures", "integrity_alarms")


class _Lossy:
    """A stream for log lines. What can not be written, since its disk is full or its reader gone, is lost: no more.

    A line is one write: workers share the stream. It is written past the buffers of Python, which would keep what
    failed and fail again at the process's end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._raw = getattr(getattr(stream, "buffer", None), "raw", None)
        self._stream = stream

    def write(self, line: str) -> None:
        with suppress(OSError):
            if self._raw is None:
                self._stream.write(line)
            else:
                self._raw.write(line.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Nothing waits."""


def configure_logging(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Set up the process's logs: lines for a person where `stream` is a terminal (or asked for), else JSON."""
    stream = stream or sys.stderr
    human = log_format == "human" or (log_format == "auto" and stream.isatty())
    for_people, for_machines = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        structlog.processors.JSONRenderer(),
    )
    renderer: Any = for_people if human else for_machines
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Lossy(stream))),
        cache_logger_on_first_use=True,
    )
