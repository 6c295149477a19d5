"""The gate: a workflow that lets the runs of a program begin as its policy wants it."""

from __future__ import annotations

import asyncio
import json

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import FailureError

from harness.policy import RateLimit, Throttle
from harness.worker import BEAT_S
from runtimes.temporal.child import OPTIONS, PLACE, SCENARIO, TASK
from runtimes.temporal.settings import ADMIT, ASK, GATE, GATED, HAPPENED


CLOSED = "bakeoff.closed"


@dataclass(slots=True, eq=False)
class Asked:
    """A run that was asked for, and what it is given."""

    run: str
    arg: Any

    def key(self, name: str) -> str:
        """Return what limits by the field of that name tell runs apart by."""
        return json.dumps(self.arg.get(name)) if name else ""


@dataclass(slots=True)
class Group:
    """Runs of which one is to begin, at ``due_s``."""

    first_s: float
    due_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)


@dataclass(slots=True)
class Window:
    """When runs of each key were let in."""

    rule: Throttle | RateLimit
    times_s: dict[str, list[float]] = field(default_factory=dict)

    def free_s(self, one: Asked) -> float:
        """Return from when on there is room for one more."""
        last_s = self.times_s.get(one.key(self.rule.key), [])[-self.rule.limit :]
        full = len(last_s) == self.rule.limit
        return last_s[0] + self.rule.period_s * SCENARIO.time_scale if full else 0.0

    def take(self, one: Asked) -> None:
        """Let one in."""
        self.times_s.setdefault(one.key(self.rule.key), []).append(now_s())


def now_s() -> float:
    """Return the moment of the workflow task."""
    return workflow.now().timestamp()


