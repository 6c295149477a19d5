"""A sweep: every runtime x case x fault, searched in batches and proved by single trials.

Each runtime is a column with a backend of its own, or several with some of its cases each:
columns run side by side.  Within a column everything is in a fixed order, so that an interrupted
sweep can be resumed: a trial whose verdicts are on disk is read, not run again.
"""

from __future__ import annotations

import errno
import re
import secrets
import shlex
import threading

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness import backlog, judging, metrics
from harness.deadline import Deadline
from harness.effects import Guard
from harness.faults import Fault, Means, fault
from harness.guardian import guarding
from harness.history import Event, History, read, split
from harness.load import names
from harness.model import ideal
from harness.plan import Plan, arg_of
from harness.process import ProcessError, Runner
from harness.program import FINALIZE
from harness.rpc import RpcError
from harness.runtime import (
    Backend,
    Dial,
    Kind,
    Parted,
    Runtime,
    RuntimeUnavailableError,
    Stored,
    Support,
)
from harness.scenario import Case
from harness.scene import READY_S, Scene
from harness.schedule import ATTACH, WAITING, Point, Schedule, Stage, parse, visited
from harness.selection import to_prove, within
from harness.site import LocalSite, Lot
from harness.store import Store, StoreError, TrialFolder
from harness.trial import StoppedError, Trial
from harness.world import World
from harness.world.live import Stands


