"""What Restate has no declaration for, as its users write it: virtual objects and delayed sends.

A gate is a virtual object for each rule of a program and each key.  A run asks it before it
begins; where it must wait, the gate resolves a promise of the run later.  A run that never may
ends as cancelled.
"""

from __future__ import annotations

import asyncio
import json

from collections.abc import Awaitable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn

import restate

from restate.serde import JsonSerde

from harness.effects import Json
from harness.policy import CancelOn
from harness.runtime import Envelope
from harness.scenario import Program
from harness.worker import child_envelope
from runtimes.restate.declared import ASKED, exclusive, field
from runtimes.restate.runs import (
    POOL,
    SCENARIO,
    STOPPED,
    TIMERS,
    deliver,
    identity,
    main,
    started,
)
from runtimes.support.cron import Cron


GATE = restate.VirtualObject(f"bakeoff-{POOL}.gate", **TIMERS)
AIDS = restate.Service(f"bakeoff-{POOL}.aids", **TIMERS)
SERVICES = (GATE, AIDS)
BEGIN, WAIT, DROP, CANCEL = "begin", "wait", "drop", "cancel"
ANY = 1 << 31


def details() -> dict[str, Json]:
    """Return what the backend must know: the events that concern somebody, and the clocks."""
    events = {event for program in SCENARIO.programs for event in program.on}
    events |= {rule.event for program in SCENARIO.programs for rule in program.policy.cancel_on}
    clocks: list[Json] = [program.name for program in SCENARIO.programs if program.policy.cron]
    return {"events": [*sorted(events)], "clocks": clocks}


# Starts ------------------------------------------------------------------------------------


async def admitted(
    context: restate.WorkflowContext, program: Program, envelope: Envelope, arg: Json
) -> None:
    """Return once a run may begin.

    Raises:
        TerminalError: it never may, or did not in time.

    """
    policy, scale, me = program.policy, envelope.time_scale, identity(context)
    now_s = await context.time()
    me["asked_s"] = float(context.request().headers.get(ASKED, now_s))
    late: list[restate.RestateDurableFuture[Any]] = []
    if policy.start_timeout_s is not None:
        left_s = me["asked_s"] + policy.start_timeout_s * scale - now_s
        if left_s <= 0:
            refuse("start_timeout")
        late = [context.sleep(timedelta(seconds=left_s))]
    for rule, handler, key, asked in rules(program, arg, scale):
        gate = place(program, rule, field(arg, key))
        said = await context.object_call(handler, gate, {**me, **asked, "rule": rule})
        if said == WAIT:
            told: restate.RestateDurableFuture[Any] = context.promise(rule).value()
            done, _ = await restate.wait_completed(told, *late)
            said = (await told)["payload"] if told in done else DROP
        if said == DROP:
            refuse(rule)
    if policy.finish_timeout_s is not None:
        delay = timedelta(seconds=policy.finish_timeout_s * scale)
        context.service_send(stop, me["id"], send_delay=delay)


def refuse(rule: str) -> NoReturn:
    """End a run that may not begin, in the server's own word for a stop."""
    msg = f"cancelled: {rule}"
    raise restate.TerminalError(msg, STOPPED)


def rules(program: Program, arg: Json, scale: float) -> Iterator[tuple[str, Any, str, Any]]:
    """Yield the gates of a run in order: rule, handler, field of the key, what it is told."""
    policy = program.policy
    if same := policy.dedupe:
        yield "dedupe", book, same.key, {"limit": 1, "period_s": same.period_s * scale, "or": DROP}
    if single := policy.singleton:
        full = DROP if single.mode == "skip" else CANCEL
        yield "singleton", enter, single.key, {"limit": 1, "or": full}
    if last := policy.debounce:
        timers = {"period_s": last.period_s * scale, "max_s": last.max_s * scale}
        yield "debounce", settle, last.key, timers
    for rate, full in ((policy.rate_limit, DROP), (policy.throttle, WAIT)):
        if rate:
            booking = {"limit": rate.limit, "period_s": rate.period_s * scale, "or": full}
            yield type(rate).__name__, book, rate.key, booking
    if (room := policy.concurrency) and not exclusive(policy):
        rank = field(arg, policy.priority) or 0
        yield "concurrency", enter, room.key, {"limit": room.limit, "or": WAIT, "rank": rank}
    for match in dict.fromkeys(rule.match for rule in policy.cancel_on):
        if isinstance(arg, dict) and match in arg:
            yield f"cancel_on {match}", enter, match, {"limit": ANY}