@workflow.defn(name=GATE)
class Gate:
    """Lets the runs of a program begin as its policy wants it."""

    @workflow.init
    def __init__(self, program: str) -> None:
        """Begin with nobody there."""
        self.policy = policy = SCENARIO.program(program).policy
        self.known: set[str] = set()
        self.there: set[str] = set()
        self.groups: dict[str, Group] = {}
        self.ready: list[Asked] = []
        self.begun: dict[str, Asked] = {}
        self.moved = False
        self.tasks: list[asyncio.Task[None]] = []
        self.pace = Window(policy.throttle) if policy.throttle else None
        self.strict = [Window(policy.rate_limit)] if policy.rate_limit else []
        if same := policy.dedupe:
            once = RateLimit(limit=1, period_s=same.period_s, key=same.key)
            self.strict.append(Window(once))

    @workflow.run
    async def run(self, program: str) -> None:
        """Admit whenever something has moved or is due."""
        del program
        while True:
            self.moved = False
            self.admit()
            due_s = [group.due_s for group in self.groups.values()]
            due_s += [free_s for one in self.ready if (free_s := self.paced_s(one)) > now_s()]
            left_s = min(due_s) - now_s() if due_s else None
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: self.moved, timeout=left_s)

    @workflow.signal(name=ASK)
    def ask(self, asks: list[dict[str, Any]]) -> None:
        """Take note of runs, in order, and of those that are there already."""
        for ask in asks:
            if ask["there"]:
                self.there.add(ask["run"])
            if ask["run"] not in self.known:
                self.known.add(ask["run"])
                self.arrive(Asked(ask["run"], ask["arg"]))
        self.moved = True

    @workflow.signal(name=HAPPENED)
    def happened(self, told: dict[str, Any]) -> None:
        """Cancel the runs that match an event; sent twice it is one."""
        if told["id"] in self.known:
            return
        self.known.add(told["id"])
        payload = told["payload"]
        for rule in self.policy.cancel_on:
            if rule.event == told["event"] and (not rule.where or rule.where.met(payload)):
                same = Asked("", payload).key(rule.match)
                for one in [one for one in self.open() if one.key(rule.match) == same]:
                    self.refuse(one)

    def open(self) -> list[Asked]:
        """Return the runs that have not ended."""
        grouped = [one for group in self.groups.values() for one in group.asked]
        return [*self.begun.values(), *self.ready, *grouped]

    def arrive(self, one: Asked) -> None:
        """Refuse a run, gather it, or let it wait for a place."""
        refused = any(window.free_s(one) > now_s() for window in self.strict)
        if single := self.policy.singleton:
            key = one.key(single.key)
            rivals = [other for other in self.open() if other.key(single.key) == key]
            refused |= single.mode == "skip" and bool(rivals)
            for rival in rivals if not refused else ():
                self.refuse(rival)
        if refused:
            self.refuse(one)
            return
        for window in self.strict:
            window.take(one)
        if self.policy.debounce or self.policy.batch:
            self.gather(one)
        else:
            self.ready.append(one)

    def gather(self, one: Asked) -> None:
        """Put a run to those of which one will begin."""
        calm, batch, scale = self.policy.debounce, self.policy.batch, SCENARIO.time_scale
        key = one.key(calm.key) if calm else ""
        group = self.groups.pop(key, None) or Group(now_s())
        if calm:
            for earlier in group.asked:
                self.refuse(earlier)
            group.asked.clear()
            group.due_s = min(now_s() + calm.period_s * scale, group.first_s + calm.max_s * scale)
        group.asked.append(one)
        self.groups[key] = group
        if batch:
            group.due_s = group.first_s + batch.wait_s * scale
            if len(group.asked) == batch.size:
                self.flush(key)

    def flush(self, key: str) -> None:
        """Let the first of a group wait for its place; a batch has the arguments of all."""
        asked = self.groups.pop(key).asked
        if self.policy.batch:
            asked[0].arg = {"batch": [one.arg for one in asked]}
        for one in asked[1:]:
            self.refuse(one)
        self.ready.append(asked[0])

    def admit(self) -> None:
        """Begin what is due and has a place; the highest goes first, then the earliest."""
        due = [key for key, group in self.groups.items() if group.due_s <= now_s()]
        for key in due:
            self.flush(key)
        if rank := self.policy.priority:
            self.ready.sort(key=lambda one: one.arg.get(rank, 0), reverse=True)
        for one in [*self.ready]:
            if self.room(one) and self.paced_s(one) <= now_s():
                self.ready.remove(one)
                self.begun[one.run] = one
                if self.pace:
                    self.pace.take(one)
                self.tasks.append(asyncio.create_task(self.hold(one)))

    def paced_s(self, one: Asked) -> float:
        """Return from when on a run may begin."""
        return self.pace.free_s(one) if self.pace else 0.0

    def room(self, one: Asked) -> bool:
        """Say whether there is a place for a run."""
        if not (rule := self.policy.concurrency):
            return True
        held = [other for other in self.begun.values() if other.key(rule.key) == one.key(rule.key)]
        return len(held) < rule.limit

    async def hold(self, one: Asked) -> None:
        """Let a run go on once it is there, and keep its place until it is closed."""
        closed = workflow.start_activity(CLOSED, one.run, **OPTIONS)
        await workflow.wait_condition(lambda: one.run in self.there or closed.done())
        with suppress(FailureError):  # it has been closed meanwhile
            await workflow.get_external_workflow_handle(PLACE.id(one.run)).signal(ADMIT, one.arg)
        await closed
        del self.begun[one.run]
        self.moved = True

    def refuse(self, one: Asked) -> None:
        """Cancel a run; one that has begun keeps its place until it is closed."""
        self.ready = [other for other in self.ready if other is not one]
        for group in self.groups.values():
            group.asked = [other for other in group.asked if other is not one]
        self.groups = {key: group for key, group in self.groups.items() if group.asked}
        self.tasks.append(asyncio.create_task(self.cancel(one.run)))

    async def cancel(self, run: str) -> None:
        """Cancel a run once it is there; one that is closed already is left alone."""
        await workflow.wait_condition(lambda: run in self.there)
        with suppress(FailureError):
            await workflow.get_external_workflow_handle(PLACE.id(run)).cancel()


@activity.defn(name=CLOSED)
async def closed(run: str) -> None:
    """Return once a run is closed."""
    handle = activity.client().get_workflow_handle(PLACE.id(run))
    end = asyncio.ensure_future(handle.result(follow_runs=False))
    try:
        while not end.done():
            activity.heartbeat()
            await asyncio.wait([end], timeout=BEAT_S)
        with suppress(WorkflowFailureError):
            end.result()
    finally:
        end.cancel()


async def open_gates(client: Client, pool: str) -> None:
    """Start the gates of a pool that do not stand yet."""
    for program in SCENARIO.programs:
        if program.policy.uses & GATED:
            await client.start_workflow(
                GATE,
                program.name,
                id=PLACE.gate(pool, program.name),
                task_queue=PLACE.queue(pool),
                task_timeout=TASK,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
