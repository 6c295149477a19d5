"""Takes every cancellation, and carries none of them out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harness.process import Site
from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedBackend, EmbeddedRuntime


@dataclass
class Nodding(EmbeddedBackend):
    """A backend whose cancellations do nothing."""

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Only nod."""


@dataclass(frozen=True, kw_only=True)
class Heedless(EmbeddedRuntime):
    """An embedded runtime with that backend."""

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[EmbeddedBackend]:
        """Start it."""
        with EmbeddedRuntime.start(self, site, profile) as backend:
            yield Nodding(backend.runtime, backend.folder, stores=backend.stores)


HEEDLESS = Heedless(name="heedless", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY)
