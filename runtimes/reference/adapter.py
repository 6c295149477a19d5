"""The reference as a column: effect log and resumption in its own worker, no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.effects import Json
from harness.runtime import Guarantee, JournalEntry, Kind
from runtimes.embedded.adapter import EmbeddedBackend, EmbeddedRuntime
from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.effect_log.folder import has_log, reading
from runtimes.reference.effect_log.reading import entries
from runtimes.reference.effect_log.records import plain
from runtimes.reference.engine import effects


@dataclass(slots=True)
class ReferenceBackend(EmbeddedBackend):
    """The embedded backend; a run's journal is its effect log."""

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read the records of a run, and what is kept beside them."""
        kept = [*EmbeddedBackend.journal(self, pool, run)]
        folder = effects(self.folder / f"{pool}.db")
        if not has_log(folder):
            return kept
        try:
            with reading(folder) as (log, _):
                return [*kept, *(_line(run, entry.record) for entry, _ in entries(log, run))]
        except EffectLogError as error:
            return [
                *kept,
                JournalEntry(run=run, name="", kind="damaged", detail={"why": str(error)}),
            ]


def _line(run: str, record: object) -> JournalEntry:
    body: Mapping[str, Json] = plain(record)
    name = str(body.get("slot", ""))
    return JournalEntry(run=run, name=name, kind=type(record).__name__.lower(), detail=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRuntime(EmbeddedRuntime):
    """The embedded runtime with an effect log under every step."""

    policy: str = "effect log"
    guarantee: Guarantee = Guarantee.EFFECT_ONCE
    kind: Kind = Kind.LIBRARY
    argv: Sequence[str] = ("-m", "runtimes.reference.worker")
    durable: bool = True
    worker_name: str = "the holder of a lease"
    backend: type[EmbeddedBackend] = ReferenceBackend


RUNTIME = ReferenceRuntime(name="reference")
