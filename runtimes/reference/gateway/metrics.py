"""What Prometheus may ask of a gateway: counts and times, no names of runs and no values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.store import Store


FAST_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
SLOW_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        self.decisions = Counter(
            "bakeoff_gateway_decisions",
            "Decisions, by what was decided and why",
            ["decision", "reason"],
            registry=self._registry,
        )
        self.escalations = Counter(
            "bakeoff_gateway_escalations",
            "Runs that wait for a human to say what was done",
            registry=self._registry,
        )
        self.unwritten = Counter(
            "bakeoff_gateway_unwritten",
            "Appends that the log did not take",
            registry=self._registry,
        )
        self.in_flight = self._gauge("in_flight", "Calls that are out at a provider")
        self.sessions = self._gauge("sessions", "Runs in the hands of this gateway")
        self.check = self._times("check", "Judging a request", FAST_S)
        self.append = self._times("append", "Making records durable", FAST_S)
        self.upstream = self._times("upstream", "Calls of a provider", SLOW_S)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"bakeoff_gateway_{name}", what, registry=self._registry)

    def _times(self, name: str, what: str, buckets: Sequence[float]) -> Histogram:
        full = f"bakeoff_gateway_{name}_seconds"
        return Histogram(full, what, buckets=buckets, registry=self._registry)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Count a call while it is out, and time it."""
        with self.in_flight.track_inprogress(), self.upstream.time():
            yield

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)


class TimedStore:
    """A store whose appends are timed, and those that fail counted."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        """Stand before a store."""
        self._store, self._metrics = store, metrics
        self.rows, self.runs, self.put = store.rows, store.runs, store.put
        self.get, self.drop, self.close = store.get, store.drop, store.close

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows; raises as the store does."""
        with self._metrics.append.time(), self._metrics.unwritten.count_exceptions():
            self._store.append(rows)
