"""A trial: one batch of runs, brought to their points, broken once each stage, judged later.

Phases, always all: prepare, start, submit, inject, heal, settle, collect.  Every run must
stand at its point when the fault comes; the *gate* notes for each run whether it did, and a
run that did not shows nothing.  A trial of one run proves, a trial of many searches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import gate
from harness.deadline import Deadline, DeadlineError, Patience, wait_until
from harness.effects import Json
from harness.faults import Fault, fault
from harness.history import History
from harness.model import Ideal, ideal
from harness.plan import Plan, arg_of
from harness.process import Exit, Process, Runner, Service
from harness.runtime import Backend, Envelope, Runtime, RunView, Start
from harness.schedule import BEFORE, WAITING, Point, Schedule
from harness.secrets import scan
from harness.watch import Watch
from harness.world import Cell, World


READY_S = 60.0
HOLD_S = 60.0
LOOK_ALL = 6
WATCH_S = 0.8
"""How long a woken zombie must be silent to count as done."""
WAIT_SCALE = 3.0
"""How much longer waits last for runs whose fault comes while they wait."""


class StoppedError(Exception):
    """The sweep was told to stop."""


@dataclass(slots=True)
class Trial:
    """A live trial; also the scene that faults act on."""

    plan: Plan
    runtime: Runtime
    backend: Backend
    world: World
    runner: Runner
    history: History
    secret: str
    logs: Path
    watch: Watch = field(default_factory=Watch)
    workers: list[Process] = field(default_factory=list)
    views: dict[str, RunView] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)
    ideals: dict[str, Ideal] = field(default_factory=dict)
    signalled: set[tuple[str, str]] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    stage: int = 0
    fault: Fault | None = None

    # The scene ---------------------------------------------------------------------------

    @property
    def worker(self) -> Process:
        """Return the worker that has the runs."""
        return self.workers[-1]

    @property
    def servers(self) -> Sequence[Service]:
        """Return the killable servers."""
        return self.backend.servers

    def report(self, ended: Exit | None, victim: str, **more: Json) -> None:
        """Write that something was broken, with what the operating system says of it."""
        name = self.fault.name if self.fault else ""
        facts = (
            dataclasses.asdict(ended) if ended else {"pid": None, "signal": None, "status": None}
        )
        self.history.append(
            "fault",
            fault=name,
            stage=self.stage,
            victim=victim,
            must_die=ended is not None,
            **facts,
            **more,
        )
        if ended:
            self.history.append("exit", incarnation=victim, **facts)

    def release(self, how: str) -> None:
        """Let all held requests of this stage go on."""
        for run, point in self.points().items():
            self.world.release(run, run, str(point), how)

    def drift(self) -> None:
        """Change the world of every run as a stranger."""
        for run in self.runs:
            for path, value in self.plan.case.scenario.drift.items():
                self.world.drift(run, path, value)

    def succeed(self) -> None:
        """Start the next worker and give it the runs."""
        self.start_worker(self.plan.ident)

    # Phases ------------------------------------------------------------------------------

    @property
    def runs(self) -> list[str]:
        """Return the runs that schedules act on."""
        return [self.plan.run(index) for index in range(len(self.plan.schedules))]

    @property
    def bystanders(self) -> list[str]:
        """Return the healthy runs of the second worker."""
        return [f"{self.plan.ident}-b{index:04d}" for index in range(self.plan.bystanders)]

    def points(self) -> dict[str, Point]:
        """Return the point of each run at the present stage."""
        return {
            run: schedule.stages[self.stage].point
            for run, schedule in zip(self.runs, self.plan.schedules, strict=True)
            if self.stage < len(schedule.stages)
        }

    def start_worker(self, pool: str) -> Process:
        """Start and attach a worker of a pool, and note how long each part took."""
        spec = self.backend.worker(pool, self.plan.case.ref)
        env = {**spec.env, "BAKEOFF_TIER": str(self.plan.case.tier)}
        worker = self.runner.start(
            "bystander" if pool != self.plan.ident else "worker", dataclasses.replace(spec, env=env)
        )
        self.history.append("spawn", incarnation=worker.incarnation, pid=worker.pid, pool=pool)
        self.workers.insert(len(self.workers) if pool == self.plan.ident else 0, worker)
        announced = worker.announced(Deadline.after(READY_S))
        self.history.append("ready", incarnation=worker.incarnation)
        self.backend.attach(pool, worker, announced)
        self.history.append("attached", incarnation=worker.incarnation)
        return worker

    def prepare(self) -> None:
        """Open a cell for each run, compute its ideal, and arm its points."""
        self.history.subscribe(self.watch.see)
        case = self.plan.case
        for run in [*self.runs, *self.bystanders]:
            cell = Cell.of(case.tier, case.scenario.world, case.answers)
            self.world.open(run, cell, self.history)
            self.ideals[run] = ideal(case, run, arg_of(case, run))
        for run, schedule in zip(self.runs, self.plan.schedules, strict=True):
            for stage in schedule.stages:
                if stage.point.phase != WAITING:
                    keep = fault(stage.fault).keeps
                    self.world.arm(run, run, str(stage.point), keep=keep)
        for run in self.bystanders:
            self.world.arm(run, run, str(self.meet(run)))

    def submit(self) -> None:
        """Hand all runs to the runtime."""
        starts = []
        for run, schedule in zip(self.runs, self.plan.schedules, strict=True):
            waits = any(stage.point.phase == WAITING for stage in schedule.stages)
            starts.append(self._start(run, self.plan.ident, schedule, WAIT_SCALE if waits else 1.0))
            self.history.append("submit", run, schedule=str(schedule))
        for run in self.bystanders:
            starts.append(self._start(run, f"{self.plan.ident}-b", Schedule(), 1.0))
            self.history.append("submit", run, schedule="bystander")
        self.backend.submit(starts)

    def _start(self, run: str, pool: str, schedule: Schedule, slower: float) -> Start:
        case = self.plan.case
        armed = schedule.armed
        groups = self.ideals[run].groups
        if any(stage.point.step in groups for stage in schedule.stages):
            # Siblings must have been recorded before the fault: let them report it.
            armed = tuple(dict.fromkeys([*armed, *(f"{name}/after_ack" for name in groups)]))
        envelope = Envelope(
            trial=self.plan.ident,
            pool=pool,
            cell=run,
            run=run,
            armed=armed,
            guard=self.plan.guard,
            time_scale=case.scenario.time_scale * slower,
        )
        return Start(envelope=envelope, program=case.scenario.main.name, arg=arg_of(case, run))

    def reach(self) -> None:
        """Wait until every run stands at its point (or has ended), then pass the gate."""
        points = self.points()
        waiting = {run: p for run, p in points.items() if p.phase == WAITING}
        round_ = 0

        def arrived() -> bool:
            nonlocal round_
            round_ += 1
            if self.stop.is_set():
                raise StoppedError
            self.signal()
            if not self.worker.alive():
                return True
            missing = [run for run in points if self.why_not(run, points[run])]
            if missing and (waiting or round_ % LOOK_ALL == 0):
                self.look([run for run in missing if run in waiting or self._quiet(run)])
            return all(self._ended(run) or not self.why_not(run, points[run]) for run in points)

        with contextlib.suppress(DeadlineError):  # the gate says, run by run, what is missing
            self.wait(arrived, HOLD_S, "every run stands at its point")
        self.look(list(points))
        for run, point in points.items():
            why = self.why_not(run, point)
            if not why and self._ended(run):
                why = f"the run is already {self.views[run].status}"
            self.history.append("gate", run, stage=self.stage, ok=not why, why=why)

    def why_not(self, run: str, point: Point) -> str:
        """Return why a run does not stand at its point, or an empty string."""
        watch = self.watch.of(run)
        # A view that is older than the run's last event tells nothing of where it waits.
        fresh = self.looked.get(run, -1) > watch.last
        view = self.views.get(run) if fresh else None
        return gate.why_not(point, self.stage, watch, self.ideals[run], view)

    def _quiet(self, run: str) -> bool:
        return not self.watch.of(run).open

    def _ended(self, run: str) -> bool:
        return run in self.views and self.views[run].terminal

    def look(self, runs: Sequence[str]) -> None:
        """Ask the runtime where runs stand."""
        for pool, members in (
            (self.plan.ident, [run for run in runs if _root(run) not in self.bystanders]),
            (f"{self.plan.ident}-b", [run for run in runs if _root(run) in self.bystanders]),
        ):
            if members:
                before = len(self.history)
                for view in self.backend.inspect(pool, members):
                    self.views[view.run] = view
                    self.looked[view.run] = before

    def signal(self) -> None:
        """Send each signal once its run is about to wait for it.

        Where the fault comes while it waits, the signal comes after the fault.
        """
        for signal in self.plan.case.scenario.signals:
            name = f"{signal.event} {signal.key}"
            for run, schedule in zip(
                [*self.runs, *self.bystanders],
                [*self.plan.schedules, *[Schedule()] * self.plan.bystanders],
                strict=True,
            ):
                steps = self.ideals[run].before.get(name)
                later = any(stage.point.step == name for stage in schedule.stages[self.stage :])
                if steps is None or later or (run, name) in self.signalled:
                    continue
                if all(step in self.watch.of(run).replied for step in steps):
                    self.signalled.add((run, name))
                    self.history.append("event", run, name=name, payload=signal.payload)
                    pool = self.plan.ident if run in self.runs else f"{self.plan.ident}-b"
                    envelope = self._start(run, pool, schedule, 1.0).envelope
                    self.backend.send_event(envelope, signal.event, signal.key, signal.payload)

    def wait(self, predicate: Callable[[], bool], idle_s: float, reason: str) -> None:
        """Wait until something holds, as long as runs move at least each ``idle_s`` seconds.

        Raises:
            DeadlineError: nothing moved for so long.

        """
        wait_until(
            predicate,
            Patience(idle_s, self.watch.moved_s),
            reason,
            poll_s=0.1 if self.plan.batch else 0.03,
            # A batch moves all the time: looking after each event would cost more than it tells.
            changed=None if self.plan.batch else self.history.changed,
        )

    def settle(self, idle_s: float) -> None:
        """Wait until every run has ended, or nothing has moved for ``idle_s`` seconds."""
        runs = [*self.runs, *self.bystanders]
        round_ = 0

        def settled() -> bool:
            nonlocal round_
            round_ += 1
            if self.stop.is_set():
                raise StoppedError
            self.signal()
            family = [*runs, *self._children(runs)]
            left = [run for run in family if not self._ended(run)]
            everyone = round_ % LOOK_ALL == 0
            self.look([run for run in left if everyone or self._done(run)])
            for run in left:
                if self._ended(run):
                    self.note(run)
            return all(self._ended(run) for run in [*runs, *self._children(runs)])

        try:
            self.wait(settled, idle_s, "every run has ended")
        except DeadlineError:
            self.look([run for run in runs if not self._ended(run)])

    def _children(self, runs: Sequence[str]) -> list[str]:
        """Return what completed runs have begun: it may outlive them, and ends too."""
        return [
            child
            for run in runs
            if run in self.views and self.views[run].status == "completed"
            for child in self.ideals[run].children
        ]

    def _done(self, run: str) -> bool:
        if "." in run:
            return True
        watch = self.watch.of(run)
        steps = self.ideals[run].steps
        return not watch.open and (not steps or steps[-1] in watch.replied)

    def note(self, run: str) -> None:
        """Write down what the runtime says of a run."""
        view = self.views.get(run, RunView(run=run, status="unknown"))
        data = dataclasses.asdict(view)
        del data["run"]
        self.history.append("view", run, **data)

    def collect(self) -> None:
        """Gather the last evidence: views, journals, worlds, and where the secret stands."""
        for run in [*self.runs, *self.bystanders]:
            if not self._ended(run):
                self.note(run)
            cell = self.world.close(run)
            if cell:
                self.history.append("world", run, values=cell.values(), strange=cell.strange())
        journals: list[Json] = []
        for run in self.runs if not self.plan.batch else []:
            journal = self.backend.journal(self.plan.ident, run)
            entries: list[Json] = [dataclasses.asdict(entry) for entry in journal]
            self.history.append("journal", run, entries=entries)
            journals.append(entries)
        left = [run for run in self.runs if not self._ended(run)]
        if left:
            self.backend.cancel(self.plan.ident, left)
        outputs = {run: view.output for run, view in self.views.items()}
        searched, found = scan(self.secret, self.logs, {"outputs": outputs, "journals": journals})
        self.history.append("scan", searched=searched, found=found)

    def finish(self) -> None:
        """Kill what is left of the workers, and write down what they used."""
        ended: dict[str, Exit] = {}
        for worker in self.workers:
            if worker.alive():
                worker.resume()
                ended[worker.incarnation] = worker.kill()
        for incarnation, how in ended.items():  # the disk may be full: kill first, then write
            self.history.append("exit", incarnation=incarnation, **dataclasses.asdict(how))

    def meet(self, run: str) -> Point:
        """Return where a bystander is held while others are broken."""
        steps = self.ideals[run].steps
        return Point(steps[len(steps) // 2], BEFORE)

    def go(self) -> None:
        """Run all phases."""
        settings: Mapping[str, Json] = self.runtime.settings(self.plan.profile)
        settle_s = float(settings["settle_s"])  # type: ignore[arg-type]
        self.prepare()
        try:
            if self.bystanders:
                self.start_worker(f"{self.plan.ident}-b")
            self.start_worker(self.plan.ident)
            self.submit()
            depth = max((len(schedule.stages) for schedule in self.plan.schedules), default=0)
            for self.stage in range(depth):
                self.fault = fault(self.plan.schedules[0].stages[self.stage].fault)
                self.reach()
                self.fault.inject(self)
                self.fault.heal(self)
                for server in self.servers:
                    server.ready(Deadline.after(READY_S))
                self.history.append("undo", fault=self.fault.name, when="heal")
            self.stage = depth
            for run in self.bystanders:
                self.world.release(run, run, str(self.meet(run)))
            hung = self.fault is not None and self.fault.hangs
            timer_s = float(settings.get("hang_timer_s") or 0.0) if hung else 0.0  # type: ignore[arg-type]
            self.settle(timer_s + settle_s)
            if self.fault and (self.fault.keeps or len(self._alive()) > 1):
                self.wake()
                self.settle(settle_s)
            self.collect()
        finally:
            self.finish()

    def _alive(self) -> list[Process]:
        return [w for w in self.workers if w.alive() and w.name == "worker"]

    def wake(self) -> None:
        """Undo what is undone after recovery, and wait until the late ones are done."""
        assert self.fault  # noqa: S101 - the caller looked
        last = self.stage
        for worker in self._alive():
            worker.resume()
        for self.stage in range(last):
            self.fault.recovered(self)
        self.stage = last
        self.history.append("undo", fault=self.fault.name, when="recovered")
        # Silence is what ends this wait: whatever the woken one does is in the history.
        with contextlib.suppress(DeadlineError):
            self.wait(lambda: False, WATCH_S, "what was woken acts")


def _root(run: str) -> str:
    return run.partition(".")[0]