def place(program: Program, rule: str, value: Json) -> str:
    """Return the name of a gate."""
    return f"{program.name}/{rule}/{json.dumps(value)}"


def tell(context: restate.ObjectContext, one: Any, said: str, delay_s: float = 0.0) -> None:  # noqa: ANN401 - JSON
    """Tell a run that waits what became of it."""
    word = {"name": one["rule"], "payload": said}
    context.workflow_send(deliver, one["run"], word, send_delay=timedelta(seconds=delay_s))


@GATE.handler("book")
async def book(context: restate.ObjectContext, asked: Any) -> str:  # noqa: ANN401 - JSON
    """Give a run the next free start of a period: now, later or never."""
    now_s, limit = await context.time(), asked["limit"]
    booked = await context.get("booked", type_hint=list) or []
    recent = [begins_s for begins_s in booked if begins_s + asked["period_s"] > now_s]
    free_s = recent[-limit] + asked["period_s"] if len(recent) >= limit else now_s
    if free_s > now_s and asked["or"] == DROP:
        return DROP
    context.set("booked", [*recent, free_s])
    if free_s > now_s:
        tell(context, asked, BEGIN, free_s - now_s)
        return WAIT
    return BEGIN


@GATE.handler("settle")
async def settle(context: restate.ObjectContext, asked: Any) -> str:  # noqa: ANN401 - JSON
    """Let a run wait for quiet; the one that was asked for last takes the place of the other."""
    now_s, pending = await context.time(), await context.get("pending", type_hint=dict)
    if pending and pending["asked_s"] > asked["asked_s"]:
        return DROP
    if pending:
        tell(context, pending, DROP)
    first_s = pending["first_s"] if pending else now_s
    due_s = min(now_s + asked["period_s"], first_s + asked["max_s"])
    context.set("pending", {**asked, "first_s": first_s})
    delay = timedelta(seconds=max(0.0, due_s - now_s))
    context.object_send(quiet, context.key(), asked["run"], send_delay=delay)
    return WAIT


@GATE.handler("quiet")
async def quiet(context: restate.ObjectContext, run: str) -> None:
    """Let the run begin, unless another one took its place."""
    pending = await context.get("pending", type_hint=dict)
    if pending and pending["run"] == run:
        context.clear("pending")
        tell(context, pending, BEGIN)


@GATE.handler("enter")
async def enter(context: restate.ObjectContext, asked: Any) -> str:  # noqa: ANN401 - JSON
    """Let a run in if there is room; else it waits, goes, or has those inside go."""
    inside = await context.get("inside", type_hint=dict) or {}
    queue = await context.get("queue", type_hint=list) or []
    if len(inside) < asked["limit"]:
        take(context, inside, asked)
        return BEGIN
    if asked["or"] == DROP:
        return DROP
    if asked["or"] == CANCEL:
        for other in inside.values():
            context.cancel_invocation(other)
        while queue:
            tell(context, queue.pop(), DROP)
    context.set("queue", [*queue, asked])
    return WAIT


@GATE.handler("leave")
async def leave(context: restate.ObjectContext, run: str) -> None:
    """Let the best of those that wait take the place of a run that has ended."""
    inside = await context.get("inside", type_hint=dict) or {}
    queue = await context.get("queue", type_hint=list) or []
    inside.pop(run, None)
    context.set("inside", inside)
    if queue and len(inside) < queue[0]["limit"]:
        best = max(queue, key=lambda one: one.get("rank", 0))
        queue.remove(best)
        context.set("queue", queue)
        take(context, inside, best)
        tell(context, best, BEGIN)


