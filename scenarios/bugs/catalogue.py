"""The published bugs as data: where each is told of, what shows it, where it is not."""

from __future__ import annotations

import tomllib

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from harness.history import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen in a column: what is empty or 0 is not looked at.

    ``oracle`` is violated and was not predicted, ``signature`` and ``end`` are the run's,
    ``signal`` is what ended the victim of the fault.  ``long``: it takes minutes.
    """

    column: str
    oracle: str = ""
    signature: str = ""
    end: str = ""
    signal: int = 0
    long: bool = False

    def missing(self, row: Mapping[str, Any], events: Sequence[Event]) -> list[str]:
        """Return what a trial does not show of it; nothing, if it is what is seen here."""
        return list(self._missing(row, events))

    def _missing(self, row: Mapping[str, Any], events: Sequence[Event]) -> Iterator[str]:
        if self.oracle and self.oracle not in row["unpredicted"]:
            yield f"{self.oracle} among {row['unpredicted']}"
        signature = (row["diagnosis"] or {}).get("signature", "")
        if self.signature and signature != self.signature:
            yield f"signature {self.signature}, seen {signature or 'none'}"
        if self.end and row["end"] != self.end:
            yield f"end {self.end}, seen {row['end']}"
        signals = [event.data["signal"] for event in events if event.kind == "fault"]
        if self.signal and signals != [self.signal]:
            yield f"signal {self.signal}, seen {signals}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One published bug; ``scenario`` is a module beside this one."""

    id: str
    cites: Sequence[str]
    says: str
    scenario: str
    schedule: str
    affected: str
    unaffected: str
    shows: Sequence[Sight]
    absent: Sequence[Sight]

    @property
    def case(self) -> str:
        """Return what ``--scenario`` takes."""
        return f"{__package__}.{self.scenario}:SCENARIO"


def bugs() -> tuple[Bug, ...]:
    """Return all of them."""
    text = files(__package__).joinpath("bugs.toml").read_text(encoding="utf-8")
    return tuple(
        Bug(
            **{
                **entry,
                "shows": tuple(Sight(**sight) for sight in entry["shows"]),
                "absent": tuple(Sight(**sight) for sight in entry["absent"]),
            }
        )
        for entry in tomllib.loads(text)["bug"]
    )
