"""A trial: one batch of runs, brought to their points, broken once each stage, judged later.

Phases, always all: prepare, start, submit, inject, heal, settle, collect.  Every run must
stand at its point when the fault comes; the *gate* notes for each run whether it did, and a
run that did not shows nothing.  A trial of one run proves, a trial of many searches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.deadline import Deadline, DeadlineError, Patience, wait_until
from harness.effects import Json
from harness.faults import fault
from harness.model import Ideal, ideal, slots
from harness.plan import Plan, arg_of
from harness.runtime import Guarantee, Runtime, RunView
from harness.scene import READY_S, Scene
from harness.schedule import ATTACH, BEFORE, WAITING, Point, Schedule
from harness.secrets import environment, scan
from harness.sight import Sight
from harness.words import shown, worded


__all__ = ["READY_S", "StoppedError", "Trial"]

HOLD_S = 60.0
LOOK_ALL = 6
"""Everyone is asked for in each such round of a wait."""
BRISK_S = 2.0
"""How long after the last movement a run that should have ended is asked for in each round."""
LATE = 0.05
"""By which part of the idle time an end may be seen too late."""
LISTED_S = 5.0
WATCH_S = 0.8
"""How long a woken zombie must be silent to count as done."""
WAIT_SCALE = 3.0
"""How much longer waits last for runs whose fault comes while they wait."""
EXPLAINED = 64
"""Of how many runs a gateway is asked at once what is true of them."""
ANSWERED_S = 2.0
"""How long a gateway has to write down the answer that was let go."""
CALL_S = 30.0
"""How long a call of a real provider may take, in which nothing is seen to move."""
STILL_S = 15.0
"""How long the runtime must say that nothing moves a run before it is taken at its word."""


class StoppedError(Exception):
    """The sweep was told to stop."""


@dataclass(slots=True)
class Stillness:
    """For how long a runtime has said, of all that is left, that nothing will move it."""

    since_s: float | None = None

    def of(self, views: Sequence[RunView | None]) -> bool:
        """Say whether it has said so for long enough, these being its latest words."""
        if any(view is None or view.moves != "no" for view in views):
            self.since_s = None
            return False
        now_s = time.monotonic()
        self.since_s = now_s if self.since_s is None else self.since_s
        return now_s - self.since_s >= STILL_S


@dataclass(slots=True)
class Looks:
    """When to ask the runtime: often while things move, ever less often while nothing does.

    To be asked for hundreds of runs is work for an engine that may be about to recover.
    """

    moved_s: Callable[[], float]
    every_s: float
    last_s: float = 0.0

    def due(self) -> tuple[bool, bool]:
        """Say whether to ask for everyone, and whether anything has moved lately."""
        now_s = time.monotonic()
        idle_s = now_s - self.moved_s()
        due = now_s - self.last_s >= max(self.every_s, idle_s * LATE)
        self.last_s = now_s if due else self.last_s
        return due, idle_s < BRISK_S


@dataclass(slots=True)
class Trial:
    """A live trial on a scene."""

    scene: Scene
    runtime: Runtime
    secret: str
    logs: Path
    stop: threading.Event
    ideals: dict[str, Ideal] = field(default_factory=dict)
    hold_s: float = HOLD_S
    sight: Sight = field(init=False)

    def __post_init__(self) -> None:
        """Look at the runs of the scene."""
        self.sight = Sight(self.scene, self.ideals)

    @property
    def plan(self) -> Plan:
        """Return what is run."""
        return self.scene.plan

    @property
    def poll_s(self) -> float:
        """Return how often a wait looks at what it has (seconds)."""
        return 0.1 if self.plan.batch else 0.03

    def prepare(self) -> None:
        """Open a cell for each run, compute its ideal, and arm its points."""
        scene, case = self.scene, self.plan.case
        scene.history.subscribe(scene.watch.see)
        for run in [*scene.runs, *scene.bystanders]:
            scene.open(run)
            self.ideals[run] = ideal(case, run, arg_of(case, run))
            scene.ways[run] = self.ideals[run].steps
        for run, schedule in zip(scene.runs, self.plan.schedules, strict=True):
            for stage in schedule.stages:
                if fault(stage.fault).copies:
                    scene.world.arm(run, run, str(self.first(run)))
                if stage.point.phase not in {WAITING, ATTACH}:
                    keep = fault(stage.fault).keeps
                    scene.world.arm(run, run, str(stage.point), keep=keep)
        for run in scene.bystanders:
            scene.world.arm(run, run, str(self.meet(run)))
        if scene.guardian:
            scopes = {run: way.scope for run, way in self.ideals.items()}
            scene.guardian.admit(
                scopes,
                replans=self.runtime.guarantee is Guarantee.EFFECT_ONCE,
                slots=slots(case, scene.runs[0], arg_of(case, scene.runs[0])),
                asks=case.scenario.approvals,
            )
        if self.plan.queued:  # all of them take the same way
            way = ideal(case, self.plan.queued[0], arg_of(case, self.plan.queued[0]))
            self.ideals |= dict.fromkeys(self.plan.queued, dataclasses.replace(way, children=()))

    def submit(self) -> None:
        """Hand all runs to the runtime."""
        scene, starts = self.scene, []
        for run, schedule in zip(scene.runs, self.plan.schedules, strict=True):
            waits = any(stage.point.phase == WAITING for stage in schedule.stages)
            armed = scene.armed(schedule, self.ideals[run].groups)
            slower = WAIT_SCALE if waits else 1.0
            starts.append(scene.start(run, self.plan.ident, armed, slower))
            scene.history.append("submit", run, schedule=str(schedule))
        for run in scene.bystanders:
            starts.append(scene.start(run, scene.bystanding))
            scene.history.append("submit", run, schedule="bystander")
        scene.starts = [start for start in starts if start.envelope.run in set(scene.runs)]
        scene.backend.submit(starts)

    def copy(self) -> None:
        """Bring every run to its first step, copy the store there, and let it go on."""
        scene = self.scene
        first = {run: self.first(run) for run in scene.runs}
        self.wait(
            lambda: all(scene.watch.of(run).held == str(at) for run, at in first.items()),
            HOLD_S,
            "every run stands at its first step",
        )
        scene.copy()
        for run, schedule in zip(scene.runs, self.plan.schedules, strict=True):
            if first[run] not in {stage.point for stage in schedule.stages}:
                scene.world.release(run, run, str(first[run]))

    def reach(self) -> None:
        """Wait until every run stands at its point (or has ended), then pass the gate."""
        scene, sight = self.scene, self.sight
        points = scene.points()
        waiting = {run: p for run, p in points.items() if p.phase == WAITING}
        round_ = 0

        def arrived() -> bool:
            nonlocal round_
            round_ += 1
            if self.stop.is_set():
                raise StoppedError
            self.signal()
            if not scene.worker.alive():
                return True
            missing = [run for run in points if sight.why_not(run, points[run])]
            if missing and (waiting or round_ % LOOK_ALL == 0):
                sight.look([run for run in missing if run in waiting or sight.quiet(run)])
                sight.look([child for run in missing for child in sight.begun(run, points[run])])
            return all(sight.ended(run) or not sight.why_not(run, points[run]) for run in points)

        with contextlib.suppress(DeadlineError):  # the gate says, run by run, what is missing
            self.wait(arrived, self.hold_s, "every run stands at its point")
        if scene.fault and scene.fault.listed:
            self.listed(list(points))
        sight.look(list(points))
        for run, point in points.items():
            why = sight.why_not(run, point)
            if not why and sight.ended(run):
                why = f"the run is already {sight.views[run].status}"
            scene.history.append("gate", run, stage=scene.stage, ok=not why, why=why)

    def signal(self) -> None:
        """Send each signal once its run is about to wait for it.

        Where the fault comes while it waits, the signal comes after the fault.
        """
        scene = self.scene
        self.answer()
        runs = [
            *zip(scene.runs, self.plan.schedules, strict=True),
            *((run, Schedule()) for run in [*scene.bystanders, *scene.queued]),
        ]
        for signal in self.plan.case.scenario.signals:
            name = f"{signal.event} {signal.key}"
            for run, schedule in runs:
                steps = self.ideals[run].before.get(name)
                later = any(stage.point.step == name for stage in schedule.stages[scene.stage :])
                if steps is None or later or (run, name) in scene.signalled:
                    continue
                if all(step in scene.watch.of(run).replied for step in steps):
                    scene.signalled.add((run, name))
                    scene.history.append("event", run, name=name, payload=signal.payload)
                    if signal.approves and not scene.guardian:
                        self.word(run, signal.approves, steps)
                    pool = scene.bystanding if run in scene.bystanders else self.plan.ident
                    armed = scene.armed(schedule, self.ideals[run].groups)
                    envelope = scene.start(run, pool, armed).envelope
                    scene.backend.send_event(envelope, signal.event, signal.key, signal.payload)

    def word(self, run: str, step: str, before: Sequence[str]) -> None:
        """Note that a human allows a step, on what its run has read; said again, it is no other."""
        said = list(self.scene.history)
        if not worded(said, run, step):
            premises: dict[str, Json] = {**shown(said, run, before)}
            self.scene.history.append("word", run, step=step, premises=premises)

    def answer(self) -> None:
        """Say yes, as a human, to what he is asked by who guards the runs."""
        scene = self.scene
        if scene.guardian and self.plan.case.scenario.approvals:
            for one in scene.guardian.questions([*scene.runs, *scene.bystanders]):
                scene.asked()
                premises: dict[str, Json] = {**one.premises}
                scene.history.append("word", one.run, step=one.step, premises=premises)
                scene.guardian.approve(one)

    def wait(self, predicate: Callable[[], bool], idle_s: float, reason: str) -> None:
        """Wait until something holds, as long as runs move at least each ``idle_s`` seconds.

        Raises:
            DeadlineError: nothing moved for so long.

        """
        wait_until(
            predicate,
            Patience(idle_s, self.scene.watch.moved_s),
            reason,
            poll_s=self.poll_s,
            # A batch moves all the time: looking after each event would cost more than it tells.
            changed=None if self.plan.batch else self.scene.history.changed,
        )

    def settle(self, idle_s: float) -> None:
        """Wait until every run has ended, or nothing has moved for ``idle_s`` seconds.

        Where the runtime itself says for ``STILL_S`` seconds that nothing will move those that
        are left, there is nothing to wait for.
        """
        scene, sight = self.scene, self.sight
        runs = [*scene.runs, *scene.bystanders, *scene.queued]
        looks, still = Looks(scene.watch.moved_s, LOOK_ALL * self.poll_s), Stillness()

        def settled() -> bool:
            if self.stop.is_set():
                raise StoppedError
            self.signal()
            family = [*runs, *sight.children(runs)]
            left = [run for run in family if not sight.ended(run)]
            everyone, brisk = looks.due()
            sight.look([run for run in left if everyone or (brisk and sight.done(run))])
            for run in left:
                if sight.ended(run):
                    sight.note(run)
            left = [run for run in [*runs, *sight.children(runs)] if not sight.ended(run)]
            if scene.guardian and scene.fault and scene.fault.keeps:
                # Who came after asks for what is held, and waits as long as it is.
                left = [run for run in left if not scene.watch.of(run).rejoined]
            # A timer that is yet to come may move what nothing else does.
            timed = scene.fault is not None and scene.fault.timer
            return not left or (not timed and still.of([sight.views.get(run) for run in left]))

        try:
            self.wait(settled, idle_s, "every run has ended")
        except DeadlineError:
            sight.look([run for run in runs if not sight.ended(run)])

    def meanwhile(self) -> None:
        """Note what the runtime says of a run while it is broken.

        Of one run only: asking for hundreds would make the fault last.  A dead server says
        nothing.
        """
        scene = self.scene
        if self.plan.batch or not all(server.alive() for server in scene.servers):
            return
        self.listed(scene.runs)
        for run in scene.runs:
            self.sight.note(run)

    def explain(self, most_s: float = 0.0) -> None:
        """Note what who guards the runs tells an operator of them; a dead one tells nothing.

        A call that was just answered may not be written down yet: it is asked again for ``most_s``.
        """
        scene = self.scene
        if scene.guardian is None or len(scene.runs) > EXPLAINED:
            return
        guardian, found = scene.guardian, dict[str, Mapping[str, Json]]()

        def settled() -> bool:
            found.update(guardian.explain(scene.runs))
            return not any(told["unresolved"] for told in found.values())

        with contextlib.suppress(DeadlineError):
            wait_until(settled, Deadline.after(most_s), "answers are written down", poll_s=0.1)
        for run, told in found.items():
            scene.history.append("explained", run, **told)

    def listed(self, runs: Sequence[str]) -> None:
        """Wait until the runtime knows runs: it may list one some time after it has begun it.

        One that its server had not written down yet when it was killed would look like a lost
        one afterwards.  What it does not list in time stands as it is.
        """
        sight = self.sight

        def known() -> bool:
            sight.look(runs)
            return all(sight.views[run].listed for run in runs)

        with contextlib.suppress(DeadlineError):
            wait_until(known, Deadline.after(LISTED_S), "the runtime lists them", poll_s=0.2)

    def collect(self) -> None:
        """Gather the last evidence: views, journals, worlds, and where the secret stands."""
        scene, sight = self.scene, self.sight
        self.explain()
        for run in [*scene.runs, *scene.bystanders, *scene.queued]:
            if not sight.ended(run):
                sight.note(run)
            if state := scene.world.conclude(run):
                scene.history.append("world", run, **state)
        journals: list[Json] = []
        echoes = any(answer.echoes for answer in self.plan.case.answers)
        for run in scene.runs if echoes or not self.plan.batch else []:
            journal = scene.backend.journal(self.plan.ident, run)
            entries: list[Json] = [dataclasses.asdict(entry) for entry in journal]
            scene.history.append("journal", run, entries=entries)
            journals.append(entries)
        left = [run for run in [*scene.runs, *scene.queued] if not sight.ended(run)]
        if left:
            scene.backend.cancel(self.plan.ident, left)
        outputs = {run: view.output for run, view in sight.views.items()}
        texts: dict[str, Json] = {"outputs": outputs, "journals": journals}
        if scene.guardian:  # whoever is behind it holds no credential
            texts |= {f"environment of {w.incarnation}": environment(w.pid) for w in scene.alive()}
        searched, found = scan(self.secret, self.logs, texts)
        scene.history.append("scan", searched=searched, found=found)

    def meet(self, run: str) -> Point:
        """Return where a bystander is held while others are broken."""
        steps = self.ideals[run].steps
        return Point(steps[len(steps) // 2], BEFORE)

    def first(self, run: str) -> Point:
        """Return where a run is held while the store is copied."""
        return Point(self.ideals[run].steps[0], BEFORE)

    def go(self) -> None:
        """Run all phases."""
        scene = self.scene
        settings: Mapping[str, Json] = self.runtime.settings(self.plan.profile)
        settle_s = float(settings["settle_s"])  # type: ignore[arg-type]
        settle_s += CALL_S if self.plan.case.scenario.live else 0.0
        self.prepare()
        try:
            broken = [fault(s.fault) for one in self.plan.schedules for s in one.stages]
            if any(each.empties for each in broken):
                scene.keep_empty()
                self.hold_s += settle_s  # a server that has just come back may take its time
            if scene.bystanders:
                scene.start_worker(scene.bystanding)
            depth = max((len(schedule.stages) for schedule in self.plan.schedules), default=0)
            unmet = any(point.phase == ATTACH for point in scene.points().values())
            if unmet:
                self.introduce()
            else:
                scene.start_worker(self.plan.ident)
                self.submit()
            if any(each.copies for each in broken):
                self.copy()
            for scene.stage in range(int(unmet), depth):
                self.broken()
            scene.stage = depth
            for run in scene.bystanders:
                scene.world.release(run, run, str(self.meet(run)))
            timer = scene.fault.timer if scene.fault else ""
            self.settle(float(settings.get(timer) or 0.0) + settle_s)  # type: ignore[arg-type]
            if scene.fault and (scene.fault.keeps or len(scene.alive()) > 1):
                self.wake()
                self.settle(settle_s)
            self.collect()
        finally:
            scene.clear()

    def introduce(self) -> None:
        """Begin with a worker that cannot be reached; only where it was taken, a run can come."""
        scene = self.scene
        scene.fault = fault(self.plan.schedules[0].stages[0].fault)
        scene.fault.inject(scene)
        taken = scene.unmet is None
        if taken:
            self.submit()
        scene.until(
            lambda: any(link.touched for link in scene.links), "the link refuses the engine"
        )
        for run in scene.runs:
            scene.history.append("gate", run, stage=scene.stage, ok=True, why="")
        names = ", ".join(link.name for link in scene.links)
        scene.report(None, names, mode="cut", touched=sum(link.touched for link in scene.links))
        if taken:
            self.meanwhile()
        scene.fault.heal(scene)
        scene.history.append("undo", fault=scene.fault.name, when="heal")
        if not taken:
            self.submit()

    def broken(self) -> None:
        """Bring the runs to the points of this stage, break what is to break, and heal it."""
        scene = self.scene
        scene.fault = fault(self.plan.schedules[0].stages[scene.stage].fault)
        self.reach()
        scene.fault.inject(scene)
        if scene.guardian and not scene.fault.keeps:
            # The caller is the gateway, and no victim: it has its answer before anything heals.
            scene.release("reply")
        self.meanwhile()
        self.explain(0.0 if scene.fault.keeps else ANSWERED_S)
        scene.fault.heal(scene)
        for server in scene.servers:
            server.ready(Deadline.after(READY_S))
        scene.history.append("undo", fault=scene.fault.name, when="heal")

    def wake(self) -> None:
        """Undo what is undone after recovery, and wait until the late ones are done."""
        scene = self.scene
        assert scene.fault  # noqa: S101 - the caller looked
        last = scene.stage
        for worker in scene.alive():
            worker.resume()
        for scene.stage in range(last):
            scene.fault.recovered(scene)
        scene.stage = last
        scene.history.append("undo", fault=scene.fault.name, when="recovered")
        # Silence is what ends this wait: whatever the woken one does is in the history.
        with contextlib.suppress(DeadlineError):
            self.wait(lambda: False, WATCH_S, "what was woken acts")
