"""What the runtime says of the runs of a trial, asked for no more often than it helps."""

from __future__ import annotations

import dataclasses

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness import gate
from harness.guardian import Standing
from harness.model import Ideal
from harness.runtime import RunView
from harness.scene import Scene
from harness.schedule import Point


@dataclass(slots=True)
class Sight:
    """The views of runs, and after which event each was asked for."""

    scene: Scene
    ideals: Mapping[str, Ideal]
    views: dict[str, RunView] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)

    def look(self, runs: Sequence[str]) -> None:
        """Ask the runtime where runs stand."""
        scene = self.scene
        for pool, members in (
            (scene.plan.ident, [run for run in runs if _root(run) not in scene.bystanders]),
            (scene.bystanding, [run for run in runs if _root(run) in scene.bystanders]),
        ):
            if members:
                before = len(scene.history)
                standings = scene.guardian.standings(members) if scene.guardian else {}
                for view in scene.backend.inspect(pool, members):
                    self.views[view.run] = _guarded(view, standings.get(view.run))
                    self.looked[view.run] = before

    def why_not(self, run: str, point: Point) -> str:
        """Return why a run does not stand at its point, or an empty string."""
        watch = self.scene.watch.of(run)
        # A view that is older than the run's last event tells nothing of where it waits.
        fresh = self.looked.get(run, -1) > watch.last
        view = self.views.get(run) if fresh else None
        why = gate.why_not(point, self.scene.stage, watch, self.ideals[run], view)
        left = (
            [] if why else [child for child in self.begun(run, point) if self.at_work(run, child)]
        )
        return f"what it began before {point} has not ended: {', '.join(left)}" if left else why

    def at_work(self, run: str, child: str) -> bool:
        """Say whether a child may still act; one that nobody knows may have another name."""
        view, watch = self.views.get(child), self.scene.watch.of(run)
        if view and view.listed:
            return not view.terminal
        fresh = self.looked.get(child, -1) > watch.last
        return not fresh or any(step not in watch.replied for step in self.ideals[run].work[child])

    def begun(self, run: str, point: Point) -> Sequence[str]:
        """Return the children before a point that nobody waits for: a fault would hit them too."""
        ideal = self.ideals[run]
        return ideal.begun.get(point.step, ()) if point.step else ideal.detached

    def quiet(self, run: str) -> bool:
        """Say whether no call of the run is open."""
        return not self.scene.watch.of(run).open

    def ended(self, run: str) -> bool:
        """Say whether the runtime says that a run has ended."""
        return run in self.views and self.views[run].terminal

    def done(self, run: str) -> bool:
        """Say whether all that a run does was answered, so that it should have ended."""
        if "." in run:
            return True
        watch = self.scene.watch.of(run)
        steps = self.ideals[run].steps
        return not watch.open and (not steps or steps[-1] in watch.replied)

    def children(self, runs: Sequence[str]) -> list[str]:
        """Return what completed runs have begun: it may outlive them, and ends too."""
        return [
            child
            for run in runs
            if run in self.views and self.views[run].status == "completed"
            for child in self.ideals[run].children
        ]

    def note(self, run: str) -> None:
        """Write down what the runtime says of a run."""
        view = self.views.get(run, RunView(run=run, status="unknown"))
        data = dataclasses.asdict(view)
        del data["run"]
        self.scene.history.append("view", run, **data)


def _guarded(view: RunView, standing: Standing | None) -> RunView:
    """Return a view as who guards the run has it: an escalation is its word, not the engine's."""
    if standing and standing.status == "escalated":
        return dataclasses.replace(view, status="escalated", detail={"gateway": standing.why})
    return view


def _root(run: str) -> str:
    return run.partition(".")[0]
