"""The scene of a trial: its processes, its world, and what faults do to them.

Only what the trial started can be touched.  Every act is written down with what the operating
system, the link or the worker itself says of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.effects import Json
from harness.faults import Fault, UnconfirmedError
from harness.guardian import Guardian
from harness.history import History
from harness.link import Mode
from harness.meter import MeteredLink
from harness.plan import Plan, arg_of
from harness.process import Exit, Process, Runner, Service
from harness.runtime import TERMINAL, Backend, Envelope, Start, Stored
from harness.schedule import BEFORE, Point, Schedule
from harness.signature import GIVEN_UP
from harness.snapshot import Snapshot
from harness.watch import Watch
from harness.world import World
from harness.world.live import Stands


READY_S = 60.0
LOOK_S = 0.25
HOUR_S = 3600.0


@dataclass(slots=True)
class Scene:
    """What is on stage; ``stage`` counts the faults of the schedules."""

    plan: Plan
    backend: Backend
    world: World
    stands: Stands
    runner: Runner
    history: History
    find_links: Callable[[], Sequence[MeteredLink]]
    refusing: Callable[[], AbstractContextManager[None]]
    """Makes the links that come while it is entered refuse from their first moment."""
    store: Path
    copy_to: Path
    settings: Mapping[str, Json]
    watch: Watch = field(default_factory=Watch)
    workers: list[Process] = field(default_factory=list)
    maimed: list[Process] = field(default_factory=list)
    signalled: set[tuple[str, str]] = field(default_factory=set)
    queued: list[str] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    """How the runs were handed over."""
    ways: dict[str, Sequence[str]] = field(default_factory=dict)
    """The steps of each run, in order."""
    bars: dict[str, Point] = field(default_factory=dict)
    guardian: Guardian | None = None
    snapshot: Snapshot | None = None
    unmet: tuple[Process, Mapping[str, Json]] | None = None
    version: str = ""
    forestalled: int | None = None
    ahead_s: float = 0.0
    named: str = ""
    """By which name its engine knows the newest worker, if by any."""
    aged_s: float = 0.0
    stage: int = 0
    fault: Fault | None = None

    @property
    def worker(self) -> Process:
        """Return the worker that has the runs."""
        return self.workers[-1]

    @property
    def servers(self) -> Sequence[Service]:
        """Return the killable servers."""
        return self.backend.servers

    @property
    def databases(self) -> Sequence[Service]:
        """Return the servers that keep the others' data."""
        return self.backend.databases if isinstance(self.backend, Stored) else ()

    @property
    def links(self) -> Sequence[MeteredLink]:
        """Return the links to the workers of the runs; some runtimes make them for a worker."""
        return self.find_links()

    @property
    def runs(self) -> list[str]:
        """Return the runs that schedules act on."""
        return [self.plan.run(index) for index in range(len(self.plan.schedules))]

    @property
    def bystanders(self) -> list[str]:
        """Return the healthy runs of the second worker."""
        return [f"{self.plan.ident}-b{index:04d}" for index in range(self.plan.bystanders)]

    @property
    def bystanding(self) -> str:
        """Return the pool of the bystanders."""
        return f"{self.plan.ident}-b"

    def points(self) -> dict[str, Point]:
        """Return the point of each run at the present stage."""
        return {
            run: schedule.stages[self.stage].point
            for run, schedule in zip(self.runs, self.plan.schedules, strict=True)
            if self.stage < len(schedule.stages)
        }

    # What faults do ----------------------------------------------------------------------

    def maim(self, part: str) -> None:
        """Kill a part of the worker, and write it down; the rest lives on at most to the end."""
        worker = self.worker
        self.maimed.append(worker)
        ended = worker.kill(part)
        # The body may run in another process of the worker, which is no victim.
        victim = worker.incarnation if not worker.alive() else f"{worker.incarnation}/{part}"
        self.report(None, victim, part=part, killed=ended.pid)

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

    def until(self, predicate: Callable[[], bool], reason: str) -> None:
        """Wait for the evidence that a fault does what it should.

        Raises:
            DeadlineError: it did not come within ``READY_S`` seconds.

        """
        wait_until(predicate, Deadline.after(READY_S), reason)

    def release(self, how: str) -> None:
        """Let all held requests of this stage go on."""
        for run, point in self.points().items():
            self.world.release(run, run, str(point), how)

    def freed(self) -> bool:
        """Say whether no request of this stage is held any more."""
        return all(self.watch.of(run).held != str(at) for run, at in self.points().items())

    def drift(self) -> None:
        """Change the world of every run as a stranger."""
        for run in self.runs:
            for path, value in self.plan.case.scenario.drift.items():
                self.world.drift(run, path, value)

    def forestall(self) -> None:
        """Have a stranger change the world once a human is asked, before he answers."""
        self.forestalled = self.stage

    def asked(self) -> None:
        """Do what is to come between a question and its answer."""
        if self.forestalled is not None:
            now, self.stage = self.stage, self.forestalled  # it is the fault of that stage
            self.drift()
            self.report(None, "")
            self.stage, self.forestalled = now, None
            self.tell("a human was asked, then the world was changed, then he said yes")

    def succeed(self, version: str = "", env: Mapping[str, str] | None = None) -> None:
        """Start the next worker and give it the runs; a version stays for those after it.

        Raises:
            UnconfirmedError: it says that it runs another version.

        """
        self.version = version or self.version
        self.start_worker(self.plan.ident, env or {})

    def cancel(self) -> None:
        """Cancel the runs; once that was taken, no step of theirs may begin."""
        runs: list[Json] = [*self.points()]
        self.backend.cancel(self.plan.ident, [*self.points()])
        self.report(None, "", cancelled=runs)

    def age(self, for_s: float) -> None:
        """Let time pass in the world of every run, and for the workers to come."""
        for run in self.runs:
            self.world.age(run, for_s)
        self.aged_s += for_s
        self.tell(f"{for_s / HOUR_S:g} h passed while nobody was there")

    def revoke(self) -> None:
        """End the tokens of the runs; once that was taken, no step of theirs may begin."""
        assert self.guardian  # noqa: S101 - a fault that revokes asks for one
        runs, began_s = [*self.points()], time.monotonic()
        self.guardian.revoke(runs)
        took_s = time.monotonic() - began_s
        self.report(None, "", revoked=[*runs])
        self.tell(f"the tokens had ended after {took_s:.3f} s")

    def repeat(self) -> None:
        """Hand the runs to the runtime once more, as they were."""
        self.backend.submit(self.starts)
        self.history.append("repeat", runs=[start.envelope.run for start in self.starts])

    def asked_twice(self, most_s: float) -> bool:
        """Wait until another worker has asked for the steps too, or for ``most_s``."""
        mine = self.worker.incarnation
        steps = {(run, point.step) for run, point in self.points().items()}

        def asked() -> bool:
            found = {
                (event.run, event.data["step"])
                for event in list(self.history)
                if event.data.get("incarnation") == mine
                and (event.kind == "call" or event.data.get("ask") == "asked")
            }
            return steps <= found

        with contextlib.suppress(DeadlineError):
            wait_until(asked, Deadline.after(most_s), "both have asked", poll_s=LOOK_S)
        return asked()

    def bar(self) -> None:
        """Hold whoever goes on with a run at the step after the one where it stands."""
        planned = dict(zip(self.runs, self.plan.schedules, strict=True))
        for run, at in self.points().items():
            way = self.ways.get(run, ())
            ahead = way[way.index(at.step) + 1 :] if at.step in way else ()
            for point in [Point(step, BEFORE) for step in ahead[:1]]:
                if point not in {stage.point for stage in planned[run].stages}:
                    self.world.arm(run, run, str(point))
                    self.bars[run] = point

    def barred(self, most_s: float) -> bool:
        """Wait until every run is held there or has ended, or for ``most_s``; say if all are."""

        def held(run: str) -> bool:
            return run in self.bars and self.watch.of(run).held == str(self.bars[run])

        def there() -> bool:
            left = [run for run in self.points() if not held(run)]
            views = self.backend.inspect(self.plan.ident, left) if left else ()
            return all(view.terminal for view in views)

        with contextlib.suppress(DeadlineError):
            wait_until(there, Deadline.after(most_s), "every run has gone on", poll_s=LOOK_S)
        return all(held(run) for run in self.points())

    def unbar(self) -> None:
        """Let whoever is held there go on."""
        for run, point in self.bars.items():
            self.world.release(run, run, str(point))
        self.bars.clear()

    def queue(self) -> None:
        """Submit the backlog: nobody is there to begin it."""
        case, starts = self.plan.case, []
        for run in [run for run in self.plan.queued if run not in self.queued]:
            self.open(run)
            starts.append(self.start(run, self.plan.ident))
            self.history.append("submit", run, schedule="backlog")
            self.queued.append(run)
        if starts:
            self.backend.submit(starts)
            self.history.append("backlog", size=len(starts), case=case.id)

    def copy(self) -> None:
        """Take the copy of the store that a fault puts back later.

        Raises:
            UnconfirmedError: there is nothing to copy.

        """
        self.snapshot = Snapshot.take(self.store, self.copy_to, self.plan.ident, self.servers)
        if self.snapshot.empty():
            msg = "the runtime keeps no store in the folder that the site lent it"
            raise UnconfirmedError(msg)
        self.history.append("copy", fault=self.fault.name if self.fault else "")

    def rewind(self) -> None:
        """Put the copy of the store in its place; what was signalled since is signalled again."""
        assert self.snapshot  # noqa: S101 - a fault that rewinds asks for a copy
        self.snapshot.restore()
        forgotten = self.runs if self.snapshot.pool else [*self.runs, *self.bystanders]
        self.signalled = {(run, name) for run, name in self.signalled if run not in forgotten}
        self.history.append("rewind", whole=not self.snapshot.pool)

    def keep_empty(self) -> None:
        """Take the copy of a store in which there is no run of the trial; servers restart for it.

        Raises:
            UnconfirmedError: there is nothing to copy.

        """
        for server in self.servers:
            server.kill()
        self.copy()
        for server in self.servers:
            server.restart()
        for server in self.servers:
            server.ready(Deadline.after(READY_S))

    def empty(self) -> None:
        """Put the copy without runs in the place of the store."""
        assert self.snapshot  # noqa: S101 - a fault that empties asks for a copy
        self.snapshot.restore()
        self.history.append("wipe")

    def abandoned(self, most_s: float) -> bool:
        """Wait until the runtime has given all runs up, or for ``most_s``; say whether it has."""
        return self._came_to(GIVEN_UP, most_s)

    def ended(self, most_s: float) -> bool:
        """Wait until all runs have ended, or for ``most_s``; say whether they have."""
        return self._came_to(TERMINAL, most_s)

    def _came_to(self, statuses: Collection[str], most_s: float) -> bool:
        pool, runs = self.plan.ident, [*self.points()]

        def there() -> bool:
            return all(view.status in statuses for view in self.backend.inspect(pool, runs))

        try:
            wait_until(there, Deadline.after(most_s), "every run has come there", poll_s=LOOK_S)
        except DeadlineError:
            return False
        return True

    def outlast(self, for_s: float) -> None:
        """Leave everything as it is for so long: what the runtime makes of that is in the history.

        The time is the fault: nothing is waited for.
        """
        with contextlib.suppress(DeadlineError):
            wait_until(lambda: False, Deadline.after(for_s), "it takes long", poll_s=LOOK_S)

    def introduce(self) -> None:
        """Tell the runtime of a first worker that it cannot reach, and write down what it says."""
        worker, announced = self.spawn_worker(self.plan.ident)
        with self.refusing(), ThreadPoolExecutor(1) as aside:
            told = aside.submit(self.backend.attach, self.plan.ident, worker, announced)
            failure = told.exception()
        if failure:
            self.unmet = (worker, announced)
            self.tell(f"told of a worker that it cannot reach, the engine refuses: {failure}")
        else:
            self.history.append("attached", incarnation=worker.incarnation)
            self.tell("the engine takes a worker that it cannot reach, and says nothing")

    def meet(self) -> None:
        """Let the links pass; a worker that was refused is introduced again."""
        for link in self.links:
            link.set_mode(Mode.PASS)
        if self.unmet:
            worker, announced = self.unmet
            self.backend.attach(self.plan.ident, worker, announced)
            self.unmet = None
            self.history.append("attached", incarnation=worker.incarnation)

    def tell(self, text: str) -> None:
        """Write down what else is to be said of a fault, as a sentence."""
        self.history.append("told", text=" ".join(text.split()))

    # What the trial does -----------------------------------------------------------------

    def open(self, run: str) -> None:
        """Open a cell for a run."""
        self.world.open(run, self.stands.cell(self.plan.case, run), self.history)

    def start(self, run: str, pool: str, armed: tuple[str, ...] = (), slower: float = 1.0) -> Start:
        """Return how a run is submitted; its waits last ``slower`` times as long."""
        case = self.plan.case
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

    def start_worker(self, pool: str, env: Mapping[str, str] | None = None) -> Process:
        """Start and attach a worker of a pool, and note how long each part took.

        Raises:
            UnconfirmedError: it says that it runs another version than it should.

        """
        worker, announced = self.spawn_worker(pool, env)
        self.backend.attach(pool, worker, announced)
        self.history.append("attached", incarnation=worker.incarnation)
        return worker

    def spawn_worker(
        self, pool: str, env: Mapping[str, str] | None = None
    ) -> tuple[Process, Mapping[str, Json]]:
        """Start a worker of a pool; return it with what it announced.

        Raises:
            UnconfirmedError: it says that it runs another version than it should.

        """
        spec = self.backend.worker(pool, self.plan.case.ref)
        mine = pool == self.plan.ident
        version = self.version if mine else ""
        whole = {**spec.env, "BAKEOFF_TIER": str(self.plan.case.tier), **(env or {})}
        if version:
            whole["BAKEOFF_VERSION"] = version
        if self.aged_s:
            whole["BAKEOFF_AHEAD_S"] = f"{self.aged_s:g}"
        if self.guardian:  # and whoever is behind it holds no credential
            whole |= {"BAKEOFF_WORLD": self.guardian.address, "BAKEOFF_CREDENTIAL": ""}
        worker = self.runner.start(
            "worker" if mine else "bystander", dataclasses.replace(spec, env=whole)
        )
        self.history.append("spawn", incarnation=worker.incarnation, pid=worker.pid, pool=pool)
        self.workers.insert(len(self.workers) if mine else 0, worker)
        announced = worker.announced(Deadline.after(READY_S))
        self.ahead_s = float(str(announced.get("clock_s", time.time()))) - time.time()
        self.named = str(announced.get("worker", ""))
        self.history.append(
            "ready",
            incarnation=worker.incarnation,
            version=version,
            ahead_s=self.ahead_s,
            worker=self.named,
        )
        if announced.get("version", "") != version:
            msg = f"{worker.incarnation} runs {announced.get('version')!r}, not {version!r}"
            raise UnconfirmedError(msg)
        return worker, announced

    def alive(self) -> list[Process]:
        """Return the live workers of the runs."""
        return [w for w in self.workers if w.alive() and w.name == "worker"]

    def armed(self, schedule: Schedule, groups: Mapping[str, str]) -> tuple[str, ...]:
        """Return what a worker must report; of siblings, that each was recorded."""
        if any(stage.point.step in groups for stage in schedule.stages):
            reports = (f"{name}/after_ack" for name in groups)
            return tuple(dict.fromkeys([*schedule.armed, *reports]))
        return schedule.armed

    def clear(self) -> None:
        """Kill what is left of the workers, heal the links, and write down what was used."""
        for link in self.links:
            link.set_mode(Mode.PASS)
        ended: dict[str, Exit] = {}
        for worker in self.workers:
            if worker.alive():
                worker.resume()
                ended[worker.incarnation] = worker.kill()
            elif worker in self.maimed:
                worker.kill()
        if self.snapshot:
            shutil.rmtree(self.snapshot.copy, ignore_errors=True)
        for incarnation, how in ended.items():  # the disk may be full: kill first, then write
            self.history.append("exit", incarnation=incarnation, **dataclasses.asdict(how))
