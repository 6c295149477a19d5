"""How DBOS is told of a program's policy: its queue, its schedule, the options of each start.

A program that asks for nothing of the kind shares one queue with all others of its sort.  What
DBOS has no option for is named in `EMULATED`; ``emulated.py`` does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.effects import Json
from harness.policy import Policy, Retry
from harness.runtime import RuntimeUnavailableError, Start
from harness.scenario import Program, Scenario


APPLICATION = "bakeoff"
QUEUE, GATE = "runs", "bakeoff.gate"
"""The queues of runs without limits, and of starts that are decided on one after another."""
TICK, EVENT, ASK = "bakeoff.tick", "bakeoff.event", "bakeoff.ask"
"""Our own workflows: a moment of a schedule, an event, starts that are to be decided on."""
EMULATED = frozenset({"rate_limit", "dedupe", "batch", "start_timeout", "singleton_cancel"})
"""The policies for starts that DBOS has no option for."""
LOWEST = 2**30
"""The priority of rank 0: the lowest number goes first."""


def gated(program: Program) -> bool:
    """Say whether starts of a program are decided on in a worker."""
    return bool(program.policy.uses & EMULATED)


def emulates(scenario: Scenario) -> bool:
    """Say whether anything of a scenario needs what DBOS does not have."""
    return any(
        gated(one) or one.on or one.policy.cancel_on or one.policy.on_failure
        for one in scenario.programs
    )


def value(arg: Json, key: str) -> str:
    """Return what runs share a limit by."""
    return repr(arg.get(key)) if isinstance(arg, dict) else ""


def refused(program: Program) -> str:
    """Return why DBOS cannot do what a program asks for, or an empty string."""
    policy = program.policy
    if (policy.singleton or policy.debounce) and _keys(policy):
        return "a queue with a singleton or a debounce has no keys"
    if len(_keys(policy)) > 1:
        return "a queue has one key"
    if policy.debounce and policy.priority:
        return "a debounced run has no priority"
    retry = policy.retry
    if retry and (longest_s := _longest_s(retry)) > retry.max_s:
        return f"waits between attempts grow to {longest_s:g} s, and max_s is {retry.max_s:g}"
    return ""


def _longest_s(retry: Retry) -> float:
    """Return the longest wait between attempts, in the scenario's seconds."""
    waits = (retry.first_s * retry.factor**n for n in range(retry.attempts - 1))
    return max(waits, default=0.0)


def _keys(policy: Policy) -> set[str]:
    return {one.key for one in (policy.concurrency, policy.throttle) if one and one.key}


def queue(program: Program) -> str:
    """Return the name of the queue by which runs of a program come."""
    policy = program.policy
    own = (policy.concurrency, policy.throttle, policy.singleton, policy.debounce, policy.priority)
    return f"{QUEUE}.{program.name}" if any(own) else QUEUE


def queues(scenario: Scenario) -> list[Json]:
    """Return the queues of a scenario as DBOS registers them, each once.

    Raises:
        RuntimeUnavailableError: DBOS cannot do what a program asks for.

    """
    found: list[Json] = [{"name": QUEUE}]
    if any(map(gated, scenario.programs)):
        found.append({"name": GATE, "global_concurrency": 1})
    for program in scenario.programs:
        if why := refused(program):
            msg = f"dbos cannot do what program {program.name!r} asks for: {why}; ask for less"
            raise RuntimeUnavailableError(msg)
        if queue(program) != QUEUE:
            found.append({"name": queue(program), **_limits(program.policy, scenario.time_scale)})
    return found


def _limits(policy: Policy, scale: float) -> dict[str, Json]:
    """Return the limits of a queue; ``scale`` is real seconds per second of the scenario."""
    found: dict[str, Json] = {}
    if one := policy.concurrency:
        found["partition_concurrency" if one.key else "global_concurrency"] = one.limit
    if pace := policy.throttle:
        limiter: Json = {"limit": pace.limit, "period": pace.period_s * scale}
        found["partition_limiter" if pace.key else "limiter"] = limiter
    return found