def take(context: restate.ObjectContext, inside: dict[str, str], one: Any) -> None:  # noqa: ANN401 - JSON
    """Give a run a place until it has ended, however it does."""
    context.set("inside", {**inside, one["run"]: one["id"]})
    context.service_send(watch, {"gate": context.key(), "run": one["run"], "id": one["id"]})


@AIDS.handler("watch")
async def watch(context: restate.Context, one: Any) -> None:  # noqa: ANN401 - JSON
    """Free the place of a run once it has ended."""
    with suppress(restate.TerminalError):
        await context.attach_invocation(one["id"], serde=JsonSerde())
    context.object_send(leave, one["gate"], one["run"])


# Events ------------------------------------------------------------------------------------


def send(
    context: restate.Context, envelope: Envelope, event: str, key: str, payload: Json
) -> list[restate.SendHandle]:
    """Start the programs that listen, and cancel what the event cancels, but not these."""
    sent: list[restate.SendHandle] = []
    for program in SCENARIO.programs:
        child = child_envelope(envelope, f"{event}.{key}.{program.name}")
        for rule in program.policy.cancel_on:
            if rule.event == event and isinstance(payload, dict) and hits(rule, payload):
                gate = place(program, f"cancel_on {rule.match}", payload[rule.match])
                sent.append(context.object_send(clear, gate, child.run))
        if event in program.on:
            start = started(child, program.name, payload)
            sent.append(context.workflow_send(main, child.run, start))
    return sent


def hits(rule: CancelOn, payload: dict[str, Json]) -> bool:
    """Say whether an event with this payload cancels anything."""
    return rule.match in payload and (rule.where is None or rule.where.met(payload))


@AIDS.handler("publish")
async def publish(context: restate.Context, told: Any) -> None:  # noqa: ANN401 - JSON
    """Route an event that comes from outside."""
    envelope = Envelope.from_json(told["envelope"])
    send(context, envelope, told["event"], told["key"], told["payload"])


@GATE.handler("clear")
async def clear(context: restate.ObjectContext, besides: str) -> None:
    """Cancel those inside but one."""
    for run, ident in (await context.get("inside", type_hint=dict) or {}).items():
        if run != besides:
            context.cancel_invocation(ident)


# Ends and the clock ------------------------------------------------------------------------


async def limited(call: Awaitable[dict[str, Json]], limit: timedelta) -> dict[str, Json]:
    """Give a call up when its time is over, which fails the attempt."""
    async with asyncio.timeout(limit.total_seconds()):
        return await call


@AIDS.handler("stop")
async def stop(context: restate.Context, ident: str) -> None:
    """Cancel a run; one that has ended knows nothing of it."""
    context.cancel_invocation(ident)


def failed(
    context: restate.WorkflowContext, envelope: Envelope, program: Program, error: str
) -> None:
    """Start the program that is told of a failure."""
    child = child_envelope(envelope, "on_failure")
    told: Json = {"run": envelope.run, "error": error}
    context.workflow_send(main, child.run, started(child, program.policy.on_failure, told))


@GATE.handler("tick")
async def tick(context: restate.ObjectContext, due_s: int) -> None:
    """Start the run of a tick, and have the next one come; 0 begins."""
    program = SCENARIO.program(context.key())
    if due_s:
        run = f"{POOL}.{program.name}.{due_s}"
        scale = SCENARIO.time_scale
        envelope = Envelope(trial=POOL, pool=POOL, cell=POOL, run=run, time_scale=scale)
        context.workflow_send(main, run, started(envelope, program.name, {"tick": due_s}))
    now_s = max(await context.time(), due_s)
    next_s = Cron.of(program.policy.cron).after(now_s)
    delay = timedelta(seconds=next_s - now_s)
    context.object_send(tick, context.key(), next_s, send_delay=delay)
