"""What one trial runs, and what its programs are given."""

from __future__ import annotations

from dataclasses import dataclass

from harness.effects import Guard, Json
from harness.scenario import Case
from harness.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one trial runs: ``key`` names it within a sweep, ``ident`` within a backend.

    ``backlog`` is how many further runs a fault finds in the queue.
    """

    key: str
    ident: str
    case: Case
    guard: Guard
    profile: str
    schedules: tuple[Schedule, ...]
    bystanders: int = 0
    backlog: int = 0

    def run(self, index: int) -> str:
        """Return the id of the run for a schedule."""
        return f"{self.ident}-r{index:04d}"

    @property
    def queued(self) -> list[str]:
        """Return the ids of the runs of the backlog."""
        return [f"{self.ident}-q{index:04d}" for index in range(self.backlog)]

    @property
    def batch(self) -> bool:
        """Say whether it searches."""
        return len(self.schedules) > 1


def arg_of(case: Case, run: str) -> Json:
    """Return the argument that a program gets: the scenario's, and its run's id."""
    given = case.scenario.arg
    return {**(given if isinstance(given, dict) else {}), "run": run}
