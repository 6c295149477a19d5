"""What DBOS has no option for, as its users write it: a few workflows around those of the programs.

A name is *held* by a delayed workflow that does nothing: as long as it waits, DBOS lets no other
one have its deduplication id.  Starts that need a decision are taken one after another.
"""

from __future__ import annotations

import time

from collections.abc import Sequence
from typing import Any

from dbos import DBOS, StepOptions
from dbos import error as errors

from harness.effects import Json
from harness.policy import CancelOn
from harness.program import FailedError, ProgramError
from harness.runtime import Envelope
from harness.scenario import Program
from harness.worker import child_envelope
from runtimes.dbos.ops import ASKS, SCENARIO, Flow, Handle, ask, enqueue, put, workflow
from runtimes.dbos.starts import ASK, EVENT, gated, own, value


NOTHING, EXPIRE, COLLECT = "bakeoff.nothing", "bakeoff.expire", "bakeoff.collect"
ACTIVE = ["ENQUEUED", "DELAYED", "PENDING"]
FOREVER_S = 30 * 24 * 3600.0


def install() -> None:
    """Add the workflows to DBOS, and ourselves where programs are asked for."""
    for name, body in (
        (EVENT, happen),
        (ASK, decide),
        (NOTHING, nothing),
        (EXPIRE, expire),
        (COLLECT, collect),
    ):
        workflow(name)(body)
    ASKS.update({one.name: admit for one in SCENARIO.programs if gated(one)})


# Events ------------------------------------------------------------------------------------


async def happen(sender: dict[str, Json], event: str, key: str, payload: Json) -> None:
    """Cancel whom an event cancels, then start whoever listens."""
    found = [
        (program, child_envelope(Envelope.from_json(sender), f"{event}.{key}.{program.name}"))
        for program in SCENARIO.consumers(event)
    ]
    new = [envelope.run for _, envelope in found]
    for program in SCENARIO.programs:
        for rule in program.policy.cancel_on:
            if rule.event == event:
                step = StepOptions(name=f"match {program.name}")
                hit = await DBOS.run_step_async(step, matching, program, rule, event, payload, new)
                if hit:
                    await DBOS.cancel_workflows_async(hit, cancel_children=True)
    for program, envelope in found:
        await ask(program, envelope, payload)


async def matching(
    program: Program, rule: CancelOn, event: str, payload: Json, new: Sequence[str]
) -> list[str]:
    """Return the runs of a program that an event cancels; never those that it starts."""
    rows = await DBOS.list_workflows_async(name=program.name, status=ACTIVE, load_output=False)
    return [
        row.workflow_id
        for row in rows
        if row.workflow_id not in new
        and row.input
        and rule.hits(event, payload, row.input["args"][1])
    ]


# Starts ------------------------------------------------------------------------------------


async def decide(starts: Sequence[Any]) -> None:
    """Ask for each run, in order."""
    for name, envelope, arg in starts:
        await ask(SCENARIO.program(name), Envelope.from_json(envelope), arg)


async def admit(program: Program, envelope: Envelope, arg: Json) -> Handle | None:
    """Enqueue a run if its policy lets it begin, once that is so."""
    policy, run, scale = program.policy, envelope.run, SCENARIO.time_scale
    if same := policy.dedupe:
        name = f"{program.name} once {value(arg, same.key)}"
        if not await hold(name, f"{run}.once", same.period_s * scale):
            return None
    if rate := policy.rate_limit:
        for place in range(rate.limit):
            name = f"{program.name} rate {value(arg, rate.key)} {place}"
            if await hold(name, f"{run}.rate", rate.period_s * scale):
                break
        else:
            return None
    if policy.batch:
        to = f"{envelope.pool}.{program.name}.{COLLECT}"
        await put(own(COLLECT, to), program.name)
        await DBOS.send_async(to, [envelope.to_json(), arg], idempotency_key=run)
        return None
    if policy.start_timeout_s is not None:
        late = {**own(EXPIRE, f"{run}.late"), "delay_seconds": policy.start_timeout_s * scale}
        await put(late, run)
    handle = await enqueue(program, envelope, arg)
    while policy.singleton and policy.singleton.mode == "cancel" and handle.workflow_id != run:
        await DBOS.cancel_workflow_async(handle.workflow_id, cancel_children=True)
        handle = await enqueue(program, envelope, arg)
    return handle


async def hold(name: str, ident: str, period_s: float) -> bool:
    """Hold a name for a while; say whether it was free."""
    holder = await put(
        {
            **own(NOTHING, ident),
            "deduplication_id": name,
            "duplication_policy": "return-existing",
            "delay_seconds": period_s,
        }
    )
    return holder.workflow_id == ident


async def nothing() -> None:
    """Let go of a name."""


async def expire(run: str) -> None:
    """Cancel a run that nobody has begun."""
    status = await DBOS.get_workflow_status_async(run)
    if status and status.status == "ENQUEUED" and not status.recovery_attempts:
        await DBOS.cancel_workflow_async(run)


async def collect(name: str) -> None:
    """Gather the starts of a program into batches, for ever."""
    program = SCENARIO.program(name)
    rule = program.policy.batch
    assert rule is not None  # noqa: S101 - that is why it was asked for
    while True:
        first = await DBOS.recv_async(timeout_seconds=FOREVER_S)
        if first is None:
            continue
        batch = [first[1]]
        end_s = await clock() + rule.wait_s * SCENARIO.time_scale
        while len(batch) < rule.size and (left_s := end_s - await clock()) > 0:
            more = await DBOS.recv_async(timeout_seconds=left_s)
            if more is not None:
                batch.append(more[1])
        await enqueue(program, Envelope.from_json(first[0]), {"batch": batch})


async def clock() -> float:
    """Return the moment, recorded."""
    return await DBOS.run_step_async({"name": "clock"}, time.time)


# Ends --------------------------------------------------------------------------------------


def watched(flow: Flow, handler: Program) -> Flow:
    """Return the flow that starts a handler once it has failed for good."""

    async def run(envelope: Envelope, arg: Json) -> Json:
        try:
            return await flow(envelope, arg)
        except (FailedError, ProgramError, errors.DBOSMaxStepRetriesExceeded) as error:
            told: Json = {"run": envelope.run, "error": str(error)}
            await ask(handler, child_envelope(envelope, "on_failure"), told)
            raise

    return run