def schedules(scenario: Scenario, pool: str) -> list[Json]:
    """Return the schedules of a scenario; the pool names the cell of what they start."""
    return [
        {
            "schedule_name": program.name,
            "schedule": program.policy.cron,
            "workflow_name": TICK,
            "queue_name": QUEUE,
            "context": {"program": program.name, "pool": pool},
        }
        for program in scenario.programs
        if program.policy.cron
    ]


def options(program: Program, run: str, arg: Json, scale: float) -> dict[str, Any]:
    """Return the options by which a run is enqueued.

    The id of a debounced run is DBOS's: it is one run for several starts.
    """
    policy = program.policy
    found = own(program.name, run, queue(program))
    if policy.debounce:
        del found["workflow_id"]
    if keys := _keys(policy):
        found["queue_partition_key"] = value(arg, *keys)
    if policy.singleton:
        found["deduplication_id"] = value(arg, policy.singleton.key)
        found["duplication_policy"] = "return-existing"
    if policy.priority and isinstance(arg, dict):
        found["priority"] = LOWEST - int(str(arg[policy.priority]))
    if policy.finish_timeout_s:
        found["workflow_timeout"] = policy.finish_timeout_s * scale
    return found


def own(workflow: str, ident: str, on: str = QUEUE) -> dict[str, Any]:
    """Return the options by which a workflow of any kind is enqueued."""
    return {
        "workflow_name": workflow,
        "workflow_id": ident,
        "queue_name": on,
        "app_version": APPLICATION,
    }


def debounce(program: Program, arg: Json, scale: float) -> dict[str, Any] | None:
    """Return the key and the times (seconds) of a debounced start."""
    calm = program.policy.debounce
    if calm is None:
        return None
    return {
        "key": value(arg, calm.key),
        "period_s": calm.period_s * scale,
        "most_s": calm.max_s * scale,
    }


def asked(scenario: Scenario, starts: Sequence[Start]) -> list[Json]:
    """Return the workflows that are to be enqueued for starts."""
    found: list[Json] = []
    gate: list[Json] = []
    for start in starts:
        program, envelope = scenario.program(start.program), start.envelope.to_json()
        if gated(program):
            gate.append([program.name, envelope, start.arg])
            continue
        found.append(
            {
                "options": options(program, start.envelope.run, start.arg, scenario.time_scale),
                "debounce": debounce(program, start.arg, scenario.time_scale),
                "args": [envelope, start.arg],
            }
        )
    if gate:
        decided = own(ASK, "", GATE)
        del decided["workflow_id"]
        found.append({"options": decided, "debounce": None, "args": [gate]})
    return found


def heard(scenario: Scenario, event: str) -> bool:
    """Say whether an event starts or cancels anything."""
    return any(
        event in (*one.on, *(rule.event for rule in one.policy.cancel_on))
        for one in scenario.programs
    )


def happened(sender: Mapping[str, Json], event: str, key: str, payload: Json) -> dict[str, Any]:
    """Return the workflow of an event: events of one key are one."""
    ident = f"{sender['run']}.{event}.{key}"
    return {"options": own(EVENT, ident), "args": [dict(sender), event, key, payload]}


def step_options(
    policy: Policy, profile: Mapping[str, Any], name: str, scale: float
) -> dict[str, Any]:
    """Return the options of a step: the profile's, where the policy asks for nothing else."""
    found = {**profile, "name": name}
    if policy.step_timeout_s:
        found["timeout_seconds"] = policy.step_timeout_s * scale
    if retry := policy.retry:
        found |= {
            "retries_allowed": True,
            "max_attempts": retry.attempts,
            "interval_seconds": retry.first_s * scale,
            "backoff_rate": retry.factor,
        }
    return found
