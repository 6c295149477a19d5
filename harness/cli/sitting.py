"""What a load measurement has found so far: on the disk and on the screen at any time."""

from __future__ import annotations

import json

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from harness.cli.bench import Bench
from harness.deadline import DeadlineError
from harness.loop import Loop
from harness.model import ideal
from harness.plan import arg_of
from harness.process import ProcessError
from harness.rpc import RpcError
from harness.runtime import Runtime, RuntimeUnavailableError, Support
from harness.scenario import Case
from harness.stats import spread
from harness.store import write_json
from harness.traffic.demand import Driver, Mode, Phase
from harness.traffic.loading import LoadError, Place, measure


SCHEMA = "bakeoff.load/v1"


@dataclass(slots=True, kw_only=True)
class Sitting:
    """What is asked for, and what was found so far; ``load.json`` has both at any time."""

    path: Path
    loop: Loop
    bench: Bench
    driver: Driver
    case: Case
    profile: str
    levels: Sequence[int]
    duration_s: float
    facts: Mapping[str, Any]
    quiet: bool
    phases: list[Phase] = field(default_factory=list)
    skips: dict[str, str] = field(default_factory=dict)
    failed: bool = False

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            click.echo(text)

    def skip(self, runtime: Runtime, reason: str) -> None:
        """Note that a runtime is not measured (any more)."""
        self.skips[runtime.name] = reason
        self.say(f"{runtime.name:<10} not measured: {reason}")

    def take(self, runtime: Runtime, round_: int) -> None:
        """Measure one runtime for one round; what cannot be measured is noted."""
        levels = [level for level in self.levels if level <= runtime.batch]
        place = Place(
            loop=self.loop,
            world=self.bench.world,
            site=self.bench.site,
            driver=self.driver,
        )
        runner = self.bench.runner(self.path / "logs" / f"{runtime.name}-{round_}")
        found = measure(
            place, runtime, runner, self.case, self.profile, levels, self.duration_s, round_
        )
        try:
            for phase in found:
                self.keep(phase)
        except RuntimeUnavailableError as error:
            self.skip(runtime, str(error))
        except (LoadError, ProcessError, RpcError, DeadlineError) as error:
            # It is here and could not be measured: no fair skip, the exit code must show it.
            self.skip(runtime, f"it failed under load: {error}")
            self.failed = True
        self.write()

    def all(self, runtimes_: Sequence[Runtime], rounds: int) -> None:
        """Measure all runtimes in rounds; they take turns, every second round in reverse."""
        for runtime in runtimes_:
            if why := check(self.case, runtime, self.levels):
                self.skip(runtime, why)
        self.write()
        for round_ in range(rounds):
            for runtime in runtimes_ if round_ % 2 == 0 else reversed(runtimes_):
                if runtime.name not in self.skips:
                    self.take(runtime, round_)

    def keep(self, phase: Phase) -> None:
        """Put a phase on disk and on the screen."""
        self.phases.append(phase)
        self.failed = self.failed or bool(phase.incomplete)
        with (self.path / "orders.jsonl").open("a", encoding="utf-8") as file:
            for order in phase.orders:
                line = {"phase": len(self.phases) - 1, **order.to_json()}
                file.write(json.dumps(line) + "\n")
        self.write()
        self.say(line_of(phase))

    def write(self) -> None:
        """Write ``load.json``."""
        write_json(self.path / "load.json", self.document())

    def document(self) -> dict[str, Any]:
        """Return what ``load.json`` says."""
        return {
            "schema": SCHEMA,
            **self.facts,
            "skips": self.skips,
            "phases": [phase.to_json() for phase in self.phases],
        }


def line_of(phase: Phase) -> str:
    """Return a phase in one line."""
    demand, wrong = phase.demand, ""
    if phase.incomplete or phase.repeats:
        wrong = f", {phase.incomplete} incomplete, {phase.repeats} repeated calls"
    head = f"{phase.runtime:<10} round {phase.round}  {demand.in_flight:>3} in flight  "
    if demand.mode is Mode.CLOSED:
        return f"{head}closed {phase.per_s:8.1f} runs/s{wrong}"
    shown = spread(phase.first_effect_s)
    latency = f"median {shown.median:.3f} s, at most {shown.high:.3f} s" if shown else "none"
    return f"{head}open   {demand.rate:8.1f} runs/s offered, first effect {latency}{wrong}"


def check(of: Case, runtime: Runtime, levels: Sequence[int]) -> str:
    """Return why a runtime cannot be put under this load, or an empty string."""
    used = ideal(of, "r", arg_of(of, "r")).commands
    missing = [
        name for name in sorted(used) if runtime.capabilities.get(name) in {None, Support.MISSING}
    ]
    if missing:
        return f"it has no {', '.join(missing)}"
    if min(levels) > runtime.batch:
        return f"one worker of it takes at most {runtime.batch} runs at once"
    return ""