SAMPLE = 2
NO_FAULT = "none"
BACKLOG = 1_000
LIVE = 16
"""So many runs at once ask real servers of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One row of the matrix: a case, a guard, and the faults to try.

    With ``points``, only there, and each schedule alone; ``then`` are further ones at which the
    same fault comes again.  Without ``faults``, only the run without any.
    """

    case: Case
    guard: Guard
    faults: tuple[str, ...]
    points: tuple[Point, ...] = ()
    then: tuple[Point, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """Return what is said of it where it is not measured."""
        return self.faults or (NO_FAULT,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a sweep is asked for.

    ``sample`` clean schedules of each cell are proved alone, chosen by ``seed``; with a
    ``budget``, at most that many schedules of a cell are run, sampled with the same seed.
    ``backlog`` is how many runs stand in the queue for a fault that needs one.
    """

    targets: tuple[Target, ...]
    profile: str = "fast"
    depth: int = 1
    sample: int = SAMPLE
    seed: int = 7
    budget: int = 0
    backlog: int = BACKLOG
    confirm: bool = True


class Listener(Protocol):
    """Who wants to know how a sweep goes on."""

    def begun(self, runtime: str, case: str, guard: str, fault: str) -> None: ...
    def ended(self, runtime: str, case: str, guard: str, fault: str) -> None: ...
    def planned(self, schedules: int) -> None: ...
    def judged(self, schedules: int) -> None: ...
    def skipped(self, runtime: str, case: str, guard: str, fault: str, reason: str) -> None: ...


def slug(text: str) -> str:
    """Return a name for a file."""
    return re.sub(r"[^A-Za-z0-9.,+-]+", "_", text).strip("_")


@dataclass(slots=True)
class Column:
    """One runtime under a sweep; ``lane`` tells its columns apart, if it has several."""

    runtime: Runtime
    reference: str
    request: Request
    store: Store
    world: World
    stands: Stands
    site: LocalSite
    make_runner: Callable[[TrialFolder], Runner]
    server_runner: Runner
    listener: Listener
    secret: str
    stop: threading.Event
    lane: str = ""
    depth: int = 1
    planned: int = 0
    judged: int = 0
    count: int = 0
    prefix: str = field(default_factory=lambda: f"t{secrets.token_hex(3)}")
    backend: Backend | None = None

    @property
    def lot(self) -> Lot:
        """Return the part of the site that is this column's."""
        return Lot(self.site, f"{self.runtime.name}{self.lane}", self.server_runner)

    def run(self) -> None:
        """Run all targets; what cannot run here is skipped with its reason."""
        if self.stop.is_set():
            raise StoppedError
        with ExitStack() as stack:
            try:
                self.backend = stack.enter_context(
                    self.runtime.start(self.lot, self.request.profile)
                )
                for server in self.backend.servers:
                    server.ready(Deadline.after(READY_S))
            except RuntimeUnavailableError as error:
                self.skip_all(str(error))
                return
            except (RpcError, ProcessError) as error:
                # It is here and does not start: that is no fair skip, the count must show it.
                self.planned += 1
                self.skip_all(f"it did not start: {error}")
                return
            for target in self.request.targets:
                self.target(target)

    def skip_all(self, reason: str) -> None:
        """Note that nothing of this runtime is measured."""
        for target in self.request.targets:
            for name in target.named:
                self.skip(target, name, reason)

    def skip(self, target: Target, name: str, reason: str) -> None:
        """Note that a cell is not measured."""
        self.listener.skipped(self.runtime.name, target.case.id, str(target.guard), name, reason)

    def target(self, target: Target) -> None:
        """Run the golden run of a case, then each fault over its points."""
        assert self.backend is not None  # noqa: S101 - started
        mine = getattr(self.runtime, "scenarios", None)
        if mine is not None and target.case.scenario.name not in mine:
            for name in target.named:
                self.skip(target, name, f"it is written for {', '.join(mine)} only")
            return
        used = ideal(target.case, "r", arg_of(target.case, "r")).commands
        asked = {name for one in target.case.scenario.programs for name in one.policy.uses}
        how = self.runtime.capabilities
        missing = sorted(name for name in used | asked if how.get(name) in {None, Support.MISSING})
        if missing:
            for name in target.named:
                self.skip(target, name, f"it has no {', '.join(missing)}")
            return
        try:
            self.stands.need(target.case)
        except RuntimeUnavailableError as error:
            for name in target.named:
                self.skip(target, name, str(error))
            return
        events, rows = self.trial(target, NO_FAULT, 0, "golden", (Schedule(),))
        run = rows[0]["run"]
        end = ideal(target.case, run, arg_of(target.case, run))
        points = visited(split(events).get(run, []), end.waits, self.runtime.witness)
        for name in target.faults:
            broken = fault(name)
            guarded = target.guard is Guard.GATEWAY
            reason = broken.obstacle(self.means(target.case, guarded=guarded))
            if not reason and guarded and not broken.guarded:
                reason = "what it means behind a gateway is not modelled"
            if reason:
                self.skip(target, name, reason)
                continue
            if rows[0]["outcome"] == "unknown":
                self.skip(target, name, f"the run without faults tells nothing: {rows[0]['why']}")
                self.planned += 1
                continue
            self.fault(target, broken, points, end.waits)

    def means(self, case: Case, *, guarded: bool = False) -> Means:
        """Return what the started runtime and a case give a fault to act on."""
        assert self.backend is not None  # noqa: S101 - started
        backend, runtime = self.backend, self.runtime
        return Means(
            servers=backend.servers,
            databases=backend.databases if isinstance(backend, Stored) else (),
            linked=runtime.dial is not Dial.NONE,
            parts=runtime.parts if isinstance(runtime, Parted) else (),
            kept=bool(backend.servers) or runtime.kind is not Kind.SERVER,
            versions=case.scenario.versions,
            cancels=runtime.capabilities.get("cancel") not in {None, Support.MISSING},
            called=runtime.dial is Dial.SERVER,
            guarded=guarded,
            live=case.scenario.live,
            asks=guarded and bool(case.scenario.approvals),
            named=bool(runtime.settings(self.request.profile).get("worker_name")),
        )

    def fault(
        self, target: Target, broken: Fault, points: Sequence[Point], waits: Sequence[str]
    ) -> None:
        """Try a fault at every point, then at every second one, and prove what was found."""
        passed = [Point("", ATTACH), *points]
        wanted = target.points or passed
        first = [
            Schedule(tuple(Stage(at, broken.name) for at in (point, *target.then)))
            for point in passed
            if point.phase in broken.phases and point in wanted
        ]
        if not first:
            where = ", ".join(str(point) for point in target.points)
            reason = f"{target.case.scenario.name} has no point at which it could come"
            self.skip(target, broken.name, f"it does not pass {where}" if where else reason)
            return
        place = (self.runtime.name, target.case.id, str(target.guard), broken.name)
        self.listener.begun(*place)
        second: list[Schedule] = []
        for rows, events in self.search(target, broken, 1, self.cut(first)):
            if self.depth > 1:
                second += self.seconds(broken, rows, events, waits)
        if self.depth > 1:
            order = {str(schedule): index for index, schedule in enumerate(first)}
            second.sort(key=lambda s: order[str(Schedule(s.stages[:1]))])
            for _ in self.search(target, broken, 2, self.cut(second)):
                pass
        self.listener.ended(*place)

    def cut(self, schedules: list[Schedule]) -> list[Schedule]:
        """Return what the budget leaves, in the same order."""
        self.planned += len(schedules)
        self.listener.planned(len(schedules))
        return within(self.request.budget, schedules, self.request.seed)

    def seconds(
        self,
        broken: Fault,
        rows: Sequence[Mapping[str, Any]],
        events: Sequence[Event],
        waits: Sequence[str],
    ) -> Iterator[Schedule]:
        """Yield the schedules that add a second fault to those of a finished trial."""
        histories = split(events)
        for row in rows:
            earlier = parse(row["schedule"])
            at = [stage.point for stage in earlier.stages]
            passed = at[-1].step
            left = waits[waits.index(passed) :] if passed in waits else ()
            if row["outcome"] == "unknown":
                continue
            passes = visited(histories[row["run"]], left, self.runtime.witness, at)
            if row["end"] != "completed":  # it stopped where it was: escalated, or stuck
                passes = [p for p in passes if p.phase not in {WAITING, FINALIZE}]
            for point in passes:
                if point.phase in broken.phases and point.phase != WAITING:
                    yield Schedule((*earlier.stages, Stage(point, broken.name)))

    def search(
        self, target: Target, broken: Fault, depth: int, schedules: Sequence[Schedule]
    ) -> Iterator[tuple[list[dict[str, Any]], list[Event]]]:
        """Run schedules in batches, those at a wait alone; prove violations and a sample."""
        lone = {WAITING, ATTACH}
        alone = [
            s
            for s in schedules
            if target.points or broken.alone or any(st.point.phase in lone for st in s.stages)
        ]
        many = [s for s in schedules if s not in set(alone)]
        found: list[dict[str, Any]] = []
        size = min(self.runtime.batch, LIVE) if target.case.scenario.live else self.runtime.batch
        for start in range(0, len(many), size):
            batch = tuple(many[start : start + size])
            name = f"d{depth}-batch-{start // size:03d}"
            events, rows = self.trial(target, broken.name, depth, name, batch)
            found += rows
            yield rows, events
        for schedule in alone:
            events, rows = self.trial(
                target, broken.name, depth, f"alone-{slug(str(schedule))}", (schedule,)
            )
            yield rows, events
        if self.request.confirm:
            for schedule in to_prove(found, self.request.sample, self.request.seed):
                name = f"single-{slug(str(schedule))}"
                self.trial(target, broken.name, depth, name, (schedule,))

    def trial(
        self, target: Target, name: str, depth: int, label: str, schedules: tuple[Schedule, ...]
    ) -> tuple[list[Event], list[dict[str, Any]]]:
        """Run a trial, or read it if its verdicts are on disk."""
        if self.stop.is_set():
            raise StoppedError
        key = "/".join(
            slug(part)
            for part in (self.runtime.name, f"{target.case.id}-{target.guard}", name, label)
        )
        folder = self.store.trial(key)
        if not folder.finished:
            self.live(target, name, depth, key, folder, schedules)
        rows = folder.rows()
        if rows[0]["mode"] != "single" and depth:
            self.judged += len(rows)
            self.listener.judged(len(rows))
        return read(folder.history), rows

    def live(
        self,
        target: Target,
        name: str,
        depth: int,
        key: str,
        folder: TrialFolder,
        schedules: tuple[Schedule, ...],
    ) -> None:
        """Run a trial and put its rows into the store."""
        assert self.backend is not None  # noqa: S101 - started
        self.count += 1
        batch = len(schedules) > 1
        plan = Plan(
            key=key,
            ident=f"{self.prefix}-{self.count:04d}",
            case=target.case,
            guard=target.guard,
            profile=self.request.profile,
            schedules=schedules,
            bystanders=1 if batch else 0,
            backlog=self.request.backlog if name != NO_FAULT and fault(name).queues else 0,
        )
        # What proves is called so: a search of one schedule only is no proof of an earlier one.
        lone = "single" if "/single-" in key else "alone"
        mode = "golden" if not depth else "batch" if batch else lone
        facts = self.facts(plan, target, name, depth, mode)
        try:
            folder.begin(facts)
            with History(folder.history) as history:
                self.play(plan, folder, history, facts)
                events = list(history)
            rows = judging.rows(facts, events)
            folder.finish(rows, metrics.usage(events) | backlog.drain(plan.queued, events))
            self.store.append(rows)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            msg = f"the disk is full: {folder.path}; make room and go on with --resume"
            raise StoreError(msg) from error

    def play(
        self, plan: Plan, folder: TrialFolder, history: History, facts: Mapping[str, Any]
    ) -> None:
        """Run the live part; what breaks in it is written down, and shows nothing."""
        assert self.backend is not None  # noqa: S101 - started
        runner = self.make_runner(folder)
        scene = Scene(
            plan=plan,
            backend=self.backend,
            world=self.world,
            stands=self.stands,
            runner=runner,
            history=history,
            find_links=lambda: self.site.links(self.lot.name, plan.ident),
            refusing=lambda: self.site.refusing(plan.ident),
            store=self.site.folder / self.lot.name,
            copy_to=self.site.folder / "copies" / plan.ident,
            settings=self.runtime.settings(plan.profile),
        )
        trial = Trial(
            scene=scene,
            runtime=self.runtime,
            secret=self.secret,
            logs=folder.logs,
            stop=self.stop,
        )
        history.append("trial", **facts)
        try:
            with ExitStack() as stack:
                if plan.guard is Guard.GATEWAY:
                    # A short path: a socket's has some hundred bytes at most.
                    place = self.site.folder / "g" / plan.ident
                    place.mkdir(parents=True)
                    start = guarding("gateway")
                    providers = plan.case.scenario.providers
                    scene.guardian = stack.enter_context(
                        start(runner, place, self.world.address, plan.case.tier, providers)
                    )
                trial.go()
        except (StoppedError, OSError):
            raise
        except Exception as error:
            if self.stop.is_set():
                raise StoppedError from error
            why = f"{type(error).__name__}: {error}"
            for run in plan_runs(plan):
                history.append("gate", run, stage=0, ok=False, why=why)
            for run in [*plan_runs(plan), *scene.bystanders, *plan.queued]:
                self.world.close(run)
        events = list(history)
        for found in [
            *judging.bystanders(facts, plan.case, events),
            *backlog.fared(plan.queued, plan.case, events),
        ]:
            history.append("bystander", **found)

    def again(self, target: Target) -> str:
        """Return the options by which ``bakeoff replay`` finds the same column and case."""
        case = target.case
        inner = case.id.partition("[")[2]
        name = case.id if case.scenario.name in names("scenarios") else f"{case.ref}[{inner}"
        options = ("--runtime", self.reference, "--scenario", name)
        more = ("--guard", str(target.guard), "--profile", self.request.profile)
        return shlex.join([*options, *more])

    def facts(self, plan: Plan, target: Target, name: str, depth: int, mode: str) -> dict[str, Any]:
        """Return what ``trial.json`` says."""
        runs = plan_runs(plan)
        steps = ideal(target.case, runs[0], arg_of(target.case, runs[0])).steps
        return {
            "key": plan.key,
            "ident": plan.ident,
            "runtime": self.runtime.name,
            "reference": self.reference,
            "kind": str(self.runtime.kind),
            "guarantee": str(self.runtime.guarantee),
            "profile": plan.profile,
            "settings": dict(self.runtime.settings(plan.profile)),
            "case": target.case.id,
            "again": self.again(target),
            "case_ref": target.case.ref,
            "tier": str(target.case.tier),
            "variant": target.case.variant,
            "guard": str(plan.guard),
            "fault": name,
            "depth": depth,
            "mode": mode,
            "schedules": [str(schedule) for schedule in plan.schedules],
            "runs": runs,
            "bystanders": [f"{plan.ident}-b{index:04d}" for index in range(plan.bystanders)],
            "meets": steps[len(steps) // 2] if steps else "",
        }


def plan_runs(plan: Plan) -> list[str]:
    """Return the run ids of a plan."""
    return [plan.run(index) for index in range(len(plan.schedules))]
